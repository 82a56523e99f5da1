//! `countTokens`: how many tokens a prompt has.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::json::{Array, Object};
use crate::view;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow, default, alias = "generate_content_request")]
    generate_content_request: Option<&'a RawValue>,
}

/// The request for an answer whose prompt is to be counted: within the body, or the body itself.
///
/// # Errors
/// When it is no JSON object.
pub fn request(body: &[u8]) -> Result<&[u8], FormatError> {
    let read: Body<'_> = view::read(body)?;
    Ok(read.generate_content_request.map_or(body, |request| request.get().as_bytes()))
}

/// Writes the answer.
#[must_use]
pub fn encode(tokens: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    let mut answer = Object::new(&mut out);
    answer.put("totalTokens", &tokens);
    let mut details = Array::new(answer.key("promptTokensDetails"));
    details.object(|detail| {
        detail.put("modality", "TEXT").put("tokenCount", &tokens);
    });
    details.end();
    answer.end();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_stands_in_the_body_or_in_a_request_within_it() {
        let plain = br#"{"contents":[]}"#;
        assert_eq!(request(plain).unwrap(), plain);
        for name in ["generateContentRequest", "generate_content_request"] {
            let body = format!(r#"{{"{name}":{{"contents":[]}}}}"#);
            assert_eq!(request(body.as_bytes()).unwrap(), plain);
        }
        assert!(request(b"[]").is_err());
    }

    #[test]
    fn a_count_is_told_as_a_total_and_by_modality() {
        let expected = r#"{"totalTokens":7,"promptTokensDetails":[{"modality":"TEXT","tokenCount":7}]}"#;
        assert_eq!(String::from_utf8(encode(7)).unwrap(), expected);
    }
}
