//! Whether a call has been sent: until then, no model can have read its prompt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often the head of a request was handed to an open connection: one call of a client may become several calls to
/// backends. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<AtomicU32>);

impl Sent {
    /// Whether it was handed over at least once.
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
