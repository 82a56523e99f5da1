//! The models on offer.

use std::time::Duration;

/// A model that answers chats, or makes embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// Whether it makes embeddings instead of answering.
    pub embeds: bool,
    /// How long it thinks before the first byte.
    pub think: Duration,
    /// Pause before each chunk of a stream, besides the configured one.
    pub chunk_delay: Duration,
    /// Sentences of an answer: at least, at most.
    pub sentences: (usize, usize),
}

/// Every model.
pub const MODELS: [Model; 3] = [
    Model {
        name: "sim-small",
        embeds: false,
        think: Duration::ZERO,
        chunk_delay: Duration::ZERO,
        sentences: (2, 4),
    },
    Model {
        name: "sim-large",
        embeds: false,
        think: Duration::from_millis(40),
        chunk_delay: Duration::from_millis(3),
        sentences: (4, 8),
    },
    Model {
        name: "sim-embed",
        embeds: true,
        think: Duration::ZERO,
        chunk_delay: Duration::ZERO,
        sentences: (0, 0),
    },
];

/// The model of that name; what follows a colon is the caller's own business.
#[must_use]
pub fn find(name: &str) -> Option<&'static Model> {
    let name = name.split(':').next().unwrap_or_default();
    MODELS.iter().find(|model| model.name == name)
}
