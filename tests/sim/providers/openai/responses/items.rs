//! The items of a Responses request's input.

use super::super::super::ask::{Ask, Part, Role};
use super::super::super::check::{Checked, Node};
use super::super::request::{data_url, picture};

/// How thoughts begin that only this provider can read.
pub(super) const SEALED: &str = "gAAAAsim";
/// Longest id of a call.
const MAX_CALL_ID: usize = 64;

/// Reads the input: a text or items.
pub(super) fn read(input: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    if let Ok(text) = input.text() {
        ask.push(Role::User, vec![Part::Text(text.to_owned())]);
        return Ok(());
    }
    let items = input.list()?;
    for (at, item) in items.iter().enumerate() {
        read_item(item, items.get(at + 1), ask)?;
    }
    Ok(())
}

fn read_item(item: &Node<'_>, next: Option<&Node<'_>>, ask: &mut Ask) -> Checked<()> {
    let kinds = [
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "reasoning",
        "item_reference",
    ];
    let owned = |name: &str| item.need(name)?.text().map(str::to_owned);
    match item.get("type").map_or(Ok("message"), |kind| kind.word(&kinds))? {
        "message" => message(item, ask)?,
        "function_call" => {
            item.only(&["type", "id", "call_id", "name", "arguments", "status", "namespace"])?;
            item.need("arguments")?.json()?;
            let name = item.need("name")?.name(64)?.to_owned();
            ask.push(Role::Model, vec![Part::Call { id: call_id(item)?, name }]);
        }
        "custom_tool_call" => {
            item.only(&["type", "id", "call_id", "name", "input", "status", "namespace"])?;
            owned("input")?;
            ask.push(Role::Model, vec![Part::Call { id: call_id(item)?, name: owned("name")? }]);
        }
        "function_call_output" | "custom_tool_call_output" => {
            item.only(&["type", "id", "call_id", "output", "status"])?;
            let output = item.need("output")?;
            let text = match output.text() {
                Ok(text) => text.to_owned(),
                Err(_) => output.list()?.iter().map(output_text).collect::<Checked<Vec<_>>>()?.join(" "),
            };
            ask.push(Role::User, vec![Part::Result { id: call_id(item)?, text }]);
        }
        "reasoning" => {
            item.only(&["type", "id", "summary", "content", "encrypted_content", "status"])?;
            item.need("summary")?.list()?;
            thoughts(item, next)?;
        }
        _ => return Err(item.wrong("refers to an item that was not found")),
    }
    Ok(())
}

fn call_id(item: &Node<'_>) -> Checked<String> {
    let id = item.need("call_id")?;
    if id.filled()?.len() > MAX_CALL_ID {
        return Err(id.wrong(format!("must be at most {MAX_CALL_ID} letters long")));
    }
    id.text().map(str::to_owned)
}

/// Thoughts are taken if this provider had them, and only before what the model said or did next.
fn thoughts(item: &Node<'_>, next: Option<&Node<'_>>) -> Checked<()> {
    match item.get("encrypted_content") {
        Some(sealed) if !sealed.text()?.starts_with(SEALED) => {
            return Err(sealed.wrong("could not be verified (invalid_encrypted_content)"));
        }
        Some(_) => {}
        None => {
            item.need("id")?.text()?;
        }
    }
    let kind = next.map(|next| next.get("type").map_or(Ok("message"), |kind| kind.text())).transpose()?;
    let follows = match (kind, next) {
        (Some("message"), Some(next)) => next.need("role")?.text()? == "assistant",
        (kind, _) => matches!(kind, Some("function_call" | "custom_tool_call" | "reasoning")),
    };
    match follows {
        true => Ok(()),
        false => Err(item.wrong("of type 'reasoning' was provided without its required following item")),
    }
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
        _ => &["input_text", "input_image", "input_file", "input_audio"],
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
        "input_audio" => {
            let audio = part.need("input_audio")?;
            audio.need("format")?.word(&["mp3", "wav"])?;
            audio.need("data")?.base64().map(Part::File)
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
