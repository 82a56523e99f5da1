//! Embeddings by batchEmbedContents, at most a hundred texts a call.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{method_path, resource};
use crate::error::FormatError;
use crate::exchange::Vectors;
use crate::exchange::embeddings::{EmbeddingRequest, Input};
use crate::json;
use crate::unmapped::Unmapped;

/// Most texts in one call.
const TEXTS: usize = 100;

/// Path of a call.
#[must_use]
pub fn path(model: &str) -> String {
    method_path(model, "batchEmbedContents")
}

/// Path of a call for one content.
#[must_use]
pub fn path_of_one(model: &str) -> String {
    method_path(model, "embedContent")
}

#[derive(Serialize)]
struct Body<'r> {
    requests: Vec<OneText<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneText<'r> {
    model: &'r str,
    content: Content<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct Content<'r> {
    parts: [Part<'r>; 1],
}

#[derive(Serialize)]
struct Part<'r> {
    text: &'r str,
}

/// Writes the bodies of the calls for `model`, in the order of the inputs. `task_type` is taken over from the
/// request under this name.
///
/// # Errors
/// For tokens instead of texts, and when something has no place here and may not be left out.
pub fn encode(
    request: &EmbeddingRequest<'_>,
    model: &str,
    unmapped: &mut Unmapped,
) -> Result<Vec<Vec<u8>>, FormatError> {
    let Input::Texts(texts) = &request.input else {
        return Err(FormatError::invalid("the model behind this alias embeds texts, not tokens", "input"));
    };
    let mut task_type = None;
    for extra in &request.extras {
        match &*extra.name {
            "task_type" => task_type = Some(extra.value),
            _ => unmapped.param(extra.name.clone().into_owned())?,
        }
    }
    unmapped.given("user", request.end_user.as_ref())?;
    let model = resource(model);
    let body = |texts: &[Cow<'_, str>]| {
        let one_text = |text| OneText {
            model: &model,
            content: Content { parts: [Part { text }] },
            task_type,
            output_dimensionality: request.dimensions,
        };
        let mut out = Vec::with_capacity(256);
        json::write(&mut out, &Body { requests: texts.iter().map(|text| one_text(text)).collect() });
        out
    };
    Ok(texts.chunks(TEXTS).map(body).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    embeddings: Vec<Embedding>,
    #[serde(default)]
    usage_metadata: Option<UsageMetadata>,
}

#[derive(Deserialize)]
struct Embedding {
    values: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    #[serde(default)]
    prompt_token_count: Option<u64>,
}

/// Reads the answer of one call. Most models do not say what they used.
///
/// # Errors
/// When the body is no such answer.
pub fn decode(body: &[u8]) -> Result<Vectors, FormatError> {
    let answer: Answer = serde_json::from_slice(body)?;
    let tokens = answer.usage_metadata.and_then(|usage| usage.prompt_token_count);
    Ok(Vectors::new(answer.embeddings.into_iter().map(|embedding| embedding.values).collect(), tokens))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai_embeddings::request;
    use crate::unmapped::OnUnmappable;

    fn bodies(json: &str) -> Result<Vec<String>, FormatError> {
        let request = request::decode(json.as_bytes()).unwrap();
        let bodies = encode(&request, "gemini-embedding-001", &mut Unmapped::new(OnUnmappable::Reject))?;
        Ok(bodies.into_iter().map(|body| String::from_utf8(body).unwrap()).collect())
    }

    #[test]
    fn each_text_is_a_request_of_the_batch() {
        let json = r#"{"input":["a","b"],"dimensions":768,"task_type":"RETRIEVAL_QUERY"}"#;
        assert_eq!(
            bodies(json).unwrap(),
            [concat!(
                r#"{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]},"#,
                r#""taskType":"RETRIEVAL_QUERY","outputDimensionality":768},"#,
                r#"{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"b"}]},"#,
                r#""taskType":"RETRIEVAL_QUERY","outputDimensionality":768}]}"#
            )]
        );
        assert_eq!(path("gemini-embedding-001"), "/v1beta/models/gemini-embedding-001:batchEmbedContents");
    }

    #[test]
    fn a_hundred_texts_go_into_a_call() {
        let json = serde_json::json!({"input": vec!["x"; 201]}).to_string();
        assert_eq!(bodies(&json).unwrap().len(), 3);
        assert!(bodies(r#"{"input":[1]}"#).is_err());
        assert!(bodies(r#"{"input":"a","other":1}"#).is_err());
    }

    #[test]
    fn vectors_are_read_in_order() {
        let read = decode(br#"{"embeddings":[{"values":[1,0.25]},{"values":[2]}]}"#).unwrap();
        assert_eq!(read, Vectors::new(vec![vec![1.0, 0.25], vec![2.0]], None));
        let read = decode(br#"{"embeddings":[],"usageMetadata":{"promptTokenCount":4}}"#).unwrap();
        assert_eq!(read.usage.unwrap().embedding, 4);
    }
}
