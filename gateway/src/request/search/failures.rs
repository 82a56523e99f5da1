//! What went wrong on the way to an answer, and what of it the client is told.

use crate::error::GatewayError;

/// Failures so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pub(super) last: Option<GatewayError>,
    pub(super) saw_other_than_rate_limit: bool,
    /// Why a target was not even called: its format cannot carry the request, or there is no room.
    pub(super) uncalled: Option<GatewayError>,
}

impl Failures {
    /// Of several failures the last one is told, but a rate limit only when there was nothing else.
    pub(super) fn note(&mut self, failure: GatewayError) {
        let busy = matches!(failure, GatewayError::BackendBusy { .. });
        if !busy || !self.saw_other_than_rate_limit {
            self.last = Some(failure);
        }
        self.saw_other_than_rate_limit |= !busy;
    }

    /// Whether the gateway itself is why the last one failed: no target would do better.
    pub(super) fn are_final(&self) -> bool {
        matches!(self.last, Some(GatewayError::Overloaded { .. }))
    }
}
