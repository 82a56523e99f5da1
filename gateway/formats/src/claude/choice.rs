//! Which tools must be used.

use tollgate_families::{Choice as Word, Forced, Traits};

use crate::exchange::{Request, ToolChoice};
use crate::unmapped::Unmapped;

/// A choice that the target can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice<'r> {
    Auto,
    None,
    Any,
    Named(&'r str),
}

impl Choice<'_> {
    /// Whether the model must use a tool.
    pub(crate) const fn is_forced(self) -> bool {
        matches!(self, Self::Any | Self::Named(_))
    }
}

/// The choice of a request; `None` if it says nothing. What the target cannot be forced to is left to it, and named.
pub(crate) fn choice<'r>(
    request: &'r Request<'_>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Option<Choice<'r>> {
    let can = |word| traits.reasoning.forced_tools != Forced::Refused && traits.tools.has_choice(word);
    let wanted = match request.tool_choice.as_ref()? {
        ToolChoice::Auto => return Some(Choice::Auto),
        ToolChoice::None => return Some(Choice::None),
        // Of the allowed ones alone: no others are told.
        ToolChoice::Allowed { required: false, .. } => return Some(Choice::Auto),
        ToolChoice::Required | ToolChoice::Allowed { .. } => Choice::Any,
        ToolChoice::Named(name) => Choice::Named(name),
    };
    if request.tools.is_empty() {
        return Some(wanted);
    }
    match wanted {
        Choice::Any if can(Word::Required) => return Some(wanted),
        Choice::Named(_) if can(Word::Named) => return Some(wanted),
        // The only one is the named one.
        Choice::Named(_) if can(Word::Required) && request.tools.len() == 1 => return Some(Choice::Any),
        _ => {}
    }
    unmapped.hint("tool_choice");
    Some(Choice::Auto)
}
