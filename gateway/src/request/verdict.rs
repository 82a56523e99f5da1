//! What an ended call means: an answer, a refusal of the request itself, or a failure that another target may
//! make up for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use tollgate_backends::AnswerBody;
use tollgate_backends::backend::Backend;
use tollgate_backends::call::{CallError, collect};
use tollgate_backends::outcome;
use tollgate_backends::retry_after;
use tollgate_backends::{AttemptClass, FailureKind};
use tollgate_crossing::Crossing;
use tollgate_formats::Usage;
use tollgate_runtime::snapshot::Target;
use tollgate_schemas::ids::RequestId;

use super::attempt::{Attempt, Ending};
use super::call::Answered;
use super::event;
use super::measure::Produced;
use crate::error::GatewayError;
use crate::policies::token_limit::Reserved;

/// Largest error answer of a backend that is read, bytes.
const MAX_ERROR_BODY: usize = 64 << 10;
/// How long an error answer may take to arrive.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);

/// What came of one call.
pub(super) enum Verdict {
    /// The backend does what was asked.
    Answer(Box<Attempt>, Response<AnswerBody>),
    /// It refuses the request itself.
    Refusal(Refusal),
    /// It failed.
    Failure(Box<Unanswered>),
}

/// A call that failed before anything of an answer could go to the client. Its books are closed.
pub(super) struct Unanswered {
    /// What the client is told if nothing else answers.
    pub(super) failure: GatewayError,
    /// What goes on to the next attempt.
    pub(super) reserved: Reserved,
}

impl Unanswered {
    /// Closes the books.
    pub(super) fn close(attempt: &mut Attempt, ending: Ending<'_>, failure: GatewayError) -> Box<Self> {
        Box::new(Self { failure, reserved: attempt.end_for_next(ending) })
    }
}

/// A backend's refusal of a request; trying elsewhere would not help.
#[derive(Debug)]
pub struct Refusal {
    /// Its status.
    pub status: StatusCode,
    /// Its error, in the API format of the client.
    pub body: Bytes,
    /// When to try again, if it said so.
    pub retry_after: Option<Duration>,
}

/// Whether a call ended with something that another target would not change.
pub(super) fn decides(answered: &Answered) -> bool {
    let Ok(response) = answered else { return false };
    let status = response.status();
    let wait = || retry_after::from_headers(response.headers(), event::now_ms());
    status.is_success() || !(status.is_redirection() || outcome::retryable(status.as_u16(), wait()))
}

/// Judges a call that ended and closes its books, except those of an answer. `spent` is what calls before it have
/// used.
pub(super) async fn judge(
    target: &Target,
    crossing: Crossing,
    request_id: RequestId,
    mut attempt: Attempt,
    answered: Answered,
    spent: Option<Usage>,
) -> Verdict {
    let produced = Produced { usage: spent, ..Produced::default() };
    match answered {
        Err(error) => {
            let (kind, failure) = call_failure(&target.backend, error);
            // Without an answer nothing is billed: the provider reports no use either.
            let ending = Ending::failed(kind, 0, failure.class().code, produced);
            Verdict::Failure(Unanswered::close(&mut attempt, ending, failure))
        }
        Ok(response) if response.status().is_success() => Verdict::Answer(Box::new(attempt), response),
        Ok(response) => Box::pin(refused(target, crossing, request_id, attempt, response, produced)).await,
    }
}

/// The backend answered with an error: either it failed, or it refuses this very request.
async fn refused(
    target: &Target,
    crossing: Crossing,
    request_id: RequestId,
    mut attempt: Attempt,
    response: Response<AnswerBody>,
    produced: Produced<'_>,
) -> Verdict {
    let status = response.status();
    attempt.note_rates(response.headers());
    let wait = retry_after::from_headers(response.headers(), event::now_ms());
    let kind = FailureKind::Status(status.as_u16());
    let counts = outcome::is_failure(status.as_u16());
    let class = if counts { AttemptClass::Failure(kind) } else { AttemptClass::Neutral };
    if let Some(failure) = failure_of(&target.backend, status, wait) {
        let ending = Ending::failed(kind, 0, failure.class().code, produced);
        let ending = Ending { class, retry_after: wait, ..ending };
        return Verdict::Failure(Unanswered::close(&mut attempt, ending, failure));
    }
    let (head, body) = response.into_parts();
    let body = collect(body, MAX_ERROR_BODY, ERROR_BODY_WAIT).await.unwrap_or_default();
    let body = crossing.refusal(&head, body, request_id);
    let ending = Ending::failed(kind, status.as_u16(), "backend_refused", produced);
    attempt.end(Ending { class, ..ending });
    Verdict::Refusal(Refusal { status, body, retry_after: wait })
}

/// The failure that a status stands for; none when it refuses the request itself.
pub(super) fn failure_of(
    backend: &Backend,
    status: StatusCode,
    wait: Option<Duration>,
) -> Option<GatewayError> {
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
