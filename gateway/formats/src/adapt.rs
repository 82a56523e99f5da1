//! A request on its way to a model, made such that the model takes it: what every format needs alike, done once
//! between reading a client's request and writing a backend's.

use crate::exchange::proofs::{self, Accepts};
use crate::exchange::{Request, ToolNames, tool_names};

/// What a target wants of every request.
#[derive(Debug, Clone, Copy)]
pub struct Needs<'a> {
    /// Whose proofs of thoughts it takes.
    pub proofs: Accepts<'a>,
    /// Whether instructions may stand in the midst of the conversation. Where not they become texts of the user
    /// in their place.
    pub takes_system_turns: bool,
    /// Most letters of a tool's name.
    pub most_name_letters: usize,
}

/// Adapts a request. Gives the names of the tools that were changed, for the way back.
pub fn adapt(request: &mut Request<'_>, needs: Needs<'_>) -> ToolNames {
    proofs::keep_own(request, needs.proofs);
    if !needs.takes_system_turns {
        for turn in &mut request.turns {
            if let Some(note) = turn.as_user_note() {
                *turn = note;
            }
        }
    }
    tool_names::fit(request, |name| {
        (name.len() > needs.most_name_letters)
            .then(|| tool_names::fitted(name, needs.most_name_letters).into_owned())
    })
}
