//! What went wrong on the way to an answer, and what of it the client is told.

use crate::error::GatewayError;

/// Failures so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pub(super) last: Option<GatewayError>,
    /// Something other than a rate limit was among them.
    pub(super) other: bool,
    /// Why a target was not even called: its format cannot carry the request, or there is no room.
    pub(super) uncalled: Option<GatewayError>,
}

impl Failures {
    /// Of several failures the last one is told, but a rate limit only when there was nothing else.
    pub(super) fn note(&mut self, failure: GatewayError) {
        let busy = matches!(failure, GatewayError::BackendBusy { .. });
        if !busy || !self.other {
            self.last = Some(failure);
        }
        self.other |= !busy;
    }

    /// Whether the gateway itself is why the last one failed: no target would do better.
    pub(super) fn are_final(&self) -> bool {
        matches!(self.last, Some(GatewayError::Overloaded { .. }))
    }
}

/// An error with its causes, for the log.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
