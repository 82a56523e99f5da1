//! Answers to `POST /v1/messages/count_tokens`; its requests are Messages requests without `max_tokens`, read by
//! [`super::view`] and [`super::request`].

use crate::error::FormatError;

#[derive(serde::Serialize, serde::Deserialize)]
struct Count {
    input_tokens: u64,
}

/// Reads a backend's answer: tokens of the prompt.
///
/// # Errors
/// When it is no token count.
pub fn decode(body: &[u8]) -> Result<u64, FormatError> {
    Ok(serde_json::from_slice::<Count>(body)?.input_tokens)
}

/// Writes the answer.
#[must_use]
pub fn encode(input_tokens: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    crate::json::write(&mut out, &Count { input_tokens });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_one_number() {
        assert_eq!(encode(2_095), br#"{"input_tokens":2095}"#);
        assert_eq!(decode(&encode(7)), Ok(7));
        assert!(decode(b"{}").is_err());
    }
}
