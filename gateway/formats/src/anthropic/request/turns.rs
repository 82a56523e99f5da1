//! The conversation as this format wants it: turns alternate, the first is the user's, results of tools come first.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use tollgate_families::{Prefill, Traits};

use super::blocks::{Blocks, obstacle};
use crate::claude::{GO_ON, OPENING};
use crate::error::FormatError;
use crate::exchange::{Part, Request, Turn, TurnRole};
use crate::media::left_out;
use crate::unmapped::Unmapped;

/// One message: all that one side says until the other one speaks.
pub(super) struct Message<'r, 'a> {
    role: TurnRole,
    parts: Vec<Cow<'r, Part<'a>>>,
}

impl Message<'_, '_> {
    fn of_user(text: &'static str) -> Self {
        Self { role: TurnRole::User, parts: vec![Cow::Owned(Part::text(text))] }
    }
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
        let alone = if let [alone] = self.parts.as_slice() { Some(&**alone) } else { None };
        match alone {
            Some(Part::Text { text, cache: None }) => message.serialize_field("content", text)?,
            _ => message.serialize_field("content", &Blocks::of(&self.parts))?,
        }
        message.end()
    }
}

/// The conversation as messages.
pub(super) fn messages<'r, 'a>(
    request: &'r Request<'a>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<Vec<Message<'r, 'a>>, FormatError> {
    let mut messages: Vec<Message<'r, 'a>> = Vec::with_capacity(request.turns.len() + 1);
    for turn in &request.turns {
        let parts = carried(turn, unmapped)?;
        match messages.last_mut() {
            _ if parts.is_empty() => {}
            Some(last) if last.role == turn.role => last.parts.extend(parts),
            // Only the user opens a conversation here.
            None if turn.role != TurnRole::User => {
                messages.extend([Message::of_user(OPENING), Message { role: turn.role, parts }]);
            }
            _ => messages.push(Message { role: turn.role, parts }),
        }
    }
    for message in &mut messages {
        message.parts.sort_by_key(|part| !matches!(**part, Part::ToolResult(_)));
    }
    if messages.is_empty() {
        if request.system.iter().all(|text| text.text.trim_ascii().is_empty()) {
            return Err(FormatError::invalid("there must be at least one message of the user", "messages"));
        }
        messages.push(Message::of_user(OPENING));
    }
    end_well(&mut messages, traits, unmapped);
    Ok(messages)
}

/// A conversation that ends with the model: its text goes on without a space before it, or the user asks it to go on
/// where the model does not by itself.
fn end_well(messages: &mut Vec<Message<'_, '_>>, traits: &Traits, unmapped: &mut Unmapped) {
    let Some(last) = messages.last_mut().filter(|last| last.role == TurnRole::Assistant) else { return };
    if traits.messages.prefill == Prefill::Refused {
        unmapped.hint("messages[].prefill");
        messages.push(Message::of_user(GO_ON));
    } else if let Some(Part::Text { text, cache }) = last.parts.last().map(|part| &**part)
        && text.ends_with(char::is_whitespace)
    {
        let trimmed = Part::Text { text: text.trim_end().to_owned().into(), cache: *cache };
        last.parts.pop();
        last.parts.push(Cow::Owned(trimmed));
    }
}

/// The parts of a turn that have a place here.
fn carried<'r, 'a>(
    turn: &'r Turn<'a>,
    unmapped: &mut Unmapped,
) -> Result<Vec<Cow<'r, Part<'a>>>, FormatError> {
    if turn.name.is_some() {
        unmapped.hint("messages[].name");
    }
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
                unmapped.hint("messages[].content[].image_url.detail");
            }
        }
        if Blocks::has_place(part) {
            parts.push(Cow::Borrowed(part));
        }
    }
    if parts.is_empty() {
        parts.extend(left_out(&turn.parts).map(|text| Cow::Owned(Part::text(text))));
    }
    Ok(parts)
}
