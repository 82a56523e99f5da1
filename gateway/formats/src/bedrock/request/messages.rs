//! The conversation: turns alternate, the first is the user's, results of tools open the user's turn.

use serde::Serialize;
use tollgate_families::{Prefill, SystemNote, Traits};

use super::blocks::{Block, BlockWriter};
use crate::claude::{Form, GO_ON, OPENING};
use crate::error::FormatError;
use crate::exchange::{Request, Turn, TurnRole};
use crate::media::left_out;

/// Stands beside documents without a text, which the API wants there.
const BESIDE_DOCUMENTS: &str = "The documents are attached.";

/// All that one side says until the other one speaks.
#[derive(Debug, Serialize)]
pub(super) struct Message<'r> {
    role: &'static str,
    content: Vec<Block<'r>>,
}

impl<'r> Message<'r> {
    fn of_user(text: &'r str) -> Self {
        Self { role: "user", content: vec![Block::text(text)] }
    }
}

/// Whether the model has a place for instructions apart from the conversation.
pub(super) const fn has_system(traits: &Traits) -> bool {
    !matches!(traits.messages.system_first, SystemNote::UserText)
}

/// The conversation as messages.
pub(super) fn messages<'r>(
    request: &'r Request<'_>,
    form: &'r Form<'_>,
    writer: &mut BlockWriter<'_>,
) -> Result<Vec<Message<'r>>, FormatError> {
    let mut messages: Vec<Message<'r>> = Vec::with_capacity(request.turns.len() + 1);
    messages.extend(instructions(request, form, writer.traits()));
    for turn in &request.turns {
        if turn.name.is_some() {
            writer.unmapped().hint("messages[].name");
        }
        let Message { role, content } = message(turn, writer)?;
        match messages.last_mut() {
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.extend(content),
            // Only the user opens a conversation here.
            None if role != "user" => messages.extend([Message::of_user(OPENING), Message { role, content }]),
            _ => messages.push(Message { role, content }),
        }
    }
    for message in &mut messages {
        results_first(&mut message.content);
        if writer.traits().media.document_needs_text {
            text_beside_documents(&mut message.content);
        }
    }
    if messages.is_empty() {
        if request.system.iter().all(|text| text.text.trim_ascii().is_empty()) {
            return Err(FormatError::invalid("there must be at least one message of the user", "messages"));
        }
        messages.push(Message::of_user(OPENING));
    }
    end_well(&mut messages, writer);
    Ok(messages)
}

fn message<'r>(turn: &'r Turn<'_>, writer: &mut BlockWriter<'_>) -> Result<Message<'r>, FormatError> {
    let role = match turn.role {
        TurnRole::User | TurnRole::System => "user",
        TurnRole::Assistant => "assistant",
    };
    let mut content = writer.content(&turn.parts)?;
    if content.is_empty() {
        content.extend(left_out(&turn.parts).map(Block::text));
    }
    Ok(Message { role, content })
}

/// Instructions as a text of the user, for models that have no other place for them.
fn instructions<'r>(request: &'r Request<'_>, form: &'r Form<'_>, traits: &Traits) -> Option<Message<'r>> {
    if has_system(traits) {
        return None;
    }
    let told = if let Form::Told(text) = form { Some(text.as_str()) } else { None };
    let texts = request.system.iter().map(|text| &*text.text).chain(told);
    let content: Vec<Block<'r>> =
        texts.filter(|text| !text.trim_ascii().is_empty()).map(Block::text).collect();
    (!content.is_empty()).then_some(Message { role: "user", content })
}

/// A conversation that ends with the model: its text goes on without a space before it, or the user asks it to go on
/// where the model does not by itself.
fn end_well(messages: &mut Vec<Message<'_>>, writer: &mut BlockWriter<'_>) {
    let Some(last) = messages.last_mut().filter(|last| last.role == "assistant") else { return };
    if writer.traits().messages.prefill == Prefill::Refused {
        writer.unmapped().hint("messages[].prefill");
        messages.push(Message::of_user(GO_ON));
    } else if let Some(Block::Text(text)) = last.content.last_mut()
        && text.ends_with(char::is_whitespace)
    {
        *text = text.trim_end().to_owned().into();
    }
}

fn text_beside_documents(content: &mut Vec<Block<'_>>) {
    let has_document = content.iter().any(|block| matches!(block, Block::Document(_)));
    if has_document && !content.iter().any(|block| matches!(block, Block::Text(_))) {
        content.push(Block::text(BESIDE_DOCUMENTS));
    }
}

/// A cache mark stays behind the block that it marks.
fn results_first(content: &mut Vec<Block<'_>>) {
    let Some(last) = content.iter().rposition(|block| matches!(block, Block::ToolResult(_))) else { return };
    let is_sorted =
        content.iter().take(last).all(|block| matches!(block, Block::ToolResult(_) | Block::CachePoint(_)));
    if is_sorted {
        return;
    }
    let mut of_result = false;
    let (results, others): (Vec<_>, Vec<_>) = std::mem::take(content).into_iter().partition(|block| {
        of_result = match block {
            Block::CachePoint(_) => of_result,
            other => matches!(other, Block::ToolResult(_)),
        };
        of_result
    });
    *content = results;
    content.extend(others);
}
