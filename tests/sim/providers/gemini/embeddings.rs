//! Embeddings by batchEmbedContents.

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
        request.only(&["model", "content", "taskType", "title", "outputDimensionality"])?;
        let named = request.need("model")?;
        if named.text()? != format!("models/{model}") {
            return Err(named.wrong("must be the model in the path"));
        }
        let dimensions = request.get("outputDimensionality").map_or(Ok(3072), |node| node.count())?;
        let content = request.need("content")?;
        content.only(&["parts", "role"])?;
        let texts = content.need("parts")?.filled_list()?;
        let texts = texts.iter().map(|part| part.need("text")?.text()).collect::<Checked<Vec<_>>>()?;
        let text = texts.concat();
        tokens += count(&text);
        embeddings.push(json!({ "values": vector_of(&text, dimensions) }));
    }
    Ok((json!({ "embeddings": embeddings }), tokens))
}
