//! Everything that can go wrong, for the people who run the service.

use std::net::SocketAddr;
use std::path::PathBuf;

use tollgate_eventlog::LogError;
use tollgate_settings::{ConfigError, SecretError};

use crate::price_book::PriceBookError;
use crate::reports::ReportError;
use crate::store::StoreError;

/// Why accounting did not start or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An option of the command line is missing or cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The price book cannot be read.
    #[error("the price book {} cannot be read: {error}", path.display())]
    PriceBookFile {
        /// The price book's file.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The price book has mistakes.
    #[error("the price book {} has mistakes:\n{error}", path.display())]
    PriceBook {
        /// The price book's file.
        path: PathBuf,
        /// The mistakes.
        error: PriceBookError,
    },
    /// A secret is not available.
    #[error("store password: {0}")]
    Secret(#[from] SecretError),
    /// The ledger store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A report was asked for in a way that cannot be answered.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: std::io::Error,
    },
    /// A running service, asked with `--url`, gave no usable answer.
    #[error("{url}: {message}")]
    Remote {
        /// The URL that was asked.
        url: String,
        /// What was wrong with the answer.
        message: String,
    },
    /// There is no configuration that names a ledger, and nobody answers on the default address either.
    #[error("no configuration file is named with --config or found where it usually is; {0}")]
    NoConfig(Box<Self>),
    /// Another process has the embedded ledger open, and it is not the service of the configuration.
    #[error("{locked}; {remote}")]
    InUse {
        /// The ledger that is open elsewhere.
        locked: StoreError,
        /// Why the service of the configuration did not help.
        remote: Box<Self>,
    },
    /// A thread or the runtime failed.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// Whether the configuration or the command line must be changed; trying again does not help.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Usage(_)
                | Self::PriceBookFile { .. }
                | Self::PriceBook { .. }
                | Self::Secret(_)
                | Self::Store(StoreError::Authorities(_))
                | Self::Report(_)
                | Self::Log(LogError::Config(_))
        )
    }
}
