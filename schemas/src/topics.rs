//! Topics: names, keys, partitions and retention.

/// A topic of the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// One event per upstream attempt, cache answer and refusal. Key: the gateway key's id.
    Usage,
    /// Request bodies, opt-in. Key: the request id.
    Prompt,
    /// Answers, opt-in. Key: the request id.
    Completion,
    /// What the cache service should remember or forget. Key: the tenant.
    Cache,
    /// Circuit state of backends, compacted. Key: see [`crate::backend_state::state_key`].
    BackendState,
    /// Usage events that accounting could not read.
    UsageDeadLetter,
}

/// How a topic is created where it does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSpec {
    /// Which topic.
    pub topic: Topic,
    /// Partitions when created.
    pub partitions: u16,
    /// How long records stay, hours; 0 keeps the last record of each key instead (compaction).
    pub retention_hours: u32,
    /// Largest record, bytes.
    pub max_record_bytes: u32,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 6] =
        [Self::Usage, Self::Prompt, Self::Completion, Self::Cache, Self::BackendState, Self::UsageDeadLetter];

    /// The name in the log, without the configured prefix.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "llm.usage.v1",
            Self::Prompt => "llm.prompt.v1",
            Self::Completion => "llm.completion.v1",
            Self::Cache => "llm.cache.v1",
            Self::BackendState => "llm.backend-state.v1",
            Self::UsageDeadLetter => "llm.usage.dlq.v1",
        }
    }

    /// The topic of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// How the topic is created. Usage must outlive the longest outage of accounting.
    #[must_use]
    pub const fn spec(self) -> TopicSpec {
        let (partitions, retention_hours, max_record_bytes) = match self {
            Self::Usage => (8, 14 * 24, 64 << 10),
            Self::Prompt | Self::Completion => (8, 72, 1 << 20),
            Self::Cache => (4, 24, 1 << 20),
            Self::BackendState => (1, 0, 64 << 10),
            Self::UsageDeadLetter => (1, 90 * 24, 1 << 20),
        };
        TopicSpec { topic: self, partitions, retention_hours, max_record_bytes }
    }
}
