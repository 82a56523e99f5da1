//! The conversation as this format wants it: turns alternate, the first is the user's, results of tools come first.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::blocks::{Blocks, obstacle};
use crate::error::FormatError;
use crate::exchange::{Part, Request, Turn, TurnRole};
use crate::unmapped::Unmapped;

/// One message: all that one side says until the other one speaks.
pub(super) struct Message<'r, 'a> {
    role: TurnRole,
    parts: Vec<&'r Part<'a>>,
}

impl Serialize for Message<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = serializer.serialize_struct("Message", 2)?;
        let role = match self.role {
            TurnRole::User => "user",
            TurnRole::Assistant => "assistant",
            TurnRole::System => "system",
        };
        message.serialize_field("role", role)?;
        match self.parts.as_slice() {
            [Part::Text { text, cache: None }] => message.serialize_field("content", text)?,
            parts => message.serialize_field("content", &Blocks::of(parts))?,
        }
        message.end()
    }
}

/// The conversation as messages.
pub(super) fn messages<'r, 'a>(
    request: &'r Request<'a>,
    unmapped: &mut Unmapped,
) -> Result<Vec<Message<'r, 'a>>, FormatError> {
    let mut messages: Vec<Message<'r, 'a>> = Vec::with_capacity(request.turns.len());
    for turn in &request.turns {
        let parts = carried(turn, unmapped)?;
        match messages.last_mut() {
            _ if parts.is_empty() => {}
            Some(last) if last.role == turn.role => last.parts.extend(parts),
            _ => messages.push(Message { role: turn.role, parts }),
        }
    }
    for message in &mut messages {
        message.parts.sort_by_key(|part| !matches!(part, Part::ToolResult(_)));
    }
    match messages.first() {
        Some(Message { role: TurnRole::User, .. }) => Ok(messages),
        Some(_) => Err(FormatError::invalid(
            "the model behind this alias wants a conversation that begins with a message of the user",
            "messages",
        )),
        None => Err(FormatError::invalid("there must be at least one message of the user", "messages")),
    }
}

/// The parts of a turn that have a place here.
fn carried<'r, 'a>(turn: &'r Turn<'a>, unmapped: &mut Unmapped) -> Result<Vec<&'r Part<'a>>, FormatError> {
    unmapped.given("messages[].name", turn.name.as_ref())?;
    let mut parts = Vec::with_capacity(turn.parts.len());
    for part in &turn.parts {
        let inner = if let Part::ToolResult(result) = part { result.parts.as_slice() } else { &[] };
        for part in inner.iter().chain([part]) {
            if let Some(param) = obstacle(part) {
                unmapped.param(param)?;
            }
            if let Part::Image(image) = part
                && image.detail.as_deref() == Some("low")
            {
                unmapped.param("messages[].content[].image_url.detail")?;
            }
        }
        if Blocks::has_place(part) {
            parts.push(part);
        }
    }
    Ok(parts)
}
