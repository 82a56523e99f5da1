//! The conversation as messages.
//!
//! A message is written from its own turns alone, so that a prompt begins as it did a turn ago: providers cache by
//! that.

use tollgate_families::{Binding, NameField, Prefill, Returned, SystemNote, Traits, Vendor, When};

use super::parts::{Piece, content, marked, piece};
use super::tools::write_fitted_call;
use crate::calls::fitted_id;
use crate::error::FormatError;
use crate::exchange::{Part, Request, Text, ToolCall, ToolResult, Turn, TurnRole};
use crate::json::{Array, Object};
use crate::media::{document_text, left_out};
use crate::unmapped::Unmapped;

/// Writes the instructions and the turns. `instruction` ends the developer's.
pub(super) fn write(
    body: &mut Object<'_>,
    request: &Request<'_>,
    traits: &Traits,
    thinks: bool,
    instruction: Option<&str>,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    let mut writer = Writer { messages: Array::new(body.key("messages")), traits, thinks, unmapped };
    writer.system(request, instruction);
    let is_model = |turn: &Turn<'_>| turn.role == TurnRole::Assistant;
    let mut groups = request.turns.chunk_by(|one, next| is_model(one) == is_model(next)).peekable();
    while let Some(turns) = groups.next() {
        if turns.first().is_some_and(is_model) {
            writer.assistant(turns, groups.peek().is_none())?;
        } else {
            writer.others(turns)?;
        }
    }
    writer.messages.end();
    Ok(())
}

struct Writer<'w> {
    messages: Array<'w>,
    traits: &'w Traits,
    thinks: bool,
    unmapped: &'w mut Unmapped,
}

impl Writer<'_> {
    /// All instructions as one message: some servers take only one, and only at the start.
    fn system(&mut self, request: &Request<'_>, instruction: Option<&str>) {
        let texts = request.system.iter().map(|text| marked(&*text.text, text.cache, self.traits));
        let pieces: Vec<Piece<'_>> = texts.chain(instruction.map(|text| Piece::Text(text.into()))).collect();
        if pieces.is_empty() {
            return;
        }
        let is_taken = self.traits.messages.system_first != SystemNote::UserText;
        self.messages.object(|message| {
            message.put("role", if is_taken { "system" } else { "user" });
            content(message.key("content"), &pieces);
        });
    }

    /// Results of tools come first: they must follow the calls at once. Their pictures follow in a message of the
    /// user, because messages of tools hold text alone.
    fn others(&mut self, turns: &[Turn<'_>]) -> Result<(), FormatError> {
        for part in turns.iter().flat_map(|turn| &turn.parts) {
            if let Part::ToolResult(result) = part {
                self.result(result);
            }
        }
        for turn in turns {
            match turn.role {
                TurnRole::System => self.note(turn),
                _ => self.user(turn)?,
            }
        }
        Ok(())
    }

    fn result(&mut self, result: &ToolResult<'_>) {
        let id = fitted_id(&result.call_id, self.traits.tools.ids);
        let parts = result.telling_failure();
        let mut texts: Vec<Text<'_>> = parts.iter().filter_map(text_of).collect();
        if let (true, Some(json)) = (texts.is_empty(), result.json) {
            texts.push(json.get().into());
        }
        let last = texts.pop().map(|text| marked(text, result.cache, self.traits));
        let texts: Vec<Piece<'_>> = texts.into_iter().map(Piece::Text).chain(last).collect();
        self.messages.object(|message| {
            message.put("role", "tool").put("tool_call_id", &id);
            content(message.key("content"), &texts);
        });
    }

    /// Instructions in the midst of the conversation stay where they are.
    fn note(&mut self, turn: &Turn<'_>) {
        let texts: Vec<Piece<'_>> = turn.parts.iter().filter_map(text_of).map(Piece::Text).collect();
        self.messages.object(|message| {
            message.put("role", "system");
            content(message.key("content"), &texts);
        });
    }

    fn user(&mut self, turn: &Turn<'_>) -> Result<(), FormatError> {
        let mut said = Vec::new();
        let mut has_results = false;
        for part in &turn.parts {
            let Part::ToolResult(result) = part else { continue };
            has_results = true;
            for part in result.parts.iter().filter(|part| text_of(part).is_none()) {
                said.extend(piece(part, self.traits, self.unmapped)?);
            }
        }
        for part in turn.parts.iter().filter(|part| !matches!(part, Part::ToolResult(_))) {
            said.extend(piece(part, self.traits, self.unmapped)?);
        }
        if said.is_empty() {
            said.extend(left_out(&turn.parts).map(|text| Piece::Text(text.into())));
        }
        if said.is_empty() && (has_results || !self.traits.messages.empty_text) {
            return Ok(());
        }
        let name = self.name(turn.name.as_ref(), true);
        self.messages.object(|message| {
            message.put("role", "user").given("name", name);
            content(message.key("content"), &said);
        });
        Ok(())
    }

    fn name<'n>(&mut self, name: Option<&'n Text<'n>>, is_user: bool) -> Option<&'n str> {
        let is_taken = match self.traits.messages.name {
            NameField::Taken => true,
            NameField::UserOnly => is_user,
            NameField::Refused => false,
        };
        if !is_taken && name.is_some() {
            self.unmapped.hint("messages[].name");
        }
        name.map(|name| &**name).filter(|_| is_taken)
    }

    /// What the model said without a break is one message: calls and texts of one step belong together.
    fn assistant(&mut self, turns: &[Turn<'_>], is_last: bool) -> Result<(), FormatError> {
        let mut said = Said::default();
        for part in turns.iter().flat_map(|turn| &turn.parts) {
            said.take(part, self.traits, self.unmapped)?;
        }
        let takes = &self.traits.messages;
        let says_nothing = said.texts.is_empty() && said.calls.is_empty() && said.refusal.is_none();
        if says_nothing && !takes.empty_text {
            return Ok(());
        }
        let is_prefill = is_last && said.calls.is_empty();
        if is_prefill && takes.prefill == Prefill::Refused {
            return self.unmapped.param("messages.prefill");
        }
        let name = self.name(turns.iter().find_map(|turn| turn.name.as_ref()), false);
        let (traits, thinks) = (self.traits, self.thinks);
        self.messages.object(|message| {
            message.put("role", "assistant").given("name", name);
            said.write(message, traits, thinks);
            match traits.messages.prefill {
                Prefill::PrefixField if is_prefill => _ = message.put("prefix", &true),
                Prefill::PartialField if is_prefill => _ = message.put("partial", &true),
                _ => {}
            }
        });
        Ok(())
    }
}

/// What a result says in words: texts, and documents that are texts.
fn text_of<'p>(part: &'p Part<'_>) -> Option<Text<'p>> {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => Some(Text::Borrowed(text)),
        Part::Document { media, name } => document_text(media, name.as_deref()).map(Text::Owned),
        _ => None,
    }
}

