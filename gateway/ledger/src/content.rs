//! Events that are not usage: prompts, completions, what the cache should remember.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_schemas::topics::Topic;
use uuid::Uuid;

/// An event for one of the content topics.
#[derive(Debug, Clone)]
pub struct ContentMessage {
    /// [`Topic::Prompt`], [`Topic::Completion`], [`Topic::Cache`] or another topic that is not usage.
    pub topic: Topic,
    /// Key of the record.
    pub key: Bytes,
    /// `ce_id`.
    pub id: Uuid,
    /// `ce_type`.
    pub kind: &'static str,
    /// `ce_time`, ms since the Unix epoch.
    pub time_ms: i64,
    /// `ce_subject`.
    pub subject: Option<Arc<str>>,
    /// The event's data, JSON.
    pub payload: Bytes,
}
