//! A Converse request, read as strictly as Bedrock does.

use super::super::anthropic::{read_thinking, signature};
use super::super::ask::{Ask, Choice, Part, Role, Tool};
use super::super::catalogue::{Kind, Offer};
use super::super::check::{Checked, Node};

/// What an answer must have besides.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Extras {
    /// Whether the text that ended the answer is told.
    pub(in super::super) shows_stop_text: bool,
}

const FIELDS: [&str; 12] = [
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "guardrailConfig",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "promptVariables",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
    "outputConfig",
];

/// Reads a request for this model.
pub(in super::super) fn read(root: &Node<'_>, offer: &Offer) -> Checked<(Ask, Extras)> {
    root.only(&FIELDS)?;
    let is_claude = offer.kind == Kind::Thinker;
    let mut ask = Ask { talks_first: true, ..Ask::default() };
    for block in root.get("system").map_or(Ok(Vec::new()), |node| node.list())? {
        if let ("text", text) = block.one_of(&["text", "cachePoint", "guardContent"])? {
            ask.system.push(text.filled()?.to_owned());
        }
    }
    inference(root, is_claude, &mut ask)?;
    tools(root, &mut ask)?;
    if let Some(extra) = root.get("additionalModelRequestFields") {
        if is_claude {
            claude(&extra, &mut ask)?;
        } else {
            extra.only(&["inferenceConfig"])?;
            let more = extra.need("inferenceConfig")?;
            more.only(&["topK"])?;
            more.need("topK")?.count()?;
        }
    }
    if let Some(config) = root.get("outputConfig") {
        if !is_claude {
            return Err(config.wrong("is not supported by this model"));
        }
        output(&config, &mut ask)?;
    }
    if let Some(metadata) = root.get("requestMetadata") {
        for name in metadata.object()?.as_object().into_iter().flat_map(|fields| fields.keys()) {
            metadata.need(name)?.text()?;
        }
    }
    if let Some(tier) = root.get("serviceTier") {
        tier.only(&["type"])?;
        tier.need("type")?.word(&["default", "flex", "priority", "reserved"])?;
    }
    messages(root, &mut ask)?;
    let paths = root.get("additionalModelResponseFieldPaths").map_or(Ok(Vec::new()), |node| node.texts())?;
    Ok((ask, Extras { shows_stop_text: paths.iter().any(|path| path == "/stop_sequence") }))
}

fn inference(root: &Node<'_>, is_claude: bool, ask: &mut Ask) -> Checked<()> {
    let Some(config) = root.get("inferenceConfig") else { return Ok(()) };
    config.only(&["maxTokens", "temperature", "topP", "stopSequences"])?;
    if let Some(most) = config.get("maxTokens") {
        ask.max_tokens = Some(most.count()?).filter(|most| *most > 0);
        ask.max_tokens.ok_or_else(|| most.wrong("must have value greater than or equal to 1"))?;
    }
    config.get("temperature").map(|node| node.number(0.0, 1.0)).transpose()?;
    if let Some(top_p) = config.get("topP") {
        top_p.number(0.0, 1.0)?;
        if is_claude && config.get("temperature").is_some() {
            return Err(top_p.wrong("and temperature cannot both be specified for this model"));
        }
    }
    ask.stop = config.get("stopSequences").map_or(Ok(Vec::new()), |node| node.texts())?;
    Ok(())
}

