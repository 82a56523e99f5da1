//! Answers to `POST /v1/messages/count_tokens`; its requests are Messages requests without `max_tokens`, read by
//! [`super::view`] and [`super::request`].

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::{json, view};

/// Path of a call.
pub const PATH: &str = "/v1/messages/count_tokens";
/// Parameters of a Messages request that the call does not take (API reference, "Count tokens in a Message").
const NOT_TAKEN: [&str; 10] = [
    "container",
    "inference_geo",
    "max_tokens",
    "metadata",
    "service_tier",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
];

/// The request for a count, from the Messages request whose prompt is to be counted.
///
/// # Errors
/// When it is no JSON object.
pub fn request(message: &[u8]) -> Result<Vec<u8>, FormatError> {
    let mut message: BTreeMap<String, &RawValue> = view::read(message)?;
    message.retain(|name, _| !NOT_TAKEN.contains(&&**name));
    let mut out = Vec::with_capacity(256);
    json::write(&mut out, &message);
    Ok(out)
}

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
    json::write(&mut out, &Count { input_tokens });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_an_answer_needs_is_left_out_of_the_request() {
        let message = br#"{"model":"m","max_tokens":5,"stream":true,"temperature":0,"system":"s","messages":[{"role":"user","content":"a\\n"}]}"#;
        let written = String::from_utf8(request(message).unwrap()).unwrap();
        assert_eq!(written, r#"{"messages":[{"role":"user","content":"a\\n"}],"model":"m","system":"s"}"#);
        assert!(request(b"[]").is_err());
    }

    #[test]
    fn a_count_is_one_number() {
        assert_eq!(encode(2_095), br#"{"input_tokens":2095}"#);
        assert_eq!(decode(&encode(7)), Ok(7));
        assert!(decode(b"{}").is_err());
    }
}
