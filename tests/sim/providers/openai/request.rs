//! A Chat Completions request, read as strictly as OpenAI does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::ask::{Ask, Choice, Part, Role, Tool};
use super::super::catalogue::{Kind, Offer};
use super::super::check::{Checked, Node};
use super::Extras;

const FIELDS: [&str; 34] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "user",
    "response_format",
    "reasoning_effort",
    "stream",
    "stream_options",
    "store",
    "metadata",
    "service_tier",
    "modalities",
    "audio",
    "prediction",
    "verbosity",
    "web_search_options",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "moderation",
];

/// Reads a request for this model.
pub(in super::super) fn read(root: &Node<'_>, offer: &Offer, azure: bool) -> Checked<(Ask, Extras)> {
    root.only(&FIELDS)?;
    if offer.is_of_responses_alone() {
        let what = "is only supported in v1/responses and not in v1/chat/completions";
        return Err(root.need("model")?.wrong(what));
    }
    let mut ask = Ask::default();
    sampling(root, offer, &mut ask)?;
    ask.stream = root.get("stream").map_or(Ok(false), |node| node.flag())?;
    let mut extras = Extras { filters: azure, ..Extras::default() };
    if let Some(options) = root.get("stream_options") {
        options.only(&["include_usage", "include_obfuscation"])?;
        if !ask.stream {
            return Err(options.wrong("is only allowed when stream is enabled"));
        }
        extras.wants_usage = options.get("include_usage").map_or(Ok(false), |node| node.flag())?;
    }
    if let Some(form) = root.get("response_format") {
        ask.schema = response_format(&form)?;
    }
    tools(root, &mut ask)?;
    tools_with_thoughts(root, offer)?;
    let messages = root.need("messages")?;
    for message in messages.filled_list()? {
        read_message(&message, &mut ask)?;
    }
    ask.calls_are_answered().map_err(|what| messages.wrong(what))?;
    Ok((ask, extras))
}

fn sampling(root: &Node<'_>, offer: &Offer, ask: &mut Ask) -> Checked<()> {
    let thinker = offer.kind == Kind::Thinker;
    root.get("temperature").map(|node| node.number(0.0, 2.0)).transpose()?;
    root.get("top_p").map(|node| node.number(0.0, 1.0)).transpose()?;
    root.get("frequency_penalty").map(|node| node.number(-2.0, 2.0)).transpose()?;
    root.get("presence_penalty").map(|node| node.number(-2.0, 2.0)).transpose()?;
    root.get("logprobs").map(|node| node.flag()).transpose()?;
    root.get("top_logprobs").map(|node| node.number(0.0, 20.0)).transpose()?;
    root.get("parallel_tool_calls").map(|node| node.flag()).transpose()?;
    root.get("n").map(|node| node.number(1.0, 1.0)).transpose()?;
    if thinker {
        for name in ["max_tokens", "temperature", "top_p", "stop", "logprobs", "logit_bias"] {
            let changed = |node: &Node<'_>| node.raw().as_f64() != Some(1.0);
            if let Some(node) = root.get(name).filter(changed) {
                return Err(node.wrong("is not supported with this model"));
            }
        }
    }
    let most = root.get("max_completion_tokens").or_else(|| root.get("max_tokens"));
    ask.max_tokens = most.map(|node| node.count()).transpose()?;
    if let Some(stop) = root.get("stop") {
        ask.stop = stop.text().map_or_else(|_| stop.texts(), |text| Ok(vec![text.to_owned()]))?;
        if ask.stop.len() > 4 {
            return Err(stop.wrong("must have at most 4 elements"));
        }
    }
    if let Some(effort) = root.get("reasoning_effort") {
        if !thinker {
            return Err(effort.wrong("is no known field for this model"));
        }
        ask.thinks = effort.word(&["none", "minimal", "low", "medium", "high", "xhigh"])? != "none";
    }
    Ok(())
}

fn response_format(form: &Node<'_>) -> Checked<Option<Value>> {
    match form.need("type")?.word(&["text", "json_object", "json_schema"])? {
        "text" => form.only(&["type"]).map(|()| None),
        "json_object" => form.only(&["type"]).map(|()| Some(json!({}))),
        _ => {
            form.only(&["type", "json_schema"])?;
            named_schema(&form.need("json_schema")?, &["name", "description", "schema", "strict"]).map(Some)
        }
    }
}

