//! Why a call brought no answer.

use std::error::Error;

use tollgate_codings::DecodeError;
use tollgate_credentials::CredentialError;

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There are no valid credentials to show.
    #[error("no credentials")]
    Credentials(#[source] CredentialError),
    /// No connection could be made.
    #[error("no connection")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    /// The connection broke before the answer began.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// The answer is in a content coding that nobody asked for and that is not understood.
    #[error("the answer is in the content coding `{0}`")]
    UnknownCoding(String),
    /// The answer is not what its content coding says.
    #[error("the answer cannot be decoded")]
    Undecodable(#[source] DecodeError),
    /// No answer began in time.
    #[error("no answer in time")]
    FirstByteTimeout,
    /// The answer stalled.
    #[error("the answer stalled")]
    Stalled,
    /// The gateway holds as much as it may.
    #[error("no memory for the answer")]
    NoMemory,
    /// The answer is too large.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}
