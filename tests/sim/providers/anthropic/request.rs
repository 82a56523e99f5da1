//! A Messages request, read as strictly as Anthropic does.

use super::super::ask::{Ask, Choice, Part, Role, Tool};
use super::super::check::{Checked, Node};
use super::json_schema;
use crate::sim::answer::hash;

const FIELDS: [&str; 20] = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "metadata",
    "stop_sequences",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "tools",
    "tool_choice",
    "thinking",
    "service_tier",
    "output_config",
    "cache_control",
    "container",
    "mcp_servers",
    "context_management",
    "inference_geo",
];

const TOOL: [&str; 10] = [
    "type",
    "name",
    "description",
    "input_schema",
    "strict",
    "cache_control",
    "eager_input_streaming",
    "defer_loading",
    "allowed_callers",
    "input_examples",
];

/// Reads a request. `counts` is a request for a count, which has no bound on the answer.
pub(in super::super) fn read(root: &Node<'_>, counts: bool) -> Checked<Ask> {
    root.only(&FIELDS)?;
    let mut ask = Ask { talks_first: true, ..Ask::default() };
    if let Some(bound) = if counts { None } else { Some(root.need("max_tokens")?) } {
        ask.max_tokens = Some(bound.count()?).filter(|most| *most > 0);
        ask.max_tokens.ok_or_else(|| bound.wrong("must be greater than or equal to 1"))?;
    }
    if let Some(system) = root.get("system") {
        ask.system = texts(&system)?;
    }
    ask.thinks = read_thinking(root, ask.max_tokens)?;
    sampling(root, ask.thinks)?;
    ask.stop = root.get("stop_sequences").map_or(Ok(Vec::new()), |node| node.texts())?;
    ask.stream = root.get("stream").map_or(Ok(false), |node| node.flag())?;
    tools(root, &mut ask)?;
    if let Some(config) = root.get("output_config") {
        config.only(&["effort", "format"])?;
        config.get("effort").map(|node| node.word(&["low", "medium", "high", "max"])).transpose()?;
        ask.schema = config.get("format").map(|format| json_schema(&format)).transpose()?;
    }
    if let Some(metadata) = root.get("metadata") {
        metadata.only(&["user_id"])?;
        metadata.get("user_id").map(|node| node.text()).transpose()?;
    }
    root.get("service_tier").map(|tier| tier.word(&["auto", "standard_only"])).transpose()?;
    messages(&root.need("messages")?, &mut ask)?;
    Ok(ask)
}

/// Whether the model thinks.
pub(in super::super) fn read_thinking(root: &Node<'_>, max_tokens: Option<u64>) -> Checked<bool> {
    let Some(thinking) = root.get("thinking") else { return Ok(false) };
    match thinking.need("type")?.word(&["enabled", "disabled", "adaptive"])? {
        "enabled" => {
            thinking.only(&["type", "budget_tokens", "display"])?;
            let budget = thinking.need("budget_tokens")?;
            let tokens = budget.count()?;
            if tokens < 1024 {
                return Err(budget.wrong("must be greater than or equal to 1024"));
            }
            if max_tokens.is_some_and(|most| most <= tokens) {
                return Err(budget.wrong("must be less than max_tokens"));
            }
            Ok(true)
        }
        "adaptive" => thinking.only(&["type", "display"]).map(|()| true),
        _ => thinking.only(&["type"]).map(|()| false),
    }
}

fn sampling(root: &Node<'_>, thinks: bool) -> Checked<()> {
    let temperature = root.get("temperature");
    let top_p = root.get("top_p");
    if let Some(node) = &temperature {
        let value = node.number(0.0, 1.0)?;
        if thinks && value < 1.0 {
            return Err(node.wrong("may only be set to 1 when thinking is enabled"));
        }
        if top_p.is_some() {
            return Err(node.wrong("and `top_p` cannot both be specified for this model"));
        }
    }
    if let Some(node) = &top_p {
        node.number(0.0, 1.0)?;
    }
    if let Some(node) = root.get("top_k") {
        node.count()?;
        if thinks {
            return Err(node.wrong("must be unset when thinking is enabled"));
        }
    }
    Ok(())
}

