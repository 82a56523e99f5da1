//! The input of a Responses request: messages, calls of tools and their results, in turns of the common view.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::items::{Content, Item};
use super::{answer, custom, tools};
use crate::error::{FormatError, request_fault};
use crate::exchange::{
    Extra, Image, Media, Part, Request, Source, Text, ToolCall, ToolResult, Turn, TurnRole,
};
use crate::json::Str;
use crate::media::PART_LEFT_OUT;
use crate::view;

/// Reads the input: a text, or items that become turns.
///
/// # Errors
/// What is wrong and where.
pub(super) fn read<'a>(input: Option<&'a RawValue>, request: &mut Request<'a>) -> Result<(), FormatError> {
    let Some(raw) = input else { return Ok(()) };
    if let Some(text) = view::text_of(raw) {
        let turn = Turn { role: TurnRole::User, name: None, parts: vec![Part::text(text)] };
        request.turns.push(turn);
        return Ok(());
    }
    let items: Vec<Item<'a>> = serde_json::from_str(raw.get()).map_err(|error| {
        FormatError::invalid(format!("`input` cannot be read: {}", request_fault(&error)), "input")
    })?;
    items.into_iter().try_for_each(|item| read_item(item, request))
}

fn read_item<'a>(item: Item<'a>, request: &mut Request<'a>) -> Result<(), FormatError> {
    match item.kind.as_deref().unwrap_or("message") {
        "message" => read_message(item, request),
        "function_call" => {
            let arguments = item.text_of_call();
            read_call(item, arguments, request)
        }
        "custom_tool_call" => {
            let arguments = custom::arguments(&item.text_of_call());
            read_call(item, arguments.into(), request)
        }
        "function_call_output" | "custom_tool_call_output" => {
            let parts = read_content(item.output.ok_or_else(|| missing("output"))?, request)?;
            read_result(item.call_id, parts, request)
        }
        "tool_search_call" if item.call_id.is_some() => {
            let name = Some(Str(Cow::Borrowed(tools::SEARCH)));
            let arguments = item.text_of_call();
            read_call(Item { name, ..item }, arguments, request)
        }
        "tool_search_output" if item.call_id.is_some() => {
            let found = item.tools.map(|raw| tools::read_found(raw, request)).transpose()?;
            read_result(item.call_id, vec![Part::text(found.unwrap_or_default())], request)
        }
        "reasoning" => {
            read_thoughts(item, request);
            Ok(())
        }
        // That there was a search says nothing without what it found.
        other @ ("web_search_call" | "tool_search_call" | "tool_search_output") => {
            request.hints.push(Cow::Owned(format!("input[{other}]")));
            Ok(())
        }
        other => {
            // What only OpenAI can read or has kept.
            let name = Cow::Owned(format!("input[{other}]"));
            request.extras.push(Extra { name, value: RawValue::NULL });
            Ok(())
        }
    }
}

fn read_thoughts<'a>(item: Item<'a>, request: &mut Request<'a>) {
    let is_redacted = item.summary.as_ref().is_none_or(Vec::is_empty) && item.content.is_none();
    let text = answer::thoughts(item.summary, item.content);
    let sealed = item.encrypted_content.map(Str::into_text);
    let (signature, redacted) = if is_redacted { (None, sealed) } else { (sealed, None) };
    said(request).push(Part::Reasoning { text: text.into(), signature, redacted });
}

fn missing(field: &str) -> FormatError {
    FormatError::invalid(format!("an item of `input` has no `{field}`"), "input")
}

/// What the model says: its items in a row are one turn, whatever their kind.
fn said<'r, 'a>(request: &'r mut Request<'a>) -> &'r mut Vec<Part<'a>> {
    turn(request, TurnRole::Assistant)
}

/// The last turn, which is of this role then.
fn turn<'r, 'a>(request: &'r mut Request<'a>, role: TurnRole) -> &'r mut Vec<Part<'a>> {
    let turns = &mut request.turns;
    if turns.last().is_none_or(|last| last.role != role) {
        turns.push(Turn { role, name: None, parts: Vec::new() });
    }
    let last = turns.len() - 1;
    &mut turns[last].parts
}

fn read_call<'a>(item: Item<'a>, arguments: Text<'a>, request: &mut Request<'a>) -> Result<(), FormatError> {
    let id = item.call_id.ok_or_else(|| missing("call_id"))?.into_text();
    let name = item.name.ok_or_else(|| missing("name"))?.into_text();
    let name = tools::called(item.namespace.as_deref(), name);
    said(request).push(Part::ToolCall(ToolCall { id, name, arguments }));
    Ok(())
}

fn read_result<'a>(
    call_id: Option<Str<'a>>,
    parts: Vec<Part<'a>>,
    request: &mut Request<'a>,
) -> Result<(), FormatError> {
    let call_id = call_id.ok_or_else(|| missing("call_id"))?.into_text();
    let result = ToolResult { call_id, parts, json: None, is_error: false, cache: None };
    turn(request, TurnRole::User).push(Part::ToolResult(result));
    Ok(())
}

