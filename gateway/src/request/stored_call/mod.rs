//! A call about an answer that a provider keeps: fetched, deleted, cancelled, its input listed.
//!
//! It goes to the backend and model that have the answer, through the same admission, circuit and books as any other
//! call. It uses no model, so its row has no quantities: what is shown of an answer that was worked on in the background
//! settles that one's row.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use tollgate_backends::DeploymentId;
use tollgate_backends::backend::Backend;
use tollgate_backends::call::{CallError, CallResult, collect_while};
use tollgate_backends::outcome;
use tollgate_backends::sent::Sent;
use tollgate_crossing::Wire;
use tollgate_crossing::wire::path_segment;
use tollgate_formats::meaning::{BackendError, Meaning};

use super::answer::{Answer, Facts};
use super::call::Call;
use super::context::RequestContext;
use super::failure::call_failure;
use super::{DEFAULT_RETRY_AFTER, idempotency, stored_answers};
use crate::background::{self, polls};
use crate::books;
use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use crate::books::event::{self, EventContext};
use crate::books::measure::{Basis, Produced};
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::headers;
use crate::pending::table::Finding;
use crate::stored::response_ids::StoredAt;
use crate::stored::shown_ids::{self, ShownIds};
use tollgate_limits::Reservation;

mod streamed;

/// Serves one call.
///
/// # Errors
/// [`GatewayError::UnknownResponse`] when the caller has no such answer, or what failed at the backend.
pub async fn serve(
    worker: &Worker,
    context: &RequestContext,
    call: Call<'_>,
    events: EventContext<'_>,
    id: &str,
    method: Method,
    action: &'static str,
) -> Result<Answer, GatewayError> {
    let found = stored_answers::find(worker, call.caller, id)
        .and_then(|at| Ok((planned(context, &call, id, &at, action)?, at)));
    let (plan, at) = match found {
        Ok(found) => found,
        Err(error) => {
            books::refused(&worker.gateway, events, &error);
            return Err(error);
        }
    };
    let events = EventContext { model_requested: &at.model, ..events };
    let fetch = Fetch { worker, context, backend: &plan.backend, at: &at, id };
    if method == Method::DELETE
        && let Err(error) = Box::pin(fetch.settled_before()).await
    {
        books::refused(&worker.gateway, events, &error);
        return Err(error);
    }
    let attempt = match open(worker, context, &call, events, &plan, &at, id).await {
        Ok(attempt) => attempt,
        Err(error) => {
            books::refused(&worker.gateway, events, &error);
            return Err(error);
        }
    };
    fetch.fetched(call, attempt, &plan.uri, method).await
}

/// Where a call goes.
struct Plan {
    backend: Arc<Backend>,
    uri: Uri,
}

/// Works out where the answer is, for a caller that may still use the model that made it.
fn planned(
    context: &RequestContext,
    call: &Call<'_>,
    id: &str,
    at: &StoredAt,
    action: &str,
) -> Result<Plan, GatewayError> {
    let gone = || unknown(id);
    let snapshot = &context.snapshot;
    if !snapshot.reaches(call.caller, &at.backend, &at.model) {
        return Err(gone());
    }
    let backend = snapshot.backends.get(&*at.backend).ok_or_else(gone)?;
    let base = backend.responses_url.as_deref().ok_or_else(gone)?;
    let query = call.http.query.map_or_else(String::new, |query| format!("?{query}"));
    let uri = format!("{base}/{}{action}{query}", path_segment(&at.id));
    Ok(Plan { backend: Arc::clone(backend), uri: uri.parse().map_err(|_| gone())? })
}

/// Admission by the circuit, a place at the backend, and the books.
async fn open(
    worker: &Worker,
    context: &RequestContext,
    call: &Call<'_>,
    events: EventContext<'_>,
    plan: &Plan,
    at: &StoredAt,
    id: &str,
) -> Result<Attempt, GatewayError> {
    let model: Arc<str> = at.model.as_str().into();
    let target = DeploymentId { backend: Arc::clone(&plan.backend.name), model: Arc::clone(&model) };
    let deployment = worker.gateway.backends.get(&target).ok_or_else(|| unknown(id))?;
    let in_flight = deployment.admit().map_err(|refusal| GatewayError::NoBackend {
        model: Arc::clone(&model),
        retry_after: refusal.retry_after,
    })?;
    let permit = super::place_at(&plan.backend, &call.queue_key).await?;
    let callee = event::Callee { backend: &plan.backend, model: &model, variant: None };
    let event = event::intent(events, callee, 1, None);
    let (gateway, trace) = (Arc::clone(&worker.gateway), context.trace.header());
    context.attempts.set(1);
    let mut attempt =
        Attempt::open(gateway, event, Basis::Free, in_flight, Reservation::default(), Some(&trace))
            .map_err(GatewayError::Ledger)?;
    attempt.keep(permit);
    attempt.set_gateway_time(context.received.elapsed());
    Ok(attempt)
}

