//! The conversation: turns alternate, the first is the user's, results of tools open the user's turn.

use serde::Serialize;

use super::blocks::{Block, BlockWriter};
use crate::error::FormatError;
use crate::exchange::{Turn, TurnRole};

/// All that one side says until the other one speaks.
#[derive(Debug, Serialize)]
pub(super) struct Message<'r> {
    role: &'static str,
    content: Vec<Block<'r>>,
}

/// The conversation as messages.
pub(super) fn messages<'r>(
    turns: &'r [Turn<'_>],
    writer: &mut BlockWriter<'_>,
) -> Result<Vec<Message<'r>>, FormatError> {
    let mut messages: Vec<Message<'r>> = Vec::with_capacity(turns.len());
    for turn in turns {
        writer.unmapped().given("messages[].name", turn.name.as_ref())?;
        let role = match turn.role {
            TurnRole::User | TurnRole::System => "user",
            TurnRole::Assistant => "assistant",
        };
        let mut content = Vec::with_capacity(turn.parts.len());
        for part in &turn.parts {
            writer.write(part, &mut content)?;
        }
        match messages.last_mut() {
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.extend(content),
            _ => messages.push(Message { role, content }),
        }
    }
    for message in &mut messages {
        results_first(&mut message.content);
    }
    match messages.first() {
        Some(Message { role: "user", .. }) => Ok(messages),
        Some(_) => Err(FormatError::invalid(
            "the model behind this alias wants a conversation that begins with a message of the user",
            "messages",
        )),
        None => Err(FormatError::invalid("there must be at least one message of the user", "messages")),
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