fn read_message<'a>(item: Item<'a>, request: &mut Request<'a>) -> Result<(), FormatError> {
    let content = item.content.ok_or_else(|| FormatError::invalid("a message has no `content`", "input"))?;
    let kept = request.extras.len();
    let mut parts = read_content(content, request)?;
    let is_lost = parts.is_empty() && request.extras.len() > kept;
    match item.role.as_deref().unwrap_or("user") {
        "user" => {
            parts.extend(is_lost.then(|| Part::text(PART_LEFT_OUT)));
            request.turns.push(Turn { role: TurnRole::User, name: None, parts });
        }
        "assistant" => said(request).extend(parts),
        "system" | "developer" => request.instruct(parts),
        other => {
            return Err(FormatError::invalid(format!("a message cannot have the role `{other}`"), "input"));
        }
    }
    Ok(())
}

fn read_content<'a>(raw: &'a RawValue, request: &mut Request<'a>) -> Result<Vec<Part<'a>>, FormatError> {
    if let Some(text) = view::text_of(raw) {
        return Ok(vec![Part::text(text)]);
    }
    let parts: Vec<Content<'_>> = serde_json::from_str(raw.get()).map_err(|error| {
        FormatError::invalid(format!("`content` cannot be read: {}", request_fault(&error)), "input")
    })?;
    let mut read = Vec::with_capacity(parts.len());
    for part in parts {
        read.extend(read_part(part, request)?);
    }
    Ok(read)
}

fn read_part<'a>(part: Content<'a>, request: &mut Request<'a>) -> Result<Option<Part<'a>>, FormatError> {
    Ok(Some(match part.kind.as_deref().unwrap_or("input_text") {
        "input_text" | "output_text" | "text" | "summary_text" => {
            Part::text(part.text.ok_or_else(|| lacking("text"))?.into_text())
        }
        "refusal" => Part::Refusal(part.refusal.ok_or_else(|| lacking("refusal"))?.into_text()),
        "input_image" => Part::Image(picture(part)?),
        "input_file" => file(part)?,
        "input_audio" => {
            let audio = part.input_audio.ok_or_else(|| lacking("input_audio"))?;
            let media_type = Cow::Owned(format!("audio/{}", &*audio.format));
            Part::Audio(Media { media_type, source: Source::Base64(audio.data.into_text()), cache: None })
        }
        other => {
            let name = Cow::Owned(format!("content[{other}]"));
            request.extras.push(Extra { name, value: RawValue::NULL });
            return Ok(None);
        }
    }))
}

fn lacking(what: &str) -> FormatError {
    FormatError::invalid(format!("a part of a message has no `{what}`"), "input")
}

fn picture(part: Content<'_>) -> Result<Image<'_>, FormatError> {
    let (media_type, source) = match (part.image_url, part.file_id) {
        (Some(url), _) => data_url(url.into_text()),
        (None, Some(id)) => (Cow::Borrowed(""), Source::File(id.into_text())),
        (None, None) => return Err(lacking("image_url")),
    };
    Ok(Image { media_type, source, detail: part.detail.map(Str::into_text), cache: None })
}

fn file(part: Content<'_>) -> Result<Part<'_>, FormatError> {
    let (media_type, source) = match (part.file_data, part.file_url, part.file_id) {
        (Some(data), ..) => data_url(data.into_text()),
        (None, Some(url), _) => (Cow::Borrowed(""), Source::Url(url.into_text())),
        (None, None, Some(id)) => (Cow::Borrowed(""), Source::File(id.into_text())),
        _ => return Err(lacking("file_data")),
    };
    let media = Media { media_type, source, cache: None };
    Ok(Part::Document { media, name: part.filename.map(Str::into_text) })
}

/// A `data:` URL as its type and bytes; any other as an address (RFC 2397).
fn data_url(url: Text<'_>) -> (Text<'_>, Source<'_>) {
    let split = |text: &str| {
        let rest = text.strip_prefix("data:")?;
        let (head, _) = rest.split_once(',')?;
        let media_type = head.strip_suffix(";base64")?;
        Some(("data:".len()..5 + media_type.len(), 5 + head.len() + 1))
    };
    let Some((media_type, data_from)) = split(&url) else { return (Cow::Borrowed(""), Source::Url(url)) };
    match url {
        Cow::Borrowed(text) => {
            (Cow::Borrowed(&text[media_type]), Source::Base64(Cow::Borrowed(&text[data_from..])))
        }
        Cow::Owned(text) => {
            let kind = text[media_type].to_owned();
            (Cow::Owned(kind), Source::Base64(Cow::Owned(text[data_from..].to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_taken_apart() {
        let (kind, source) = data_url(Cow::Borrowed("data:image/png;base64,AAAA"));
        assert_eq!(kind, "image/png");
        assert!(matches!(source, Source::Base64(data) if data == "AAAA"));
        assert!(matches!(data_url(Cow::Borrowed("https://x/y.png")).1, Source::Url(_)));
    }
}