fn tools(root: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    for tool in root.get("tools").map_or(Ok(Vec::new()), |node| node.list())? {
        tool.only(&TOOL)?;
        tool.get("eager_input_streaming").map(|node| node.flag()).transpose()?;
        tool.get("type").map(|node| node.word(&["custom"])).transpose()?;
        tool.get("description").map(|node| node.text()).transpose()?;
        let strict = tool.get("strict").map_or(Ok(false), |node| node.flag())?;
        let schema = tool.need("input_schema")?;
        schema.need("type")?.word(&["object"])?;
        if strict {
            schema.closed_schema(false)?;
        }
        let name = tool.need("name")?.name(128)?.to_owned();
        ask.tools.push(Tool { name, schema: schema.object()?.clone() });
    }
    let Some(choice) = root.get("tool_choice") else { return Ok(()) };
    choice.only(&["type", "name", "disable_parallel_tool_use"])?;
    if ask.tools.is_empty() {
        return Err(choice.wrong("may only be specified while providing tools"));
    }
    ask.one_call = choice.get("disable_parallel_tool_use").map_or(Ok(false), |node| node.flag())?;
    ask.choice = match choice.need("type")?.word(&["auto", "any", "tool", "none"])? {
        "auto" => Choice::Auto,
        "none" => Choice::None,
        _ if ask.thinks => return Err(choice.wrong("thinking may not be enabled when it forces tool use")),
        "any" => Choice::Any,
        _ => Choice::Named(choice.need("name")?.text()?.to_owned()),
    };
    match &ask.choice {
        Choice::Named(name) if !ask.tools.iter().any(|tool| tool.name == *name) => {
            Err(choice.wrong(format!("Tool '{name}' not found in provided tools")))
        }
        _ => Ok(()),
    }
}

fn messages(messages: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    let list = messages.filled_list()?;
    for (at, message) in list.iter().enumerate() {
        message.only(&["role", "content"])?;
        let role = match message.need("role")?.word(&["user", "assistant"])? {
            "user" => Role::User,
            _ if at == 0 => return Err(message.wrong("the first message must use the user role")),
            _ => Role::Model,
        };
        let content = message.need("content")?;
        let parts = match content.text() {
            Ok("") => return Err(content.wrong("must have non-empty content")),
            Ok(text) => vec![Part::Text(text.to_owned())],
            Err(_) => content.filled_list()?.iter().map(|block| part(block, role)).collect::<Checked<_>>()?,
        };
        let results_end = parts.iter().rposition(|part| matches!(part, Part::Result { .. }));
        if results_end.is_some_and(|end| !parts[..end].iter().all(|part| matches!(part, Part::Result { .. })))
        {
            return Err(content.wrong("tool_result blocks must come first"));
        }
        let calls = parts.iter().any(|part| matches!(part, Part::Call { .. }));
        // Only of the calls whose results come now: earlier ones may be another model's.
        let is_open = at + 2 == list.len();
        if ask.thinks && calls && is_open && !matches!(parts.first(), Some(Part::Thought)) {
            return Err(content.wrong("expected `thinking` or `redacted_thinking` before `tool_use`"));
        }
        if at + 1 == list.len() && role == Role::Model && content.text().is_ok_and(|text| text.ends_with(' '))
        {
            return Err(content.wrong("final assistant content cannot end with trailing whitespace"));
        }
        ask.push(role, parts);
    }
    ask.calls_are_answered().map_err(|what| messages.wrong(what))
}

fn part(block: &Node<'_>, role: Role) -> Checked<Part> {
    let kinds: &[&str] = match role {
        Role::User => &["text", "image", "document", "tool_result"],
        Role::Model => &["text", "tool_use", "thinking", "redacted_thinking"],
    };
    let named = |name: &str| block.need(name)?.text().map(str::to_owned);
    match block.need("type")?.word(kinds)? {
        "text" => {
            block.only(&["type", "text", "cache_control", "citations"])?;
            block.need("text")?.filled().map(|text| Part::Text(text.to_owned()))
        }
        "image" => {
            block.only(&["type", "source", "cache_control"])?;
            source(block, &["image/png", "image/jpeg", "image/gif", "image/webp"]).map(Part::Image)
        }
        "document" => {
            block.only(&["type", "source", "cache_control", "title", "context", "citations"])?;
            source(block, &["application/pdf", "text/plain"]).map(Part::File)
        }
        "tool_use" => {
            block.only(&["type", "id", "name", "input", "cache_control"])?;
            block.need("input")?.object()?;
            Ok(Part::Call { id: block.need("id")?.name(64)?.to_owned(), name: named("name")? })
        }
        "tool_result" => {
            block.only(&["type", "tool_use_id", "content", "is_error", "cache_control"])?;
            block.get("is_error").map(|node| node.flag()).transpose()?;
            let text = block.get("content").map_or(Ok(Vec::new()), |content| texts(&content))?.join(" ");
            Ok(Part::Result { id: named("tool_use_id")?, text })
        }
        "thinking" => {
            block.only(&["type", "thinking", "signature"])?;
            let given = block.need("signature")?;
            if given.text()? == signature(&named("thinking")?) {
                Ok(Part::Thought)
            } else {
                Err(given.wrong("Invalid `signature` in `thinking` block"))
            }
        }
        _ => block.only(&["type", "data"]).map(|()| Part::Thought),
    }
}

