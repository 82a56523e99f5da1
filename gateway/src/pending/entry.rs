//! One answer whose model went on after it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_schemas::ids::EventId;
use tollgate_schemas::usage::UsageEvent;

/// One answer whose model went on after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its row so far.
    pub event: UsageEvent,
    /// What its provider calls it.
    pub response: Arc<str>,
    /// When nobody asks for it any more, ms since the Unix epoch.
    pub deadline_ms: i64,
}

impl Entry {
    #[must_use]
    pub fn id(&self) -> EventId {
        self.event.event_id
    }

    /// The backend that has it.
    #[must_use]
    pub fn backend(&self) -> &Arc<str> {
        &self.event.call.backend
    }

    pub(super) fn subscription(&self) -> &Arc<str> {
        &self.event.payer.subscription
    }
}
