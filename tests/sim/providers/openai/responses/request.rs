//! A Responses request, read as strictly as OpenAI does.

use serde_json::{Value, json};

use super::super::super::ask::{Ask, Choice, Part, Role, Turn};
use super::super::super::catalogue::{Kind, Offer};
use super::super::super::check::{Checked, Node};
use super::super::request::{data_url, function, is_declared, named_schema, picture, word_choice};
use super::resume;

const FIELDS: [&str; 29] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "max_output_tokens",
    "temperature",
    "top_p",
    "stream",
    "stream_options",
    "store",
    "previous_response_id",
    "metadata",
    "include",
    "truncation",
    "user",
    "background",
    "conversation",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "max_tool_calls",
    "top_logprobs",
    "prompt",
    "context_management",
];

/// Reads a request for this model that goes on after `earlier`.
pub(in super::super::super) fn read(root: &Node<'_>, offer: &Offer, earlier: &[Turn]) -> Checked<Ask> {
    root.only(&FIELDS)?;
    let mut ask = Ask { caches: true, ..Ask::default() };
    if let Some(instructions) = root.get("instructions") {
        ask.system.push(instructions.text()?.to_owned());
    }
    if let Some(most) = root.get("max_output_tokens") {
        let tokens = most.count()?;
        if tokens < 16 {
            return Err(most.wrong("must be at least 16"));
        }
        ask.max_tokens = Some(tokens);
    }
    for name in ["temperature", "top_p"] {
        let Some(node) = root.get(name) else { continue };
        node.number(0.0, 2.0)?;
        if offer.kind == Kind::Thinker && node.raw().as_f64() != Some(1.0) {
            return Err(node.wrong("is not supported with this model"));
        }
    }
    if let Some(reasoning) = root.get("reasoning") {
        reasoning.only(&["effort", "summary", "generate_summary"])?;
        if offer.kind != Kind::Thinker {
            return Err(reasoning.wrong("is not supported with this model"));
        }
        reasoning.get("summary").map(|node| node.word(&["auto", "concise", "detailed"])).transpose()?;
        let efforts = ["none", "minimal", "low", "medium", "high", "xhigh"];
        let effort = reasoning.get("effort").map(|node| node.word(&efforts)).transpose()?;
        ask.thinks = effort != Some("none");
    }
    ask.stream = root.get("stream").map_or(Ok(false), |node| node.flag())?;
    for name in ["store", "background", "parallel_tool_calls"] {
        root.get(name).map(|node| node.flag()).transpose()?;
    }
    if let Some(text) = root.get("text") {
        text.only(&["format", "verbosity"])?;
        text.get("verbosity").map(|node| node.word(&["low", "medium", "high"])).transpose()?;
        ask.schema = text.get("format").map_or(Ok(None), |form| format(&form))?;
    }
    tools(root, &mut ask)?;
    input(&root.need("input")?, &mut ask)?;
    resume(&mut ask, earlier);
    ask.calls_are_answered().map_err(|what| root.wrong(what))?;
    Ok(ask)
}

fn format(form: &Node<'_>) -> Checked<Option<Value>> {
    match form.need("type")?.word(&["text", "json_object", "json_schema"])? {
        "text" => Ok(None),
        "json_object" => Ok(Some(json!({}))),
        _ => named_schema(form, &["type", "name", "description", "schema", "strict"]).map(Some),
    }
}

fn tools(root: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    for tool in root.get("tools").map_or(Ok(Vec::new()), |node| node.list())? {
        tool.need("type")?.word(&["function"])?;
        ask.tools.push(function(&tool, &["type", "name", "description", "parameters", "strict"])?);
    }
    ask.one_call = root.get("parallel_tool_calls").map_or(Ok(false), |node| node.flag().map(|flag| !flag))?;
    let Some(choice) = root.get("tool_choice") else { return Ok(()) };
    ask.choice = match choice.text() {
        Ok(_) => word_choice(&choice)?,
        Err(_) => {
            choice.only(&["type", "name"])?;
            choice.need("type")?.word(&["function"])?;
            Choice::Named(choice.need("name")?.text()?.to_owned())
        }
    };
    is_declared(&choice, ask)
}

fn input(input: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    if let Ok(text) = input.text() {
        ask.push(Role::User, vec![Part::Text(text.to_owned())]);
        return Ok(());
    }
    input.list()?.iter().try_for_each(|item| read_item(item, ask))
}

fn read_item(item: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    let kinds = ["message", "function_call", "function_call_output", "reasoning", "item_reference"];
    let owned = |name: &str| item.need(name)?.text().map(str::to_owned);
    match item.get("type").map_or(Ok("message"), |kind| kind.word(&kinds))? {
        "message" => message(item, ask)?,
        "function_call" => {
            item.only(&["type", "id", "call_id", "name", "arguments", "status", "namespace"])?;
            item.need("arguments")?.json()?;
            ask.push(Role::Model, vec![Part::Call { id: owned("call_id")?, name: owned("name")? }]);
        }
        "function_call_output" => {
            item.only(&["type", "id", "call_id", "output", "status"])?;
            let output = item.need("output")?;
            let text = match output.text() {
                Ok(text) => text.to_owned(),
                Err(_) => output.list()?.iter().map(output_text).collect::<Checked<Vec<_>>>()?.join(" "),
            };
            ask.push(Role::User, vec![Part::Result { id: owned("call_id")?, text }]);
        }
        "reasoning" => {
            item.only(&["type", "id", "summary", "content", "encrypted_content", "status"])?;
            item.need("id")?.text()?;
            item.need("summary")?.list()?;
        }
        _ => return Err(item.wrong("refers to an item that was not found")),
    }
    Ok(())
}

fn message(item: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    item.only(&["type", "role", "content", "id", "status", "phase"])?;
    let role = item.need("role")?.word(&["user", "assistant", "system", "developer"])?;
    let content = item.need("content")?;
    let parts = match content.text() {
        Ok(text) => vec![Part::Text(text.to_owned())],
        Err(_) => content.list()?.iter().map(|node| part(node, role)).collect::<Checked<_>>()?,
    };
    match role {
        "user" => ask.push(Role::User, parts),
        "assistant" => ask.push(Role::Model, parts),
        _ => ask.system.extend(parts.into_iter().filter_map(|part| match part {
            Part::Text(text) => Some(text),
            _ => None,
        })),
    }
    Ok(())
}

fn part(part: &Node<'_>, role: &str) -> Checked<Part> {
    let kinds: &[&str] = match role {
        "assistant" => &["output_text", "refusal"],
        _ => &["input_text", "input_image", "input_file"],
    };
    let text = |name: &str| part.need(name)?.text().map(|text| Part::Text(text.to_owned()));
    match part.need("type")?.word(kinds)? {
        "input_image" => {
            part.only(&["type", "image_url", "detail", "file_id"])?;
            part.get("image_url").map_or(Ok(0), |url| picture(&url)).map(Part::Image)
        }
        "input_file" => {
            part.only(&["type", "file_data", "file_id", "file_url", "filename"])?;
            part.get("file_data").map_or(Ok(0), |data| data_url(&data, "data:")).map(Part::File)
        }
        "refusal" => text("refusal"),
        _ => {
            part.only(&["type", "text", "annotations", "logprobs"])?;
            text("text")
        }
    }
}

fn output_text(node: &Node<'_>) -> Checked<String> {
    Ok(match part(node, "user")? {
        Part::Text(text) => text,
        Part::Image(bytes) | Part::File(bytes) => format!("{bytes} bytes"),
        _ => String::new(),
    })
}
