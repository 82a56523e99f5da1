//! Answers with embeddings.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::FormatError;
use crate::exchange::Usage;
use crate::exchange::embeddings::Encoding;
use crate::json::{Array, Object, write};
use crate::openai::usage::UsageReport;

/// Reads what an answer used, without looking at its vectors.
///
/// # Errors
/// When the body is no list of embeddings.
pub fn usage(body: &[u8]) -> Result<Option<Usage>, FormatError> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        data: Option<IgnoredAny>,
        #[serde(default)]
        usage: Option<UsageReport>,
    }
    let body: Body = serde_json::from_slice(body)?;
    if body.data.is_none() {
        return Err(FormatError::invalid("the answer has no embeddings", "data"));
    }
    Ok(body.usage.map(|report| report.embedding()))
}

/// Writes an answer for a client: one vector for each item of its input, in order.
#[must_use]
pub fn encode(vectors: &[impl AsRef<[f32]>], encoding: Encoding, model: &str, usage: &Usage) -> Vec<u8> {
    let numbers: usize = vectors.iter().map(|vector| vector.as_ref().len()).sum();
    let mut out = Vec::with_capacity(256 + numbers.saturating_mul(12));
    let mut body = Object::new(&mut out);
    body.put("object", "list");
    let mut data = Array::new(body.key("data"));
    for (index, vector) in vectors.iter().enumerate() {
        data.object(|item| {
            item.put("object", "embedding").put("index", &index);
            let out = item.key("embedding");
            match encoding {
                Encoding::Float => write(out, vector.as_ref()),
                Encoding::Base64 => write(out, &base64_of(vector.as_ref())),
            }
        });
    }
    data.end();
    body.put("model", model).object("usage", |object| {
        object.put("prompt_tokens", &usage.embedding).put("total_tokens", &usage.total());
    });
    body.end();
    out
}

fn base64_of(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}
