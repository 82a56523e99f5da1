//! Embeddings by embedContent and batchEmbedContents.

use serde_json::{Value, json};

use super::super::check::{Checked, Node};
use crate::sim::render::vector_of;

/// Vectors, and the tokens of their texts. `model` is the one in the path.
pub(in super::super) fn batch(
    root: &Node<'_>,
    model: &str,
    count: impl Fn(&str) -> u64,
) -> Checked<(Value, u64)> {
    root.only(&["requests"])?;
    let list = root.need("requests")?;
    let requests = list.filled_list()?;
    if requests.len() > 100 {
        return Err(list.wrong("must have at most 100 elements"));
    }
    let mut tokens = 0;
    let mut embeddings = Vec::with_capacity(requests.len());
    for request in requests {
        request.need("model")?;
        let (values, used) = vector(&request, model, &count)?;
        tokens += used;
        embeddings.push(json!({ "values": values }));
    }
    Ok((json!({ "embeddings": embeddings }), tokens))
}

/// One vector, and the tokens of its text.
pub(in super::super) fn one(
    root: &Node<'_>,
    model: &str,
    count: impl Fn(&str) -> u64,
) -> Checked<(Value, u64)> {
    let (values, tokens) = vector(root, model, &count)?;
    Ok((json!({ "embedding": { "values": values } }), tokens))
}

fn vector(request: &Node<'_>, model: &str, count: &impl Fn(&str) -> u64) -> Checked<(Value, u64)> {
    request.only(&["model", "content", "taskType", "title", "outputDimensionality"])?;
    if let Some(named) = request.get("model")
        && named.text()? != format!("models/{model}")
    {
        return Err(named.wrong("must be the model in the path"));
    }
    let dimensions = request.get("outputDimensionality").map_or(Ok(3072), |node| node.count())?;
    let content = request.need("content")?;
    content.only(&["parts", "role"])?;
    let texts = content.need("parts")?.filled_list()?;
    let texts = texts.iter().map(|part| part.need("text")?.text()).collect::<Checked<Vec<_>>>()?;
    let text = texts.concat();
    Ok((json!(vector_of(&text, dimensions)), count(&text)))
}
