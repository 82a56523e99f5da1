//! What a request asks of a model, once its format is taken off, and the rules that all providers share.

use serde_json::Value;

/// A request.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask {
    /// Instructions, in order.
    pub(super) system: Vec<String>,
    /// The conversation.
    pub(super) turns: Vec<Turn>,
    /// Tools by name, with the schema of their arguments.
    pub(super) tools: Vec<Tool>,
    /// Which of them are to be used.
    pub(super) choice: Choice,
    /// Whether two calls at a time are allowed.
    pub(super) one_call: bool,
    /// Most tokens of the answer.
    pub(super) max_tokens: Option<u64>,
    /// Texts that end the answer.
    pub(super) stop: Vec<String>,
    /// The JSON that the answer must be; `{}` is any object.
    pub(super) schema: Option<Value>,
    /// Whether it thinks first.
    pub(super) thinks: bool,
    /// Whether it keeps its thoughts to itself; their proof comes all the same.
    pub(super) hides_thoughts: bool,
    /// Whether it says something before it calls a tool, as some models do.
    pub(super) talks_first: bool,
    /// Whether the answer is streamed.
    pub(super) stream: bool,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Model,
}

/// One turn.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) role: Role,
    pub(super) parts: Vec<Part>,
}

/// A part of a turn.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Text(String),
    /// A picture of so many bytes; 0 when only its address is known.
    Image(usize),
    /// A file of so many bytes.
    File(usize),
    Call {
        id: String,
        name: String,
    },
    Result {
        id: String,
        text: String,
    },
    Thought,
}

/// A tool.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) schema: Value,
}

/// Which tools are to be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Choice {
    /// As the model likes.
    #[default]
    Auto,
    None,
    /// Any, but one.
    Any,
    Named(String),
}

impl Ask {
    /// Adds a turn; neighbours of the same role become one, as models see them.
    pub(super) fn push(&mut self, role: Role, parts: Vec<Part>) {
        match self.turns.last_mut().filter(|last| last.role == role) {
            Some(last) => last.parts.extend(parts),
            None => self.turns.push(Turn { role, parts }),
        }
    }

    /// Whether every call is answered by the turn after it, and every answer has a call: all providers want that.
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    pub(super) fn calls_are_answered(&self) -> Result<(), String> {
        let mut open: Vec<&str> = Vec::new();
        for turn in &self.turns {
            let mut answered = Vec::new();
            for part in &turn.parts {
                if let Part::Result { id, .. } = part {
                    if !open.contains(&id.as_str()) {
                        return Err(format!(
                            "the tool result '{id}' answers no tool call of the turn before"
                        ));
                    }
                    answered.push(id.as_str());
                }
            }
            if let Some(id) = open.iter().find(|id| !answered.contains(id)) {
                return Err(format!("the tool call '{id}' has no tool result in the turn after it"));
            }
            let calls = turn.parts.iter().filter_map(|part| match part {
                Part::Call { id, .. } => Some(id.as_str()),
                _ => None,
            });
            open = calls.collect();
        }
        match open.first() {
            Some(id) => Err(format!("the tool call '{id}' has no tool result")),
            None => Ok(()),
        }
    }

    /// Everything that is said, for counting.
    pub(super) fn prompt(&self) -> String {
        let mut all = self.system.join("\n");
        for part in self.turns.iter().flat_map(|turn| &turn.parts) {
            match part {
                Part::Text(text) | Part::Result { text, .. } => all.push_str(text),
                Part::Call { name, .. } => all.push_str(name),
                Part::Image(_) | Part::File(_) | Part::Thought => {}
            }
        }
        all
    }

    /// What was said last by the user, as one text.
    pub(super) fn question(&self) -> String {
        let last = self.turns.iter().rev().find(|turn| turn.role == Role::User);
        let texts = last.into_iter().flat_map(|turn| &turn.parts).filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    /// Parts of the last turn.
    pub(super) fn last(&self) -> &[Part] {
        self.turns.last().map_or(&[], |turn| &turn.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> Part {
        Part::Call { id: id.into(), name: "t".into() }
    }

    fn result(id: &str) -> Part {
        Part::Result { id: id.into(), text: String::new() }
    }

    fn verdict(turns: Vec<(Role, Vec<Part>)>) -> Result<(), String> {
        let mut ask = Ask::default();
        turns.into_iter().for_each(|(role, parts)| ask.push(role, parts));
        ask.calls_are_answered()
    }

    #[test]
    fn calls_are_answered_in_the_next_turn_or_refused() {
        use Role::{Model, User};
        assert!(
            verdict(vec![(Model, vec![call("a"), call("b")]), (User, vec![result("b"), result("a")])])
                .is_ok()
        );
        assert!(verdict(vec![(Model, vec![call("a"), call("b")]), (User, vec![result("a")])]).is_err());
        assert!(verdict(vec![(User, vec![result("a")])]).is_err());
        assert!(verdict(vec![(Model, vec![call("a")])]).is_err());
    }
}