/// What the model said in one step.
#[derive(Default)]
struct Said<'p> {
    texts: Vec<Piece<'p>>,
    calls: Vec<&'p ToolCall<'p>>,
    refusal: Option<&'p str>,
    thoughts: Vec<&'p Part<'p>>,
}

impl<'p> Said<'p> {
    fn take(
        &mut self,
        part: &'p Part<'p>,
        traits: &Traits,
        unmapped: &mut Unmapped,
    ) -> Result<(), FormatError> {
        let has_refusals = matches!(traits.vendor, Vendor::OpenAi | Vendor::Unknown);
        match part {
            Part::ToolCall(call) => self.calls.push(call),
            Part::Refusal(text) if has_refusals => self.refusal = Some(text),
            Part::Reasoning { text, .. } if traits.thoughts.returned == Returned::Parts => {
                self.texts.extend((!text.is_empty()).then_some(Piece::Thinking(text)));
            }
            Part::Reasoning { .. } => self.thoughts.push(part),
            Part::Text { .. } | Part::Refusal(_) => self.texts.extend(piece(part, traits, unmapped)?),
            Part::Image(_) | Part::Audio(_) | Part::Document { .. } | Part::ToolResult(_) => {
                unmapped.param("messages.content")?;
            }
        }
        Ok(())
    }

    fn write(&self, message: &mut Object<'_>, traits: &Traits, thinks: bool) {
        if self.texts.is_empty() && (!self.calls.is_empty() || self.refusal.is_some()) {
            message.raw("content", "null");
        } else {
            content(message.key("content"), &self.texts);
        }
        message.given("refusal", self.refusal);
        self.thoughts(message, traits, thinks);
        if !self.calls.is_empty() {
            let mut list = Array::new(message.key("tool_calls"));
            let ids = traits.tools.ids;
            self.calls.iter().for_each(|call| list.object(|item| write_fitted_call(item, call, ids)));
            list.end();
        }
    }

    /// What the model thought, in the field that it reads.
    fn thoughts(&self, message: &mut Object<'_>, traits: &Traits, thinks: bool) {
        let text = || {
            let texts = self.thoughts.iter().filter_map(|part| match part {
                Part::Reasoning { text, .. } if !text.is_empty() => Some(&**text),
                _ => None,
            });
            texts.collect::<Vec<_>>().join("\n")
        };
        match traits.thoughts.returned {
            Returned::ReasoningContent => {
                let text = text();
                // Where thoughts are demanded, none at all will do as well.
                let is_demanded = thinks
                    && match traits.thoughts.when {
                        When::EachTurn => true,
                        When::CallTurns => !self.calls.is_empty(),
                        When::Optional | When::ToolLoop => false,
                    };
                if is_demanded || !text.is_empty() {
                    message.put("reasoning_content", &text);
                }
            }
            Returned::Reasoning => {
                _ = message.given("reasoning", Some(text()).filter(|text| !text.is_empty()))
            }
            Returned::ReasoningDetails => self.details(message, traits),
            Returned::Nothing
            | Returned::Signed
            | Returned::Items
            | Returned::Signature
            | Returned::Parts => {}
        }
    }

    /// Thoughts with their proofs. Without one they are for models that make none.
    fn details(&self, message: &mut Object<'_>, traits: &Traits) {
        let has_proofs = traits.thoughts.bound_to != Binding::None;
        let mut list = Vec::new();
        for part in &self.thoughts {
            let Part::Reasoning { text, signature, redacted } = part else { continue };
            if let Some(data) = redacted {
                list.push(("reasoning.encrypted", "data", data, None));
            } else if signature.is_some() || !(has_proofs || text.is_empty()) {
                list.push(("reasoning.text", "text", text, signature.as_ref()));
            }
        }
        if list.is_empty() {
            return;
        }
        let mut details = Array::new(message.key("reasoning_details"));
        for (place, (kind, field, value, signature)) in list.into_iter().enumerate() {
            details.object(|item| {
                item.put("type", kind).put(field, value).given("signature", signature).put("index", &place);
            });
        }
        details.end();
    }
}