/// One call about one answer.
struct Fetch<'a> {
    worker: &'a Worker,
    context: &'a RequestContext,
    backend: &'a Arc<Backend>,
    at: &'a StoredAt,
    /// The id that its owner asked for.
    id: &'a str,
}

impl Fetch<'_> {
    async fn fetched(
        &self,
        mut call: Call<'_>,
        mut attempt: Attempt,
        uri: &Uri,
        method: Method,
    ) -> Result<Answer, GatewayError> {
        let Self { worker, context, backend, at, id } = *self;
        let max = context.snapshot.server.max_answer(false).as_usize();
        let deadline = tokio::time::Instant::now() + backend.total_timeout;
        let owner = &call.caller.payer.subscription;
        let called = Box::pin(self.called(&call, attempt.sent().clone(), uri, method));
        let called = tokio::time::timeout_at(deadline, called).await;
        let response = match called.unwrap_or(Err(CallError::Stalled)) {
            Ok(response) if streamed::is_stream(&response) => {
                return streamed::relayed(self, call, attempt, response).await;
            }
            Ok(response) => response,
            Err(error) => return Err(self.failed(&mut attempt, error)),
        };
        let (status, body) = (response.status(), response.into_body());
        let mut held = worker.gateway.memory.hold(owner);
        let body = Box::pin(collect_while(body, max, backend.idle_timeout, |bytes| held.grow(bytes as u64)));
        let body = match tokio::time::timeout_at(deadline, body).await.unwrap_or(Err(CallError::Stalled)) {
            Ok(body) => body,
            Err(error) => return Err(self.failed(&mut attempt, error)),
        };
        attempt.mark_first_byte();
        if status.is_success() {
            attempt.end(Ending::ok(status.as_u16(), Produced::default()));
        } else {
            self.refused(&mut attempt, status, &body)?;
        }
        call.guard.answer = Some(held);
        let body = match status.is_success() {
            true => {
                background::seen(&worker.gateway, &at.backend, &at.id, &body);
                ShownIds::of_stored(worker.gateway.response_ids.clone(), owner, at, id).in_answer(body)
            }
            false => shown_ids::in_words(body, &at.id, id),
        };
        Ok(Answer::Whole { status, body, facts: Facts::default(), guard: call.guard })
    }

    async fn called(&self, call: &Call<'_>, sent: Sent, uri: &Uri, method: Method) -> CallResult {
        let Self { worker, context, backend, at, .. } = *self;
        let mut headers = headers::for_backend(call.http.headers, &context.trace, backend.format, true);
        let (client, owner) = (call.http.headers, &call.caller.payer.subscription);
        let keys = &worker.gateway.idempotency_keys;
        idempotency::insert(keys, &mut headers, client, owner, &at.backend, &at.model);
        worker.caller.call(backend, method, uri, headers, Bytes::new(), &sent).await
    }

    /// Closes the books of a refusal; an error where its own words are no concern of the client's.
    fn refused(&self, attempt: &mut Attempt, status: StatusCode, body: &[u8]) -> Result<(), GatewayError> {
        let error = Wire::Responses.decode_error(status.as_u16(), None, body);
        let said = BackendError::new(status.as_u16(), error);
        attempt.end(Ending::backend_refused(said.status, outcome::class_of(&said), Produced::default()));
        if status == StatusCode::NOT_FOUND {
            return Err(unknown(self.id));
        }
        match said.meaning {
            Meaning::KeyRefused => Err(GatewayError::BackendCredentials {
                backend: Arc::clone(&self.backend.name),
                source: None,
            }),
            _ => Ok(()),
        }
    }

    fn failed(&self, attempt: &mut Attempt, error: CallError) -> GatewayError {
        let (kind, failure) = call_failure(self.backend, error);
        attempt.end(Ending::failed(kind, 0, failure.class().code, Produced::default()));
        failure
    }

    /// Before an answer is deleted it is known what it used: its provider could not say so afterwards.
    async fn settled_before(&self) -> Result<(), GatewayError> {
        let Self { worker, at, id, .. } = *self;
        let pending = &worker.gateway.pending;
        let still = || GatewayError::StillWorkedOn { id: id.chars().take(128).collect() };
        if pending.is_streamed(&at.backend, &at.id) {
            return Err(still());
        }
        let Some(entry) = pending.find(&at.backend, &at.id) else { return Ok(()) };
        match polls::ask(&worker.gateway, &worker.caller, &entry).await {
            None | Some(Finding::Unknown) => Ok(()),
            Some(Finding::Running) => Err(still()),
            Some(Finding::Nothing) => Err(GatewayError::NoBackend {
                model: at.model.as_str().into(),
                retry_after: DEFAULT_RETRY_AFTER,
            }),
        }
    }
}

fn unknown(id: &str) -> GatewayError {
    GatewayError::UnknownResponse { id: id.chars().take(128).collect() }
}
