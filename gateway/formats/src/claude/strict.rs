//! Tools whose arguments must match their schema exactly.

use tollgate_families::Traits;

use crate::exchange::Tool;
use crate::schema;
use crate::unmapped::Unmapped;

/// Decides which tools stay strict.
pub(crate) struct StrictTools<'t> {
    traits: &'t Traits,
    left: u32,
}

impl<'t> StrictTools<'t> {
    pub(crate) fn of(traits: &'t Traits) -> Self {
        let most = if traits.tools.strict { traits.tools.strict_most.unwrap_or(u32::MAX) } else { 0 };
        Self { traits, left: most }
    }

    /// Whether a tool is told as strict. One that cannot be is told as usual, and that is named: the model sees the
    /// same schema, but nobody holds it to it. Not strict is the default, and older models know no other.
    pub(crate) fn takes(&mut self, tool: &Tool<'_>, unmapped: &mut Unmapped) -> bool {
        if tool.strict != Some(true) {
            return false;
        }
        let refused = |schema| schema::has_refused_words(schema, &self.traits.schema);
        if self.left == 0 || tool.parameters.is_some_and(refused) {
            unmapped.hint("tools[].strict");
            return false;
        }
        self.left -= 1;
        true
    }
}
