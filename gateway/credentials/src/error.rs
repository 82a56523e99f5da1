//! Why credentials cannot be made, and why a request gets none. No text here holds a secret.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Why credentials cannot be made from their configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("credentials.{field}: {reason}")]
pub struct ConfigureError {
    /// The field at fault, below `credentials`.
    pub field: &'static str,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl ConfigureError {
    pub(crate) fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

/// Why a request gets no credentials. Cheap to clone: all who wait for one fetch get the same.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CredentialError {
    /// No connection to the token endpoint, or it broke.
    #[error("the token endpoint {endpoint} cannot be reached")]
    Unreachable {
        /// Its host.
        endpoint: Arc<str>,
        /// What happened.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// No complete answer in time.
    #[error("the token endpoint {endpoint} did not answer in time")]
    Timeout {
        /// Its host.
        endpoint: Arc<str>,
    },
    /// It answered with an error.
    #[error("the token endpoint {endpoint} refuses with status {status}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused {
        /// Its host.
        endpoint: Arc<str>,
        /// HTTP status.
        status: u16,
        /// Its error code, where it has the form of one. Descriptions are left out: they may repeat the request.
        code: Option<Arc<str>>,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
        /// Whether the same question may be answered later.
        transient: bool,
    },
    /// It answered with something else than a token.
    #[error("the token endpoint {endpoint} gave an answer without a usable token: {reason}")]
    Answer {
        /// Its host.
        endpoint: Arc<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file with the platform's token cannot be used.
    #[error("the token file {path} cannot be used: {reason}")]
    TokenFile {
        /// The file.
        path: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// An assertion or the request itself cannot be signed or completed.
    #[error("the request cannot be signed: {0}")]
    Signing(&'static str),
    /// The fetch ended without an outcome because its worker stopped.
    #[error("fetching credentials was interrupted")]
    Interrupted,
}

impl CredentialError {
    /// Whether asking again soon may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Interrupted => true,
            Self::Refused { transient, .. } => *transient,
            Self::Answer { .. } | Self::TokenFile { .. } | Self::Signing(_) => false,
        }
    }

    /// How long the endpoint asked to be left alone.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