/// A schema with its name; a strict one must be closed.
pub(super) fn named_schema(form: &Node<'_>, fields: &[&str]) -> Checked<Value> {
    form.only(fields)?;
    form.need("name")?.name(64)?;
    form.get("description").map(|node| node.text()).transpose()?;
    let schema = form.need("schema")?;
    if form.get("strict").map_or(Ok(false), |node| node.flag())? {
        schema.closed_schema(true)?;
    }
    schema.object().cloned()
}

fn tools(root: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    for tool in root.get("tools").map_or(Ok(Vec::new()), |node| node.filled_list())? {
        tool.only(&["type", "function"])?;
        tool.need("type")?.word(&["function"])?;
        ask.tools.push(function(&tool.need("function")?, &["name", "description", "parameters", "strict"])?);
    }
    if ask.tools.is_empty() {
        for name in ["tool_choice", "parallel_tool_calls"] {
            if let Some(node) = root.get(name) {
                return Err(node.wrong("is only allowed when 'tools' are specified"));
            }
        }
    }
    ask.one_call = root.get("parallel_tool_calls").map_or(Ok(false), |node| node.flag().map(|flag| !flag))?;
    let Some(choice) = root.get("tool_choice") else { return Ok(()) };
    ask.choice = match choice.text() {
        Ok(_) => word_choice(&choice)?,
        Err(_) => {
            choice.only(&["type", "function"])?;
            choice.need("type")?.word(&["function"])?;
            Choice::Named(choice.need("function")?.need("name")?.text()?.to_owned())
        }
    };
    is_declared(&choice, ask)
}

/// Newer models think before they call a function in Responses alone; an effort that is not said is theirs.
fn tools_with_thoughts(root: &Node<'_>, offer: &Offer) -> Checked<()> {
    let Some(tools) = root.get("tools") else { return Ok(()) };
    let effort = root.get("reasoning_effort");
    let thinks = effort.as_ref().is_none_or(|effort| effort.raw() != "none");
    if thinks && offer.thinks_with_tools_in_responses_alone() {
        return Err(effort.unwrap_or(tools).wrong(format!(
            "Function tools with reasoning_effort are not supported for {} in /v1/chat/completions. To use \
             function tools, use /v1/responses or set reasoning_effort to 'none'",
            offer.model.name
        )));
    }
    Ok(())
}

/// A tool choice of one word.
pub(super) fn word_choice(choice: &Node<'_>) -> Checked<Choice> {
    Ok(match choice.word(&["auto", "none", "required"])? {
        "auto" => Choice::Auto,
        "none" => Choice::None,
        _ => Choice::Any,
    })
}

/// Refuses the choice of a tool that is not there.
pub(super) fn is_declared(choice: &Node<'_>, ask: &Ask) -> Checked<()> {
    match &ask.choice {
        Choice::Named(name) if !ask.tools.iter().any(|tool| tool.name == *name) => {
            Err(choice.wrong(format!("names the tool '{name}', which is not in 'tools'")))
        }
        _ => Ok(()),
    }
}

/// A function with these fields.
pub(super) fn function(function: &Node<'_>, fields: &[&str]) -> Checked<Tool> {
    function.only(fields)?;
    function.get("description").map(|node| node.text()).transpose()?;
    let schema = function.get("parameters");
    if let Some(schema) = &schema {
        schema.object()?;
        if function.get("strict").map_or(Ok(false), |node| node.flag())? {
            schema.closed_schema(true)?;
        }
    }
    let schema = schema.map_or_else(|| json!({}), |schema| schema.raw().clone());
    Ok(Tool { name: function.need("name")?.name(64)?.to_owned(), schema })
}

fn read_message(message: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    let content = message.get("content");
    match message.need("role")?.word(&["system", "developer", "user", "assistant", "tool"])? {
        "user" => {
            message.only(&["role", "content", "name"])?;
            let content = message.need("content")?;
            let parts = match content.text() {
                Ok(text) => vec![Part::Text(text.to_owned())],
                Err(_) => content.filled_list()?.iter().map(part).collect::<Checked<_>>()?,
            };
            ask.push(Role::User, parts);
        }
        "assistant" => {
            message.only(&["role", "content", "name", "refusal", "tool_calls", "audio", "annotations"])?;
            let mut parts: Vec<Part> = match &content {
                Some(content) => texts(content)?.into_iter().map(Part::Text).collect(),
                None => Vec::new(),
            };
            for call in message.get("tool_calls").map_or(Ok(Vec::new()), |node| node.filled_list())? {
                parts.push(tool_call(&call)?);
            }
            if parts.is_empty() && message.get("refusal").is_none() {
                return Err(message.wrong("must have content or tool_calls"));
            }
            ask.push(Role::Model, parts);
        }
        "tool" => {
            message.only(&["role", "content", "tool_call_id"])?;
            let id = message.need("tool_call_id")?.text()?.to_owned();
            let text = texts(&message.need("content")?)?.join(" ");
            ask.push(Role::User, vec![Part::Result { id, text }]);
        }
        _ => {
            message.only(&["role", "content", "name"])?;
            ask.system.extend(texts(&message.need("content")?)?);
        }
    }
    Ok(())
}

