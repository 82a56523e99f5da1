//! A request on its way to a model, made such that the model takes it: what every format needs alike, done once
//! between reading a client's request and writing a backend's.

use tollgate_families::Traits;

use crate::cache_marks;
use crate::exchange::proofs::{self, Accepts};
use crate::exchange::{Request, ToolNames, TurnRole, tool_names};

/// The model that a request goes to.
#[derive(Debug, Clone, Copy)]
pub struct TargetModel<'a> {
    /// Its name at the backend.
    pub name: &'a str,
    /// Short name of backend and model, which marks their proofs of thoughts; letters and digits.
    pub origin: &'a str,
    /// What it takes.
    pub traits: &'a Traits,
}

/// What the API that a model is called in takes, whatever the model.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Whether proofs of thoughts without a mark may be the model's own.
    pub takes_unmarked_proofs: bool,
    /// Whether instructions have a place in the midst of the conversation.
    pub has_system_turns: bool,
    /// Most letters of a tool's name.
    pub most_name_letters: usize,
}

/// Adapts a request. Gives the names of the tools that were changed, for the way back.
pub fn adapt(request: &mut Request<'_>, target: TargetModel<'_>, place: Place) -> ToolNames {
    let accepts = Accepts { origin: target.origin, unmarked: place.takes_unmarked_proofs };
    proofs::keep_own(request, accepts);
    keep_notes_in_place(request, target.traits, place);
    cache_marks::fit(request, target.traits);
    let most =
        usize::try_from(target.traits.tools.name_most).unwrap_or(usize::MAX).min(place.most_name_letters);
    tool_names::fit(request, |name| (name.len() > most).then(|| tool_names::fitted(name, most).into_owned()))
}

/// Instructions that have no place of their own become texts of the user where they stand.
fn keep_notes_in_place(request: &mut Request<'_>, traits: &Traits, place: Place) {
    let mut after_user = false;
    for turn in &mut request.turns {
        let taken = place.has_system_turns && traits.messages.system_later.is_taken(after_user);
        if !taken && let Some(note) = turn.as_user_note() {
            *turn = note;
        }
        after_user = turn.role == TurnRole::User;
    }
}
