//! A call that ended without an answer: what that means for the circuit, for the client and for the next attempt.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tollgate_backends::backend::Backend;
use tollgate_backends::call::CallError;
use tollgate_backends::{FailureKind, outcome};
use tollgate_crossing::ClientFormat;
use tollgate_formats::meaning::{BackendError, Meaning};
use tollgate_formats::redact::without_secrets;

use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use crate::books::measure::Produced;
use crate::error::GatewayError;
use tollgate_limits::Reservation;

/// Longest text of a provider that a client is told of a failure, bytes.
const MAX_TOLD: usize = 2_000;

/// A call that brought nothing that could go to the client. Its books are closed.
pub enum NoAnswer {
    /// The backend failed: another one may do what was asked.
    Failure(Box<Unanswered>),
    /// It refuses the request itself.
    Refusal(Refusal),
}

/// A backend's refusal of a request; trying elsewhere would not help.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    /// Its error, in the API format of the client.
    pub body: Bytes,
    /// When to try again, if it said so.
    pub retry_after: Option<Duration>,
}

/// A call that failed before anything of an answer could go to the client. Its books are closed.
pub struct Unanswered {
    /// What the client is told if nothing else answers.
    pub failure: GatewayError,
    /// What the backend said, where it did.
    pub said: Option<Box<BackendError>>,
    /// What goes on to the next attempt.
    pub reserved: Reservation,
}

impl Unanswered {
    /// Closes the books.
    pub fn close(attempt: &mut Attempt, ending: Ending<'_>, failure: GatewayError) -> Box<Self> {
        Box::new(Self { failure, said: None, reserved: attempt.end_for_next(ending) })
    }
}

impl From<Box<Unanswered>> for NoAnswer {
    fn from(unanswered: Box<Unanswered>) -> Self {
        Self::Failure(unanswered)
    }
}

/// Closes the books of a call whose backend answered with an error. `refusal` is the body of it for the client, if the
/// request itself is at fault.
pub fn ended_with(
    attempt: &mut Attempt,
    client: ClientFormat,
    said: BackendError,
    retry_after: Option<Duration>,
    produced: Produced<'_>,
    refusal: impl FnOnce(&BackendError) -> Bytes,
) -> NoAnswer {
    let class = outcome::class_of(&said);
    let retry_after = retry_after.or(said.error.retry_after);
    if !outcome::retryable(&said, retry_after) {
        let status = client.refusal_status(&said);
        attempt.end(Ending::backend_refused(status, class, produced));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        return NoAnswer::Refusal(Refusal { status, body: refusal(&said), retry_after });
    }
    let failure = failure_of(&attempt.event().call.backend, &said, retry_after);
    let failed = Ending::failed(FailureKind::Status(said.status), 0, failure.class().code, produced);
    let unanswered = Unanswered::close(attempt, Ending { class, retry_after, ..failed }, failure);
    NoAnswer::Failure(Box::new(Unanswered { said: Some(Box::new(said)), ..*unanswered }))
}

/// What a client is told of an error that another backend may make up for.
fn failure_of(backend: &str, said: &BackendError, retry_after: Option<Duration>) -> GatewayError {
    let is_of_account = match said.meaning {
        Meaning::KeyRefused => true,
        // Whom the gateway owes money is no concern of its clients; a quota that is used up is.
        Meaning::NoMoney => said.status != 429,
        _ => false,
    };
    if is_of_account {
        return GatewayError::BackendCredentials { backend: backend.into(), source: None };
    }
    let mut said = Box::new(said.clone());
    said.error.message = match said.has_reason() {
        true => without_secrets(&said.error.message, MAX_TOLD),
        false => format!("the backend `{backend}` answered with status {}", said.status),
    };
    GatewayError::Backend { said, retry_after }
}

/// The failure of an answer that leads elsewhere. Followed, it would carry the gateway's credentials wherever the backend
/// says.
#[must_use]
pub fn redirected(backend: &Backend) -> GatewayError {
    let message = "it redirects elsewhere; correct the backend's url".to_owned();
    GatewayError::BrokenAnswer { backend: Arc::clone(&backend.name), message }
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

#[cfg(test)]
mod tests {
    use tollgate_formats::{ProviderError, ProviderErrorKind};

    use super::*;

    fn told(status: u16, code: Option<&str>, message: &str) -> GatewayError {
        let error = ProviderError {
            kind: ProviderErrorKind::from_status(status),
            message: message.to_owned(),
            status: None,
            code: code.map(str::to_owned),
            param: None,
            retry_after: None,
        };
        failure_of("b", &BackendError::new(status, error), None)
    }

    #[test]
    fn a_failure_keeps_its_status_as_far_as_callers_know_it() {
        for (status, told_status) in [
            (500, 500),
            (502, 502),
            (503, 503),
            (504, 504),
            (529, 529),
            (599, 502),
            (499, 502),
            (408, 504),
            (429, 429),
        ] {
            assert_eq!(told(status, None, "sorry").class().status, told_status, "{status}");
        }
        assert_eq!(told(404, None, "no such model").class().status, 404);
        assert_eq!(told(403, None, "not in your country").class().status, 403);
    }

    #[test]
    fn nobody_says_when_to_come_back_unless_the_backend_does() {
        let failure = told(429, Some("insufficient_quota"), "You exceeded your current quota");
        assert_eq!((failure.class().status, failure.retry_after()), (429, None));
        assert_eq!(failure.to_string(), "You exceeded your current quota");
    }

    #[test]
    fn the_bill_and_the_key_of_the_gateway_are_no_concern_of_its_clients() {
        for failure in [
            told(402, None, "Insufficient Balance"),
            told(400, None, "Your credit balance is too low"),
            told(401, None, "Incorrect API key provided: sk-proj-abc1234567890"),
        ] {
            assert_eq!((failure.class().status, failure.class().code), (502, "backend_credentials"));
            let text = failure.to_string();
            assert!(!text.contains("sk-") && !text.contains("alance"), "{text}");
        }
    }

    #[test]
    fn a_failure_without_a_word_is_told_by_its_status_and_secrets_are_hidden() {
        assert_eq!(told(503, None, "").to_string(), "the backend `b` answered with status 503");
        let said = told(500, None, "worker of org-AbC123dEf456 crashed");
        assert_eq!(said.to_string(), "worker of *** crashed");
    }
}
