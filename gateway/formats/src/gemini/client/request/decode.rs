//! Reads a request.

use super::body::{Body, Content};
use super::config;
use super::conversation::Conversation;
use super::others::{extend, note_hints};
use super::tools;
use crate::error::FormatError;
use crate::exchange::{Extra, Request, SystemText};
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

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
