//! Reads a request.

use super::body::{Body, Content, Others};
use super::config;
use super::conversation::Conversation;
use super::tools;
use crate::error::FormatError;
use crate::exchange::{Extra, Request, SystemText, Text};
use crate::view;

/// Fields of a request that do not change what its answer means: how strictly Google filters, labels for its bill,
/// whether it keeps a log.
const HINTS: [&str; 5] = ["safetySettings", "safety_settings", "labels", "store", "metadata"];

/// Reads a request for an answer or for a token count, its schemas in JSON Schema by now. What has no place in the
/// common view is in its extras, by path; whether the answer is streamed, the path says.
///
/// # Errors
/// When the body is not what the format says.
pub fn decode(body: &[u8], stream: bool) -> Result<Request<'_>, FormatError> {
    let body: Body<'_> = view::read(body)?;
    let Some(contents) = body.contents else {
        return Err(FormatError::invalid("`contents` must be a list", "contents"));
    };
    let mut request = Request { stream, include_usage: true, ..Request::default() };
    request.service_tier = body.service_tier.and_then(|tier| config::service_tier(&tier));
    let (hints, extras) =
        body.others.into_iter().partition(|extra: &Extra<'_>| HINTS.contains(&&*extra.name));
    request.extras = extras;
    note_hints(&mut request.hints, hints, None);
    if let Some(system) = body.system_instruction {
        read_system(system, &mut request);
    }
    let mut conversation = Conversation::default();
    for (index, content) in contents.into_iter().enumerate() {
        conversation.add(content, index)?;
    }
    request.turns = conversation.turns;
    request.extras.append(&mut conversation.extras);
    request.hints.append(&mut conversation.hints);
    tools::read(body.tools.unwrap_or_default(), body.tool_config, &mut request)?;
    if let Some(given) = body.generation_config {
        config::read(given, &mut request)?;
    }
    Ok(request)
}

fn read_system<'a>(content: Content<'a>, request: &mut Request<'a>) {
    for (index, part) in content.parts.into_iter().flatten().enumerate() {
        let others = part.others;
        request.system.extend(part.text.map(|text| SystemText { text: text.into_text(), cache: None }));
        extend(&mut request.extras, others, || format!("systemInstruction.parts[{index}]"));
    }
}

/// Takes over fields that have no place, by their paths below `place`.
pub(super) fn extend<'a>(extras: &mut Vec<Extra<'a>>, others: Others<'a>, place: impl Fn() -> String) {
    extras.extend(
        others
            .into_iter()
            .map(|Extra { name, value }| Extra { name: format!("{}.{name}", place()).into(), value }),
    );
}

/// Takes the fields out of `others` that are hints, by their paths below `place`.
pub(super) fn take_hints<'a>(
    request_hints: &mut Vec<Text<'a>>,
    others: Others<'a>,
    known: &[&str],
    place: impl Fn() -> String,
) -> Others<'a> {
    let (hints, others): (Others<'a>, Others<'a>) =
        others.into_iter().partition(|extra| known.contains(&&*extra.name));
    if !hints.is_empty() {
        note_hints(request_hints, hints, Some(&place()));
    }
    others
}

fn note_hints<'a>(noted: &mut Vec<Text<'a>>, hints: Others<'a>, place: Option<&str>) {
    noted.extend(hints.into_iter().map(|Extra { name, .. }| match place {
        Some(place) => format!("{place}.{name}").into(),
        None => name,
    }));
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
