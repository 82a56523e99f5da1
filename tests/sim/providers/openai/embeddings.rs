//! OpenAI's Embeddings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::check::{Checked, Node};
use crate::sim::render::vector_of;

/// Vectors, and the tokens of their texts.
pub(in super::super) fn embed(
    root: &Node<'_>,
    model: &str,
    count: impl Fn(&str) -> u64,
) -> Checked<(Value, u64)> {
    root.only(&["model", "input", "encoding_format", "dimensions", "user"])?;
    let input = root.need("input")?;
    let texts = match input.text() {
        Ok(_) => vec![input.filled()?],
        Err(_) => input.filled_list()?.iter().map(|text| text.filled()).collect::<Checked<_>>()?,
    };
    let dimensions = root.get("dimensions").map_or(Ok(1536), |node| node.count())?;
    let as_text = match root.get("encoding_format") {
        None => false,
        Some(format) => format.word(&["float", "base64"])? == "base64",
    };
    let embedding = |text: &str| {
        let vector = vector_of(text, dimensions);
        if !as_text {
            return json!(vector);
        }
        json!(STANDARD.encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>()))
    };
    let tokens: u64 = texts.iter().map(|text| count(text)).sum();
    let data = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({ "object": "embedding", "index": index, "embedding": embedding(text) }));
    let data = data.collect::<Vec<_>>();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    Ok((json!({ "object": "list", "data": data, "model": model, "usage": usage }), tokens))
}
