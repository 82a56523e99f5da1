//! Messages of a chat request as instructions and turns.

use serde_json::value::RawValue;

use super::super::thoughts::thoughts;
use super::super::wire::{CacheControl, CallWire, Content, PartFault, ToolCallWire};
use super::message::Message;
use crate::error::FormatError;
use crate::exchange::{CacheMark, Extra, Part, Request, Text, ToolCall, ToolResult, Turn, TurnRole};
use crate::json::Str;
use crate::media::PART_LEFT_OUT;

/// Reads messages one after the other. Calls of the old form (`function_call`) have no ids: they get some
/// here, and their results are matched by name.
#[derive(Debug, Default)]
pub(super) struct Turns<'a> {
    /// Calls of the old form: name, id.
    old_calls: Vec<(Text<'a>, String)>,
}

impl<'a> Turns<'a> {
    pub(super) fn take(
        &mut self,
        place: usize,
        mut message: Message<'a>,
        request: &mut Request<'a>,
    ) -> Result<(), FormatError> {
        let cache = message.cache_control.take().map(|cache| CacheControl::mark(&cache));
        for (name, value) in std::mem::take(&mut message.others) {
            request.extras.push(Extra { name: format!("messages[{place}].{name}").into(), value });
        }
        let name = message.name.take().map(Str::into_text);
        let role = message.role.take().unwrap_or_default();
        match &*role {
            "system" | "developer" => {
                name.iter().for_each(|_| request.hint("messages[].name"));
                return instructions(place, message.content, cache, request);
            }
            "user" => {
                let parts = with_mark(user(place, message.content, &mut request.extras)?, cache);
                request.turns.push(Turn { role: TurnRole::User, name, parts });
            }
            "assistant" => {
                let parts = with_mark(self.assistant(place, message, &mut request.extras)?, cache);
                request.turns.push(Turn { role: TurnRole::Assistant, name, parts });
            }
            "tool" | "function" => {
                let id = match message.tool_call_id.take() {
                    _ if &*role == "function" => self.old_call_id(name.unwrap_or_default()).into(),
                    Some(id) => id.0,
                    None => return Err(invalid("is missing", format!("messages[{place}].tool_call_id"))),
                };
                let parts = parts(place, message.content, &mut request.extras)?;
                request.turns.push(result(id, parts, cache));
            }
            "" => return Err(invalid("is missing", format!("messages[{place}].role"))),
            _ => return Err(invalid("is no role", format!("messages[{place}].role"))),
        }
        Ok(())
    }

    fn assistant(
        &mut self,
        place: usize,
        message: Message<'a>,
        extras: &mut Vec<Extra<'a>>,
    ) -> Result<Vec<Part<'a>>, FormatError> {
        let mut all = thoughts(message.thinking_blocks, message.reasoning_details, message.reasoning);
        let said = parts(place, message.content, extras)?;
        all.extend(
            said.into_iter().filter(|part| !matches!(part, Part::Text { text, .. } if text.is_empty())),
        );
        all.extend(message.refusal.filter(|text| !text.is_empty()).map(|text| Part::Refusal(text.0)));
        for (at, call) in message.tool_calls.into_iter().flatten().enumerate() {
            let path = || format!("messages[{place}].tool_calls[{at}]");
            match tool_call(call, path)? {
                Some(call) => all.push(Part::ToolCall(call)),
                None => extras.push(unknown(path())),
            }
        }
        if let Some(mut call) = message.function_call {
            let name = call.name();
            let id = format!("call_{}", self.old_calls.len());
            self.old_calls.push((name.clone(), id.clone()));
            all.push(Part::ToolCall(ToolCall { id: id.into(), name, arguments: call.arguments() }));
        }
        Ok(all)
    }

    /// The id of the last call with this name.
    fn old_call_id(&self, name: Text<'a>) -> String {
        let call = self.old_calls.iter().rev().find(|(called, _)| *called == name);
        call.map_or_else(|| format!("call_{name}"), |(_, id)| id.clone())
    }
}

