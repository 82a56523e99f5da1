//! Turns as the items of a Responses request's input.

use std::collections::HashSet;

use tollgate_families::Traits;

use super::super::custom;
use super::content::{self, Side};
use crate::calls::CallId;
use crate::error::FormatError;
use crate::exchange::{Part, Request, ToolCall, ToolResult, Turn, TurnRole};
use crate::json::Array;
use crate::openai::json_word;
use crate::unmapped::Unmapped;

/// Writes the turns, in order.
pub(super) fn write(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    let has_custom = traits.tools.custom;
    let custom = request.tools.iter().filter(|tool| has_custom && tool.custom.is_some());
    let mut items = Items {
        list: Array::new(out),
        custom_tools: custom.map(|tool| &*tool.name).collect(),
        custom_calls: HashSet::new(),
        traits,
        unmapped,
    };
    if adds_json_word(request, traits) {
        instruction(&mut items.list, json_word::INSTRUCTION);
    }
    for turn in &request.turns {
        if turn.name.is_some() {
            items.unmapped.hint("messages[].name");
        }
        match turn.role {
            TurnRole::User => items.user(turn)?,
            TurnRole::Assistant => items.assistant(turn)?,
            TurnRole::System => turn.parts.iter().for_each(|part| {
                if let Part::Text { text, .. } = part {
                    instruction(&mut items.list, text);
                }
            }),
        }
    }
    items.list.end();
    Ok(())
}

/// Whether the items begin with the word that asks for JSON: the model looks for it in messages, not in the instructions
/// beside them.
pub(super) fn adds_json_word(request: &Request<'_>, traits: &Traits) -> bool {
    let needs_word = request.output.is_any_json() && traits.structured.json_word;
    needs_word && !json_word::is_in_first_turn(request)
}

/// An instruction in its place.
pub(super) fn instruction(list: &mut Array<'_>, text: &str) {
    list.object(|item| {
        item.put("type", "message").put("role", "developer").put("content", text);
    });
}

struct Items<'o, 'r, 'u> {
    list: Array<'o>,
    /// Tools that take a text.
    custom_tools: HashSet<&'r str>,
    /// Ids of their calls so far.
    custom_calls: HashSet<&'r str>,
    traits: &'u Traits,
    unmapped: &'u mut Unmapped,
}

impl<'r> Items<'_, 'r, '_> {
    /// Results of tools are items of their own, in the midst of what is said.
    fn user(&mut self, turn: &'r Turn<'_>) -> Result<(), FormatError> {
        let mut said = Vec::new();
        for part in &turn.parts {
            match part {
                Part::ToolResult(result) => {
                    self.message(Side::User, &std::mem::take(&mut said))?;
                    self.output(result)?;
                }
                Part::Reasoning { .. } => {}
                Part::ToolCall(_) => self.unmapped.param("messages.content.tool")?,
                part => said.push(part),
            }
        }
        self.message(Side::User, &said)
    }

    fn assistant(&mut self, turn: &'r Turn<'_>) -> Result<(), FormatError> {
        let mut said = Vec::new();
        for (place, part) in turn.parts.iter().enumerate() {
            match part {
                Part::ToolCall(call) => {
                    self.message(Side::Model, &std::mem::take(&mut said))?;
                    self.call(call);
                }
                Part::Reasoning { text, signature, redacted } => {
                    self.message(Side::Model, &std::mem::take(&mut said))?;
                    let rest = turn.parts.get(place + 1..).unwrap_or_default();
                    let sealed = signature.as_deref().or(redacted.as_deref());
                    if let Some(sealed) = sealed.filter(|_| is_followed(rest)) {
                        self.thoughts(text, sealed);
                    }
                }
                part if content::is_empty_text(part) => {}
                part => said.push(part),
            }
        }
        self.message(Side::Model, &said)
    }

    fn thoughts(&mut self, summary: &str, sealed: &str) {
        self.list.object(|item| {
            item.put("type", "reasoning");
            let mut parts = Array::new(item.key("summary"));
            if !summary.is_empty() {
                parts.object(|part| {
                    part.put("type", "summary_text").put("text", summary);
                });
            }
            parts.end();
            item.put("encrypted_content", sealed);
        });
    }

    /// A message, unless nothing is left to say.
    fn message(&mut self, side: Side, parts: &[&Part<'_>]) -> Result<(), FormatError> {
        let Some(content) = content::of(parts, side, self.traits, self.unmapped)? else { return Ok(()) };
        self.list.object(|item| {
            item.put("type", "message").put("role", side.role());
            item.key("content").extend_from_slice(&content);
        });
        Ok(())
    }

    fn call(&mut self, call: &'r ToolCall<'_>) {
        let is_custom = self.custom_tools.contains(&*call.name);
        if is_custom {
            self.custom_calls.insert(&call.id);
        }
        self.list.object(|item| {
            let kind = if is_custom { "custom_tool_call" } else { "function_call" };
            item.put("type", kind).put("call_id", &CallId(&call.id)).put("name", &call.name);
            match is_custom {
                true => item.put("input", &custom::input(&call.arguments)),
                false => item.put("arguments", custom::written(&call.arguments)),
            };
        });
    }

    fn output(&mut self, result: &ToolResult<'_>) -> Result<(), FormatError> {
        let told = result.telling_failure();
        // The text of a failure holds it already.
        let json = result.json.filter(|_| !result.is_error).map(|json| Part::text(json.get()));
        let parts: Vec<&Part<'_>> = json.iter().chain(told.iter()).collect();
        let content = content::of(&parts, Side::User, self.traits, self.unmapped)?;
        let is_custom = self.custom_calls.contains(&*result.call_id);
        self.list.object(|item| {
            let kind = if is_custom { "custom_tool_call_output" } else { "function_call_output" };
            item.put("type", kind).put("call_id", &CallId(&result.call_id));
            match content {
                Some(content) => item.key("output").extend_from_slice(&content),
                None => _ = item.put("output", ""),
            }
        });
        Ok(())
    }
}

/// Whether what the model said or did after its thoughts goes along: the API refuses thoughts alone.
fn is_followed(rest: &[Part<'_>]) -> bool {
    let next =
        rest.iter().find(|part| !matches!(part, Part::Reasoning { .. }) && !content::is_empty_text(part));
    matches!(next, Some(Part::Text { .. } | Part::Refusal(_) | Part::ToolCall(_)))
}
