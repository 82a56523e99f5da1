//! Gemini's `countTokens`: how many tokens the prompt of a `generateContent` request has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{has_collection, method_path};
use crate::error::FormatError;
use crate::json::Object;
use crate::view;

/// Path of a call.
#[must_use]
pub fn path(model: &str) -> String {
    method_path(model, "countTokens")
}

/// The request for a count, from the request whose prompt is to be counted.
///
/// # Errors
/// When that is no JSON object.
pub fn request(generate: &[u8], model: &str) -> Result<Vec<u8>, FormatError> {
    let mut generate: BTreeMap<String, &RawValue> = view::read(generate)?;
    let collection = if has_collection(model) { "" } else { "models/" };
    let name = to_raw_value(&format!("{collection}{model}"))?;
    generate.insert("model".to_owned(), &name);
    let mut out = Vec::with_capacity(256);
    let mut body = Object::new(&mut out);
    body.put("generateContentRequest", &generate);
    body.end();
    Ok(out)
}

/// Reads the answer: tokens of the prompt.
///
/// # Errors
/// When it is no token count.
pub fn decode(body: &[u8]) -> Result<u64, FormatError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        total_tokens: u64,
    }
    Ok(serde_json::from_slice::<Count>(body)?.total_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_request_is_counted_under_the_model_s_full_name() {
        assert_eq!(path("gemini-2.5-flash"), "/v1beta/models/gemini-2.5-flash:countTokens");
        let written =
            request(br#"{"contents":[],"systemInstruction":{"parts":[]}}"#, "gemini-2.5-flash").unwrap();
        let expected = r#"{"generateContentRequest":{"contents":[],"model":"models/gemini-2.5-flash","systemInstruction":{"parts":[]}}}"#;
        assert_eq!(String::from_utf8(written).unwrap(), expected);
        let tuned = request(br#"{"model":"x"}"#, "tunedModels/t").unwrap();
        assert_eq!(tuned, br#"{"generateContentRequest":{"model":"tunedModels/t"}}"#);
    }

    #[test]
    fn a_count_is_the_total() {
        assert_eq!(decode(br#"{"totalTokens":31,"promptTokensDetails":[]}"#), Ok(31));
        assert!(decode(b"{}").is_err());
    }
}
