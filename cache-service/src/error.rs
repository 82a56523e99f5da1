//! Why the service does not start.

use std::io;
use std::net::SocketAddr;

use tollgate_eventlog::LogError;
use tollgate_settings::{ConfigError, SecretError};

use crate::embed::minilm::LoadError;
use crate::embed::openai::OpenAiError;
use crate::index::IndexError;

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The index cannot be opened.
    #[error("the cache index cannot be opened")]
    Index(#[from] IndexError),
    /// The local model cannot be loaded.
    #[error("the embedding model cannot be loaded")]
    Model(#[from] LoadError),
    /// The embeddings endpoint cannot be used.
    #[error("the embeddings endpoint cannot be used")]
    Endpoint(#[from] OpenAiError),
    /// The event log refuses its configuration.
    #[error("the event log cannot be read")]
    Events(#[from] LogError),
    /// A secret is not there.
    #[error("a secret is missing")]
    Secret(#[from] SecretError),
    /// Signals cannot be watched.
    #[error("signals cannot be watched")]
    Signals(#[source] io::Error),
    /// A thread could not be started or ended badly.
    #[error("a thread of the cache service failed: {0}")]
    Thread(String),
}

impl Error {
    /// Whether the configuration must be changed; trying again does not help.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Secret(_)
                | Self::Endpoint(OpenAiError::Url(_) | OpenAiError::Header(_) | OpenAiError::Secret(_))
                | Self::Events(LogError::Config(_))
        )
    }
}
