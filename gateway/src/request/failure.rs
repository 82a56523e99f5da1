//! A call that failed: what that means for the circuit, for the client and for the next attempt.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tollgate_backends::backend::Backend;
use tollgate_backends::call::CallError;
use tollgate_backends::{FailureKind, outcome};

use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use crate::error::GatewayError;
use tollgate_limits::Reservation;

/// A call that failed before anything of an answer could go to the client. Its books are closed.
pub struct Unanswered {
    /// What the client is told if nothing else answers.
    pub failure: GatewayError,
    /// What goes on to the next attempt.
    pub reserved: Reservation,
}

impl Unanswered {
    /// Closes the books.
    pub fn close(attempt: &mut Attempt, ending: Ending<'_>, failure: GatewayError) -> Box<Self> {
        Box::new(Self { failure, reserved: attempt.end_for_next(ending) })
    }
}

/// The failure that a status stands for; `None` when it refuses the request itself.
pub fn failure_of(backend: &Backend, status: StatusCode, wait: Option<Duration>) -> Option<GatewayError> {
    let backend = Arc::clone(&backend.name);
    if status.is_redirection() {
        // Followed, it would carry the gateway's credentials wherever the backend says.
        let message = "it redirects elsewhere; correct the backend's url".to_owned();
        return Some(GatewayError::BrokenAnswer { backend, message });
    }
    if !outcome::retryable(status.as_u16(), wait) {
        return None;
    }
    Some(match status.as_u16() {
        401 | 403 => GatewayError::BackendCredentials { backend, source: None },
        429 => GatewayError::BackendBusy { backend, retry_after: wait.unwrap_or(Duration::from_secs(1)) },
        other => GatewayError::BackendStatus { backend, status: other },
    })
}

/// What a failed call means for the circuit and for the client.
#[must_use]
pub fn call_failure(backend: &Backend, error: CallError) -> (FailureKind, GatewayError) {
    let name = Arc::clone(&backend.name);
    match error {
        CallError::Connect(source) => {
            (FailureKind::Connect, GatewayError::Unreachable { backend: name, source })
        }
        CallError::FirstByteTimeout => (FailureKind::Timeout, GatewayError::BackendTimeout { backend: name }),
        CallError::Stalled => (FailureKind::Stalled, GatewayError::BackendTimeout { backend: name }),
        CallError::Broken(source) => {
            let message = "the connection broke before the answer was complete".to_owned();
            tracing::debug!(backend = %name, error = %source, "broken connection");
            (FailureKind::Stream, GatewayError::BrokenAnswer { backend: name, message })
        }
        CallError::UnknownCoding(coding) => {
            let message =
                format!("it is in the content coding `{coding}`, although it was asked for as it is");
            (FailureKind::Protocol, GatewayError::BrokenAnswer { backend: name, message })
        }
        CallError::Undecodable(error) => {
            let message = format!("{error}, although its head says so");
            (FailureKind::Protocol, GatewayError::BrokenAnswer { backend: name, message })
        }
        // As if the backend had refused them: it cannot be called, so its circuit opens and others are asked.
        CallError::Credentials(source) => (
            FailureKind::Status(401),
            GatewayError::BackendCredentials { backend: name, source: Some(source) },
        ),
        CallError::NoMemory => {
            (FailureKind::Stalled, GatewayError::Overloaded { retry_after: Duration::from_secs(1) })
        }
        CallError::TooLarge(limit) => {
            let message = format!("it is larger than {limit} bytes");
            (FailureKind::Protocol, GatewayError::BrokenAnswer { backend: name, message })
        }
    }
}