/// `None` if the call is of a kind that is not known.
fn tool_call<'a>(
    call: ToolCallWire<'a>,
    path: impl Fn() -> String,
) -> Result<Option<ToolCall<'a>>, FormatError> {
    let ToolCallWire { id, kind, function, custom, .. } = call;
    let id = || id.ok_or_else(|| invalid("is missing", path() + ".id"));
    match (kind.as_deref(), function, custom) {
        (Some("function") | None, Some(mut function), _) => {
            let function: &mut CallWire<'a> = &mut function;
            Ok(Some(ToolCall { id: id()?.0, name: function.name(), arguments: function.arguments() }))
        }
        (Some("custom") | None, _, Some(custom)) => {
            let (name, arguments) = custom.into_parts();
            Ok(Some(ToolCall { id: id()?.0, name, arguments }))
        }
        (Some("function") | None, ..) => Err(invalid("is missing", path() + ".function")),
        (Some("custom"), ..) => Err(invalid("is missing", path() + ".custom")),
        (Some(_), ..) => Ok(None),
    }
}

/// What is not known, by its path: a format without a place for it says so.
fn unknown<'a>(path: String) -> Extra<'a> {
    Extra { name: path.into(), value: RawValue::NULL }
}

fn result<'a>(call_id: Text<'a>, parts: Vec<Part<'a>>, cache: Option<CacheMark>) -> Turn<'a> {
    let result = ToolResult { call_id, parts, json: None, is_error: false, cache };
    Turn { role: TurnRole::User, name: None, parts: vec![Part::ToolResult(result)] }
}

fn instructions<'a>(
    place: usize,
    content: Content<'a>,
    cache: Option<CacheMark>,
    request: &mut Request<'a>,
) -> Result<(), FormatError> {
    let parts = with_mark(parts(place, content, &mut request.extras)?, cache);
    if let Some(at) = parts.iter().position(|part| !matches!(part, Part::Text { .. })) {
        let path = format!("messages[{place}].content[{at}]");
        return Err(invalid("must be text in instructions", path));
    }
    request.instruct(parts);
    Ok(())
}

/// What the user says. Of a message that has nothing but parts of an unknown kind, a word is left.
fn user<'a>(
    place: usize,
    content: Content<'a>,
    extras: &mut Vec<Extra<'a>>,
) -> Result<Vec<Part<'a>>, FormatError> {
    let kept = extras.len();
    let mut parts = parts(place, content, extras)?;
    if parts.is_empty() && extras.len() > kept {
        parts.push(Part::text(PART_LEFT_OUT));
    }
    Ok(parts)
}

fn parts<'a>(
    place: usize,
    content: Content<'a>,
    extras: &mut Vec<Extra<'a>>,
) -> Result<Vec<Part<'a>>, FormatError> {
    let wires = match content {
        Content::None => return Ok(Vec::new()),
        Content::Text(text) => return Ok(vec![Part::text(text)]),
        Content::Parts(parts) => parts,
    };
    let mut parts = Vec::with_capacity(wires.len());
    for (at, wire) in wires.into_iter().enumerate() {
        let path = || format!("messages[{place}].content[{at}]");
        match wire.part() {
            Ok(part) => parts.push(part),
            Err(PartFault::Unknown) => extras.push(unknown(path())),
            Err(PartFault::Incomplete(field)) => {
                return Err(invalid("is missing", format!("{}.{field}", path())));
            }
        }
    }
    Ok(parts)
}

/// A mark on a whole message stands at its last part that can have one.
fn with_mark(mut parts: Vec<Part<'_>>, mark: Option<CacheMark>) -> Vec<Part<'_>> {
    if mark.is_some() {
        let place = parts.iter_mut().rev().find_map(|part| match part {
            Part::Text { cache, .. } => Some(cache),
            Part::Image(image) => Some(&mut image.cache),
            Part::Audio(media) | Part::Document { media, .. } => Some(&mut media.cache),
            _ => None,
        });
        if let Some(cache) = place {
            *cache = mark;
        }
    }
    parts
}

fn invalid(what: &str, path: String) -> FormatError {
    FormatError::Invalid { message: format!("`{path}` {what}"), param: Some(path.into()) }
}
