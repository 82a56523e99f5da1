//! The input of a Responses request: messages, calls of tools and their results, in turns of the common view.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::items::{Content, Item};
use crate::error::{FormatError, request_fault};
use crate::exchange::{Image, Media, Part, Request, Source, Text, ToolCall, ToolResult, Turn, TurnRole};
use crate::json::Str;
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
    let missing = |field: &str| FormatError::invalid(format!("an item of `input` has no `{field}`"), "input");
    match item.kind.as_deref().unwrap_or("message") {
        "message" => read_message(item, request),
        "function_call" => {
            let call = ToolCall {
                id: item.call_id.ok_or_else(|| missing("call_id"))?.into_text(),
                name: item.name.ok_or_else(|| missing("name"))?.into_text(),
                arguments: item.arguments.unwrap_or_default().into_text(),
            };
            push(request, TurnRole::Assistant, Part::ToolCall(call));
            Ok(())
        }
        "function_call_output" => {
            let output = item.output.ok_or_else(|| missing("output"))?;
            let result = ToolResult {
                call_id: item.call_id.ok_or_else(|| missing("call_id"))?.into_text(),
                parts: read_content(output)?,
                json: None,
                is_error: false,
                cache: None,
            };
            push(request, TurnRole::User, Part::ToolResult(result));
            Ok(())
        }
        "reasoning" => {
            let text = item.summary.unwrap_or_default().into_iter().filter_map(|part| part.text);
            let text: String =
                text.map(|text| text.into_text().into_owned()).collect::<Vec<_>>().join("\n\n");
            // Only the provider that wrote it can read the encrypted thoughts; it travels as a redacted part.
            let redacted = item.encrypted_content.map(Str::into_text);
            push(
                request,
                TurnRole::Assistant,
                Part::Reasoning { text: text.into(), signature: None, redacted },
            );
            Ok(())
        }
        other => Err(FormatError::Unsupported { param: Cow::Owned(format!("input[{other}]")) }),
    }
}

/// Items of one role in a row are one turn: a call and the text before it were said together.
fn push<'a>(request: &mut Request<'a>, role: TurnRole, part: Part<'a>) {
    match request.turns.last_mut() {
        Some(last) if last.role == role && !matches!(part, Part::Text { .. }) => last.parts.push(part),
        _ => request.turns.push(Turn { role, name: None, parts: vec![part] }),
    }
}

fn read_message<'a>(item: Item<'a>, request: &mut Request<'a>) -> Result<(), FormatError> {
    let content = item.content.ok_or_else(|| FormatError::invalid("a message has no `content`", "input"))?;
    let parts = read_content(content)?;
    let role = match item.role.as_deref().unwrap_or("user") {
        "user" => TurnRole::User,
        "assistant" => TurnRole::Assistant,
        "system" | "developer" => {
            request.instruct(parts.into_iter().filter(|part| matches!(part, Part::Text { .. })));
            return Ok(());
        }
        other => {
            return Err(FormatError::invalid(format!("a message cannot have the role `{other}`"), "input"));
        }
    };
    request.turns.push(Turn { role, name: None, parts });
    Ok(())
}

fn read_content(raw: &RawValue) -> Result<Vec<Part<'_>>, FormatError> {
    if let Some(text) = view::text_of(raw) {
        return Ok(vec![Part::text(text)]);
    }
    let parts: Vec<Content<'_>> = serde_json::from_str(raw.get()).map_err(|error| {
        FormatError::invalid(format!("`content` cannot be read: {}", request_fault(&error)), "input")
    })?;
    parts.into_iter().map(read_part).collect()
}

fn read_part(part: Content<'_>) -> Result<Part<'_>, FormatError> {
    let missing = |what: &str| FormatError::invalid(format!("a part of a message has no `{what}`"), "input");
    Ok(match part.kind.as_deref().unwrap_or("input_text") {
        "input_text" | "output_text" | "text" | "summary_text" => {
            Part::text(part.text.ok_or_else(|| missing("text"))?.into_text())
        }
        "refusal" => Part::Refusal(part.refusal.ok_or_else(|| missing("refusal"))?.into_text()),
        "input_image" => {
            let (media_type, source) = match (part.image_url, part.file_id) {
                (Some(url), _) => data_url(url.into_text()),
                (None, Some(id)) => (Cow::Borrowed(""), Source::File(id.into_text())),
                (None, None) => return Err(missing("image_url")),
            };
            Part::Image(Image { media_type, source, detail: part.detail.map(Str::into_text), cache: None })
        }
        "input_file" => {
            let (media_type, source) = match (part.file_data, part.file_url, part.file_id) {
                (Some(data), ..) => data_url(data.into_text()),
                (None, Some(url), _) => (Cow::Borrowed(""), Source::Url(url.into_text())),
                (None, None, Some(id)) => (Cow::Borrowed(""), Source::File(id.into_text())),
                _ => return Err(missing("file_data")),
            };
            let media = Media { media_type, source, cache: None };
            Part::Document { media, name: part.filename.map(Str::into_text) }
        }
        "input_audio" => {
            let audio = part.input_audio.ok_or_else(|| missing("input_audio"))?;
            let media_type = Cow::Owned(format!("audio/{}", &*audio.format));
            Part::Audio(Media { media_type, source: Source::Base64(audio.data.into_text()), cache: None })
        }
        other => return Err(FormatError::Unsupported { param: Cow::Owned(format!("content[{other}]")) }),
    })
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