/// Bytes of a picture or file.
fn source(block: &Node<'_>, media_types: &[&str]) -> Checked<usize> {
    let source = block.need("source")?;
    match source.need("type")?.word(&["base64", "url", "file", "text"])? {
        "base64" => {
            source.only(&["type", "media_type", "data"])?;
            source.need("media_type")?.word(media_types)?;
            source.need("data")?.base64()
        }
        "url" => {
            source.only(&["type", "url"])?;
            let url = source.need("url")?;
            if url.text()?.starts_with("https://") { Ok(0) } else { Err(url.wrong("must be an https URL")) }
        }
        "text" => source.need("data")?.text().map(str::len),
        _ => source.need("file_id")?.text().map(|_| 0),
    }
}

/// A text, or the texts of text blocks; pictures in results are told by their size.
fn texts(node: &Node<'_>) -> Checked<Vec<String>> {
    if let Ok(text) = node.text() {
        return Ok(vec![text.to_owned()]);
    }
    let told = |block: &Node<'_>| match part(block, Role::User)? {
        Part::Text(text) => Ok(text),
        Part::Image(bytes) | Part::File(bytes) => Ok(format!("{bytes} bytes")),
        _ => Err(block.wrong("has no place here")),
    };
    node.list()?.iter().map(told).collect()
}

/// The proof that a thought is unchanged.
pub(in super::super) fn signature(thought: &str) -> String {
    format!("sig-{:016x}", hash(thought.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut body =
            json!({ "model": "m", "max_tokens": 10, "messages": [{ "role": "user", "content": "Hi" }] });
        change(&mut body);
        let mistake = read(&Node::root(&body), false).unwrap_err();
        format!("{}: {}", mistake.path, mistake.what)
    }

    #[test]
    fn what_the_api_refuses_is_refused() {
        assert!(refused(|body| body["max_tokens"] = Value::Null).starts_with("max_tokens: is required"));
        assert!(refused(|body| body["seed"] = json!(1)).starts_with("seed: is no known"));
        assert!(refused(|body| body["messages"][0]["role"] = json!("system")).starts_with("messages.0.role"));
        assert!(refused(|body| body["temperature"] = json!(1.5)).starts_with("temperature: must be between"));
        assert!(refused(|body| body["messages"][0]["content"] = json!([])).contains("at least one"));
        let thought = json!([{ "role": "user", "content": "Hi" }, { "role": "assistant", "content":
            [{ "type": "thinking", "thinking": "Hm.", "signature": "forged" }] }]);
        assert!(refused(|body| body["messages"] = thought).contains("Invalid `signature`"));
    }

    #[test]
    fn thoughts_are_missed_before_the_calls_that_are_answered_now_alone() {
        let round = |id: &str| {
            [
                json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": id, "name": "t", "input": {} }] }),
                json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "r" }] }),
            ]
        };
        let thinking = |more: &[Value]| {
            let mut messages = vec![json!({ "role": "user", "content": "Hi" })];
            messages.extend(round("a"));
            messages.extend_from_slice(more);
            let body = json!({ "model": "m", "max_tokens": 4096, "messages": messages,
                "thinking": { "type": "enabled", "budget_tokens": 1024 } });
            read(&Node::root(&body), false).map(|_| ())
        };
        assert!(thinking(&[]).unwrap_err().what.contains("before `tool_use`"));
        let answered =
            [json!({ "role": "assistant", "content": "r" }), json!({ "role": "user", "content": "So?" })];
        assert_eq!(thinking(&answered), Ok(()));
    }
}
