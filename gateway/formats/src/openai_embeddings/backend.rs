//! The side of backends: requests written, vectors read.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::error::FormatError;
use crate::exchange::Vectors;
use crate::exchange::embeddings::{EmbeddingRequest, Input};
use crate::json::{Object, Str};
use crate::openai::usage::UsageReport;
use crate::unmapped::Unmapped;

/// What a text is for, in Gemini's words: a hint that models of this format have no use for.
const HINT: &str = "taskType";

/// Writes a request for `model`.
///
/// # Errors
/// When something has no place here and may not be left out.
pub fn encode(
    request: &EmbeddingRequest<'_>,
    model: &str,
    unmapped: &mut Unmapped,
) -> Result<Vec<u8>, FormatError> {
    for extra in &request.extras {
        match &*extra.name {
            HINT => unmapped.hint(HINT),
            other => unmapped.param(other.to_owned())?,
        }
    }
    let mut out = Vec::with_capacity(256);
    let mut body = Object::new(&mut out);
    body.put("model", model);
    match &request.input {
        Input::Texts(texts) => body.put("input", texts),
        Input::Tokens(tokens) => body.put("input", tokens),
    };
    body.given("dimensions", request.dimensions).given("user", request.end_user.as_deref());
    body.end();
    Ok(out)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
    #[serde(default)]
    usage: Option<UsageReport>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default)]
    index: usize,
    #[serde(borrow)]
    embedding: Vector<'a>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Vector<'a> {
    Numbers(Vec<f32>),
    Base64(#[serde(borrow)] Str<'a>),
}

/// Reads an answer; its vectors may stand in any order.
///
/// # Errors
/// When it is no such answer.
pub fn decode(body: &[u8]) -> Result<Vectors, FormatError> {
    let mut answer: Answer<'_> = serde_json::from_slice(body)?;
    answer.data.sort_by_key(|item| item.index);
    let vectors = answer.data.into_iter().map(|item| numbers(item.embedding)).collect::<Result<_, _>>()?;
    Ok(Vectors { vectors, usage: answer.usage.map(|report| report.embedding()) })
}

fn numbers(vector: Vector<'_>) -> Result<Vec<f32>, FormatError> {
    match vector {
        Vector::Numbers(numbers) => Ok(numbers),
        Vector::Base64(text) => {
            let wrong = |_| FormatError::invalid("a vector is not base64", None);
            let bytes = BASE64_STANDARD.decode(text.as_bytes()).map_err(wrong)?;
            let (numbers, _) = bytes.as_chunks::<4>();
            Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai_embeddings::request;
    use crate::unmapped::OnUnmappable;

    fn written(body: &str) -> Result<String, FormatError> {
        let request = request::decode(body.as_bytes()).unwrap();
        let body = encode(&request, "m", &mut Unmapped::new(OnUnmappable::Reject))?;
        Ok(String::from_utf8(body).unwrap())
    }

    #[test]
    fn texts_and_tokens_are_asked_for_and_hints_are_left_out() {
        let body = r#"{"input":["a"],"dimensions":2,"taskType":"CLUSTERING"}"#;
        assert_eq!(written(body).unwrap(), r#"{"model":"m","input":["a"],"dimensions":2}"#);
        assert_eq!(written(r#"{"input":[1,2]}"#).unwrap(), r#"{"model":"m","input":[[1,2]]}"#);
        assert!(written(r#"{"input":"a","input_type":"query"}"#).is_err());
    }

    #[test]
    fn vectors_are_read_in_their_order_in_either_form() {
        let read = decode(
            br#"{"data":[{"index":1,"embedding":"AACAPw=="},{"index":0,"embedding":[-0.5]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#,
        )
        .unwrap();
        assert_eq!(read.vectors, [vec![-0.5], vec![1.0]]);
        assert_eq!(read.usage.unwrap().embedding, 3);
        assert!(decode(br#"{"data":[{"index":0,"embedding":"?"}]}"#).is_err());
    }
}