fn tools(root: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    let Some(config) = root.get("toolConfig") else { return Ok(()) };
    config.only(&["tools", "toolChoice"])?;
    for tool in config.need("tools")?.filled_list()? {
        let (kind, spec) = tool.one_of(&["toolSpec", "cachePoint", "systemTool"])?;
        if kind != "toolSpec" {
            continue;
        }
        spec.only(&["name", "description", "inputSchema", "strict"])?;
        spec.get("description").map(|node| node.filled()).transpose()?;
        spec.get("strict").map(|node| node.flag()).transpose()?;
        let (_, schema) = spec.need("inputSchema")?.one_of(&["json"])?;
        schema.need("type")?.word(&["object"])?;
        let name = spec.need("name")?.name(64)?.to_owned();
        ask.tools.push(Tool { name, schema: schema.object()?.clone() });
    }
    let Some(choice) = config.get("toolChoice") else { return Ok(()) };
    ask.choice = match choice.one_of(&["auto", "any", "tool"])? {
        ("any", empty) => empty.only(&[]).map(|()| Choice::Any)?,
        ("tool", tool) => {
            tool.only(&["name"])?;
            Choice::Named(tool.need("name")?.text()?.to_owned())
        }
        (_, empty) => empty.only(&[]).map(|()| Choice::Auto)?,
    };
    Ok(())
}

/// Fields that Anthropic's models have besides those of Converse.
fn claude(extra: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    extra.only(&["thinking", "top_k", "tool_choice", "anthropic_beta"])?;
    extra.get("top_k").map(|node| node.count()).transpose()?;
    ask.thinks = read_thinking(extra, ask.max_tokens)?;
    let Some(choice) = extra.get("tool_choice") else { return Ok(()) };
    choice.only(&["type", "name", "disable_parallel_tool_use"])?;
    ask.one_call = choice.get("disable_parallel_tool_use").map_or(Ok(false), |node| node.flag())?;
    ask.choice = match choice.need("type")?.word(&["auto", "any", "tool", "none"])? {
        "auto" => Choice::Auto,
        "none" => Choice::None,
        "any" => Choice::Any,
        _ => Choice::Named(choice.need("name")?.text()?.to_owned()),
    };
    Ok(())
}

fn output(config: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    config.only(&["textFormat", "effort"])?;
    config.get("effort").map(|node| node.word(&["low", "medium", "high", "max"])).transpose()?;
    let Some(format) = config.get("textFormat") else { return Ok(()) };
    format.only(&["type", "structure"])?;
    format.need("type")?.word(&["json_schema"])?;
    let (_, schema) = format.need("structure")?.one_of(&["jsonSchema"])?;
    schema.only(&["schema", "name", "description"])?;
    let text = schema.need("schema")?;
    let parsed = text.json()?;
    Node::root(&parsed).closed_schema(false)?;
    ask.schema = Some(parsed);
    Ok(())
}

fn messages(root: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    let messages = root.need("messages")?;
    let mut before = Role::Model;
    for (at, message) in messages.filled_list()?.iter().enumerate() {
        message.only(&["role", "content"])?;
        let role = match message.need("role")?.word(&["user", "assistant"])? {
            "user" => Role::User,
            _ => Role::Model,
        };
        if role == before {
            return Err(messages.wrong(match at {
                0 => "a conversation must start with a user message",
                _ => "a conversation must alternate between user and assistant roles",
            }));
        }
        before = role;
        let blocks = message.need("content")?.filled_list()?;
        let parts: Vec<Option<Part>> =
            blocks.iter().map(|block| part(block, role)).collect::<Checked<_>>()?;
        ask.push(role, parts.into_iter().flatten().collect());
    }
    let uses_tools = |part: &Part| matches!(part, Part::Call { .. } | Part::Result { .. });
    if ask.tools.is_empty() && ask.turns.iter().flat_map(|turn| &turn.parts).any(uses_tools) {
        return Err(root.wrong("must have toolConfig when using toolUse and toolResult content blocks"));
    }
    ask.calls_are_answered().map_err(|what| messages.wrong(what))
}

