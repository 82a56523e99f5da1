//! From an alias to the first backend that answers: candidates in their order, one attempt each, until a
//! byte could have reached the client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;

use super::attempt::{Attempt, Ending};
use super::context::RequestContext;
use super::event::{self, Subject};
use super::measure::{Produced, Prompt};
use crate::backends::backend::Backend;
use crate::backends::call::{CallError, collect};
use crate::backends::outcome;
use crate::backends::retry_after;
use crate::backends::{AttemptClass, FailureKind, InFlight};
use crate::error::GatewayError;
use crate::formats::openai::request::ChatRequest;
use crate::gateway::{Gateway, Worker};
use crate::policies::token_limit::Reserved;
use crate::routing;
use crate::snapshot::{Model, Target};

/// Largest error answer of a backend that is read, bytes.
const MAX_ERROR_BODY: usize = 64 << 10;
/// How long an error answer may take to arrive.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);

/// What a request brings to its attempts.
pub struct Order<'a> {
    /// The request.
    pub context: &'a RequestContext,
    /// What its events have in common.
    pub subject: Subject<'a>,
    /// Its body as received.
    pub body: &'a Bytes,
    /// Its body as read.
    pub request: &'a ChatRequest<'a>,
    /// Headers of the client that are passed on.
    pub headers: HeaderMap,
}

/// A backend answered.
pub enum Reply {
    /// It does what was asked: the answer's head is here, its body follows.
    Answer {
        /// Books that stay open until the body ends.
        attempt: Box<Attempt>,
        /// The answer.
        response: Response<Incoming>,
        /// Who answers.
        backend: Arc<Backend>,
    },
    /// It refuses the request itself; trying elsewhere would not help.
    Refusal {
        /// Its status.
        status: StatusCode,
        /// Its error, in the API format of the backend.
        body: Bytes,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
}

/// Tries the candidates of `model` until one answers.
///
/// # Errors
/// The last failure when none does; [`GatewayError::NoBackend`] when none could be tried.
pub async fn first_answer(
    worker: &Worker,
    order: &Order<'_>,
    model: &Model,
    reserved: Reserved,
) -> Result<Reply, GatewayError> {
    let mut reserved = Some(reserved);
    let mut last_failure: Option<GatewayError> = None;
    let mut attempts: u8 = 0;
    for index in routing::candidates(&model.route, rand::random()) {
        let Some(target) = model.targets.get(index) else { continue };
        // Health is looked at again: an earlier attempt of this request may have changed it.
        let Ok(in_flight) = target.deployment.admit() else { continue };
        attempts = attempts.saturating_add(1);
        let attempt = open_attempt(
            &worker.gateway,
            order,
            target,
            attempts,
            in_flight,
            reserved.take().unwrap_or_default(),
        )?;
        match try_target(worker, order, target, attempt).await {
            Tried::Reply(reply) => return Ok(reply),
            Tried::Failed(failure, kept) => {
                tracing::warn!(request_id = %order.context.id, backend = %target.backend.name,
                    code = failure.class().code, error = %chain(&failure), "attempt failed");
                last_failure = Some(failure);
                reserved = Some(kept);
            }
        }
    }
    Err(last_failure.unwrap_or_else(|| GatewayError::NoBackend {
        model: Arc::clone(&model.alias),
        retry_after: routing::earliest_recovery(&model.route).unwrap_or(Duration::from_secs(1)),
    }))
}

enum Tried {
    Reply(Reply),
    Failed(GatewayError, Reserved),
}

fn open_attempt(
    gateway: &Arc<Gateway>,
    order: &Order<'_>,
    target: &Target,
    number: u8,
    in_flight: InFlight,
    reserved: Reserved,
) -> Result<Attempt, GatewayError> {
    let prompt = Prompt::of(order.body);
    let event =
        event::intent(order.subject, target, number, gateway.ledger.next_position(), prompt.estimate());
    let trace = order.context.trace.header();
    let mut attempt = Attempt::open(Arc::clone(gateway), event, prompt, in_flight, reserved, Some(&trace))
        .map_err(GatewayError::Ledger)?;
    attempt.set_gateway_time(order.context.received.elapsed());
    Ok(attempt)
}

async fn try_target(worker: &Worker, order: &Order<'_>, target: &Target, attempt: Attempt) -> Tried {
    let body = order.request.body_for(order.body, &target.model);
    match worker.caller.post(&target.backend, order.headers.clone(), body).await {
        Err(error) => {
            let (kind, failure) = call_failure(&target.backend, error);
            // Without an answer nothing is billed: the provider reports no use either.
            let ending = Ending::failed(kind, 0, failure.class().code, Produced::default());
            Tried::Failed(failure, attempt.end_for_next(ending))
        }
        Ok(response) if response.status().is_success() => Tried::Reply(Reply::Answer {
            attempt: Box::new(attempt),
            response,
            backend: Arc::clone(&target.backend),
        }),
        Ok(response) => refused(target, attempt, response).await,
    }
}

/// The backend answered with an error: either it failed, or it refuses this very request.
async fn refused(target: &Target, mut attempt: Attempt, response: Response<Incoming>) -> Tried {
    let status = response.status();
    attempt.note_rates(response.headers());
    let wait = retry_after::from_headers(response.headers(), event::now_ms());
    let kind = FailureKind::Status(status.as_u16());
    let counts = outcome::is_failure(status.as_u16());
    let class = if counts { AttemptClass::Failure(kind) } else { AttemptClass::Neutral };
    if let Some(failure) = failure_of(&target.backend, status, wait) {
        let ending = Ending::failed(kind, 0, failure.class().code, Produced::default());
        let kept = attempt.end_for_next(Ending { class, retry_after: wait, ..ending });
        return Tried::Failed(failure, kept);
    }
    let body = collect(response.into_body(), MAX_ERROR_BODY, ERROR_BODY_WAIT).await.unwrap_or_default();
    let ending = Ending::failed(kind, status.as_u16(), "backend_refused", Produced::default());
    attempt.end(Ending { class, ..ending });
    Tried::Reply(Reply::Refusal { status, body, retry_after: wait })
}

/// The failure that a status stands for; none when it refuses the request itself.
fn failure_of(backend: &Backend, status: StatusCode, wait: Option<Duration>) -> Option<GatewayError> {
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
        CallError::TooLarge(limit) => {
            let message = format!("it is larger than {limit} bytes");
            (FailureKind::Protocol, GatewayError::BrokenAnswer { backend: name, message })
        }
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
