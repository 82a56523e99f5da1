//! What went wrong on the way to an answer, and what of it the client is told.

use std::time::Duration;

use tollgate_runtime::snapshot::Target;

use crate::error::GatewayError;

/// Failures so far.
#[derive(Debug, Default)]
pub(super) struct Failures<'a> {
    pub(super) last: Option<GatewayError>,
    pub(super) saw_other_than_rate_limit: bool,
    /// Why a target was not even called: its format cannot carry the request, or there is no room.
    pub(super) uncalled: Option<GatewayError>,
    /// The target of the latest one, where it may serve the same request a moment later.
    pub(super) repeatable: Option<Repeatable<'a>>,
}

/// A failure after which the same target may be called again.
#[derive(Debug)]
pub(super) struct Repeatable<'a> {
    pub(super) target: &'a Target,
    /// How long it asked to be left alone.
    pub(super) asked: Option<Duration>,
}

impl<'a> Failures<'a> {
    /// Of several failures the last one is told, but a rate limit only when there was nothing else.
    pub(super) fn note(&mut self, failure: GatewayError, target: &'a Target) {
        let may_repeat = target.retries.is_some() && failure.passes();
        self.repeatable = may_repeat.then(|| Repeatable { target, asked: failure.retry_after() });
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