fn part(block: &Node<'_>, role: Role) -> Checked<Option<Part>> {
    let kinds: &[&'static str] = match role {
        Role::User => &["text", "image", "document", "toolResult", "cachePoint"],
        Role::Model => &["text", "toolUse", "reasoningContent", "cachePoint"],
    };
    let (kind, inner) = block.one_of(kinds)?;
    block.only(&[kind])?;
    Ok(Some(match kind {
        "text" => Part::Text(inner.filled()?.to_owned()),
        "image" => {
            inner.only(&["format", "source"])?;
            inner.need("format")?.word(&["png", "jpeg", "gif", "webp"])?;
            Part::Image(source(&inner)?)
        }
        "document" => {
            inner.only(&["format", "name", "source", "context", "citations"])?;
            inner.need("name")?.filled()?;
            inner.need("format")?.word(&["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"])?;
            Part::File(source(&inner)?)
        }
        "toolUse" => {
            inner.only(&["toolUseId", "name", "input"])?;
            inner.need("input")?.object()?;
            let id = inner.need("toolUseId")?.name(64)?.to_owned();
            Part::Call { id, name: inner.need("name")?.name(64)?.to_owned() }
        }
        "toolResult" => {
            inner.only(&["toolUseId", "content", "status"])?;
            inner.get("status").map(|node| node.word(&["success", "error"])).transpose()?;
            let id = inner.need("toolUseId")?.name(64)?.to_owned();
            let texts =
                inner.need("content")?.list()?.iter().map(result_text).collect::<Checked<Vec<_>>>()?;
            Part::Result { id, text: texts.join(" ") }
        }
        "reasoningContent" => thought(&inner)?,
        _ => {
            inner.only(&["type", "ttl"])?;
            inner.need("type")?.word(&["default"])?;
            return Ok(None);
        }
    }))
}

fn source(block: &Node<'_>) -> Checked<usize> {
    match block.need("source")?.one_of(&["bytes", "s3Location", "text"])? {
        ("bytes", bytes) => bytes.base64(),
        ("text", text) => text.text().map(str::len),
        _ => Ok(0),
    }
}

fn result_text(block: &Node<'_>) -> Checked<String> {
    Ok(match block.one_of(&["text", "json", "image", "document"])? {
        ("text", text) => text.text()?.to_owned(),
        ("json", json) => json.object()?.to_string(),
        (_, media) => format!("{} bytes", source(&media)?),
    })
}

fn thought(block: &Node<'_>) -> Checked<Part> {
    let ("reasoningText", text) = block.one_of(&["reasoningText", "redactedContent"])? else {
        return Ok(Part::Thought);
    };
    text.only(&["text", "signature"])?;
    let given = text.need("signature")?;
    if given.text()? == signature(text.need("text")?.text()?) {
        Ok(Part::Thought)
    } else {
        Err(given.wrong("Invalid `signature` in `thinking` block"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::catalogue::find;
    use super::*;

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut body = json!({ "messages": [{ "role": "user", "content": [{ "text": "Hi" }] }] });
        let offer = find("amazon.nova-pro-v1:0").unwrap();
        assert!(read(&Node::root(&body), offer).is_ok());
        change(&mut body);
        let mistake = read(&Node::root(&body), offer).unwrap_err();
        format!("{}: {}", mistake.path, mistake.what)
    }

    #[test]
    fn what_the_api_refuses_is_refused() {
        assert!(refused(|body| body["messages"][0]["content"][0]["text"] = json!(" ")).contains("empty"));
        assert!(
            refused(|body| body["messages"][0]["role"] = json!("assistant")).contains("start with a user")
        );
        assert!(
            refused(|body| {
                let again = body["messages"][0].clone();
                body["messages"].as_array_mut().unwrap().push(again);
            })
            .contains("alternate")
        );
        assert!(refused(|body| body["model"] = json!("m")).contains("no known field"));
        let image = json!({ "image": { "format": "png", "source": { "bytes": "?" } } });
        assert!(refused(|body| body["messages"][0]["content"][0] = image).contains("base64"));
        assert!(refused(|body| body["inferenceConfig"] = json!({ "temperature": 1.2 })).contains("between"));
    }
}