fn tool_call(call: &Node<'_>) -> Checked<Part> {
    call.only(&["id", "type", "function"])?;
    call.need("type")?.word(&["function"])?;
    let function = call.need("function")?;
    function.only(&["name", "arguments"])?;
    function.need("arguments")?.json()?;
    let id = call.need("id")?;
    if id.filled()?.len() > 40 {
        return Err(id.wrong("must be at most 40 letters long"));
    }
    Ok(Part::Call { id: id.text()?.to_owned(), name: function.need("name")?.name(64)?.to_owned() })
}

fn part(part: &Node<'_>) -> Checked<Part> {
    match part.need("type")?.word(&["text", "image_url", "input_audio", "file"])? {
        "text" => {
            part.only(&["type", "text"])?;
            part.need("text")?.text().map(|text| Part::Text(text.to_owned()))
        }
        "image_url" => {
            part.only(&["type", "image_url"])?;
            let image = part.need("image_url")?;
            image.only(&["url", "detail"])?;
            image.get("detail").map(|node| node.word(&["auto", "low", "high"])).transpose()?;
            picture(&image.need("url")?).map(Part::Image)
        }
        "input_audio" => part.need("input_audio")?.need("data")?.base64().map(Part::File),
        _ => {
            let file = part.need("file")?;
            file.only(&["file_data", "file_id", "filename"])?;
            file.get("file_data").map_or(Ok(0), |data| data_url(&data, "data:")).map(Part::File)
        }
    }
}

/// Bytes of a picture; 0 when it is elsewhere.
pub(super) fn picture(url: &Node<'_>) -> Checked<usize> {
    match url.text()? {
        text if text.starts_with("https://") || text.starts_with("http://") => Ok(0),
        _ => data_url(url, "data:image/"),
    }
}

/// Bytes of a `data:` URL.
pub(super) fn data_url(url: &Node<'_>, begin: &str) -> Checked<usize> {
    let text = url.text()?;
    let data = text.strip_prefix(begin).and_then(|rest| rest.split_once(";base64,"));
    let (_, data) = data.ok_or_else(|| url.wrong("must be a URL or base64 data"))?;
    STANDARD.decode(data).map(|bytes| bytes.len()).map_err(|reason| url.wrong(reason.to_string()))
}

fn texts(content: &Node<'_>) -> Checked<Vec<String>> {
    if let Ok(text) = content.text() {
        return Ok(vec![text.to_owned()]);
    }
    let text = |part: &Node<'_>| match part.need("type")?.word(&["text", "refusal"])? {
        "text" => part.need("text")?.text().map(str::to_owned),
        _ => part.need("refusal")?.text().map(str::to_owned),
    };
    content.filled_list()?.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::catalogue::find;
    use super::*;

    fn refused(model: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hi" }] });
        change(&mut body);
        let mistake = read(&Node::root(&body), find(model).unwrap(), false).unwrap_err();
        format!("{}: {}", mistake.path, mistake.what)
    }

    #[test]
    fn what_the_api_refuses_is_refused() {
        let small = "gpt-4.1-mini";
        assert!(refused(small, |body| body["top_k"] = json!(1)).starts_with("top_k: is no known"));
        assert!(
            refused(small, |body| body["messages"][0]["role"] = json!("model")).contains("must be one of")
        );
        assert!(
            refused(small, |body| body["tool_choice"] = json!("auto")).contains("only allowed when 'tools'")
        );
        assert!(refused(small, |body| body["stream_options"] = json!({})).contains("when stream is enabled"));
        assert!(refused("gpt-5-mini", |body| body["max_tokens"] = json!(9)).contains("not supported"));
        assert!(refused("gpt-5.3-codex", |_| {}).contains("only supported in v1/responses"));
        let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
        assert!(refused("gpt-5.6-sol", |body| body["tools"] = tools).contains("use /v1/responses"));
        let open = json!({ "type": "json_schema", "json_schema": { "name": "x", "strict": true,
            "schema": { "type": "object", "properties": { "a": {} } } } });
        assert!(refused(small, |body| body["response_format"] = open).contains("additionalProperties"));
    }
}
