//! Whether a call has gone out: before, no model can have read its prompt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Whether the head of a request was handed to a connection that stood: how often, since one call of a client may be
/// several of a backend. Clones say the same.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<AtomicU32>);

impl Sent {
    /// Whether it was.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    pub(super) fn mark(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The connection gave the request back unsent.
    pub(super) fn take_back(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
