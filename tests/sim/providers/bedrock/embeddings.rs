//! Embeddings by InvokeModel: each family has a body of its own.

use serde_json::{Value, json};

use super::super::check::{Checked, Node};
use crate::sim::render::vector_of;

/// Vectors, and the tokens of their texts.
pub(in super::super) fn invoke(
    root: &Node<'_>,
    model: &str,
    count: impl Fn(&str) -> u64,
) -> Checked<(Value, u64)> {
    if model.starts_with("amazon.") { titan(root, count) } else { cohere(root, count) }
}

fn titan(root: &Node<'_>, count: impl Fn(&str) -> u64) -> Checked<(Value, u64)> {
    root.only(&["inputText", "dimensions", "normalize", "embeddingTypes"])?;
    let dimensions = match root.get("dimensions") {
        None => 1024,
        Some(node) => match node.count()? {
            given @ (256 | 512 | 1024) => given,
            _ => return Err(node.wrong("must be one of 256, 512, 1024")),
        },
    };
    root.get("normalize").map(|node| node.flag()).transpose()?;
    let text = root.need("inputText")?.filled()?;
    let vector = vector_of(text, dimensions);
    let tokens = count(text);
    let answer = json!({ "embedding": vector, "embeddingsByType": { "float": vector },
        "inputTextTokenCount": tokens });
    Ok((answer, tokens))
}

fn cohere(root: &Node<'_>, count: impl Fn(&str) -> u64) -> Checked<(Value, u64)> {
    root.only(&["texts", "input_type", "truncate", "embedding_types", "images"])?;
    let kinds = ["search_document", "search_query", "classification", "clustering"];
    root.need("input_type")?.word(&kinds)?;
    root.get("truncate").map(|node| node.word(&["NONE", "START", "END", "LEFT", "RIGHT"])).transpose()?;
    let list = root.need("texts")?;
    let texts = list.filled_list()?;
    if texts.len() > 96 {
        return Err(list.wrong("must have at most 96 elements"));
    }
    let texts = texts.iter().map(|text| text.filled()).collect::<Checked<Vec<_>>>()?;
    let vectors: Vec<_> = texts.iter().map(|text| vector_of(text, 1024)).collect();
    let tokens = texts.iter().map(|text| count(text)).sum();
    let answer = |embeddings: Value, kind: &str| json!({ "id": "5f1d", "texts": texts, "embeddings": embeddings, "response_type": kind });
    let answer = match root.get("embedding_types") {
        None => answer(json!(vectors), "embeddings_floats"),
        Some(types) => {
            types.filled_list()?.iter().try_for_each(|kind| kind.word(&["float"]).map(drop))?;
            answer(json!({ "float": vectors }), "embeddings_by_type")
        }
    };
    Ok((answer, tokens))
}
