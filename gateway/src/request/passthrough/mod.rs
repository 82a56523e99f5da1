//! A call to an API of a backend that passes through: admitted, metered and written down like any other, and not
//! changed. There is one backend, so nothing is tried twice, and what the backend says goes to the client, errors
//! included. Answers about media are relayed in the same way.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use tollgate_admission::{Permit, QueueKey};
use tollgate_backends::call::{self, CallError, CallResult};
use tollgate_backends::sent::Sent;
use tollgate_backends::upload::{Upload, UploadSender};
use tollgate_backends::{AnswerBody, InFlight};
use tollgate_crossing::known::{Known, Reading};
use tollgate_crossing::path::PathFault;
use tollgate_identity::presented_key;
use tollgate_runtime::snapshot::Api;

use self::address::{Address, address};
use self::observer::Observer;
use self::pump::Pump;
use self::relayed::{Relayed, RelayedParts};
use super::answer::{Answer, Facts};
use super::body::{self, IncomingBody, RequestBody};
use super::call::{Call, HttpFacts};
use super::context::RequestContext;
use super::failure::call_failure;
use super::guard::RequestGuard;
use super::idempotency;
use super::model_request::ModelRequest;
use super::open_answer::OpenAnswer;
use crate::books;
use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use crate::books::event::{self, EventContext};
use crate::books::measure::{Basis, Produced, estimated_tokens};
use crate::books::traffic::Traffic;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::headers::forwarded;
use crate::policies::token_limit;
use tollgate_limits::Reservation;

mod address;
pub mod observer;
pub mod pump;
pub mod relayed;

/// Most of a path that is repeated in an error, characters.
const MAX_PATH_CHARS: usize = 256;

/// A call that is worked out, but not admitted yet.
struct Planned {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    known: Option<Known>,
}

/// The body of a call.
enum Outgoing {
    Whole(Bytes),
    Stream(Upload, UploadSender, IncomingBody),
}

/// Serves one call.
///
/// # Errors
/// Whatever the client must be told; it is in the ledger already.
pub async fn serve(
    worker: &Worker,
    context: &RequestContext,
    call: Call<'_>,
    events: EventContext<'_>,
    api: &Arc<Api>,
    rest: &str,
) -> Result<Answer, GatewayError> {
    let method = Method::from_bytes(call.http.method.as_bytes()).unwrap_or_default();
    let found = address(api.backend.format, &api.url, &api.allow, &method, rest, call.http.query);
    let known = found.as_ref().ok().and_then(Option::as_ref).and_then(|address| address.known.as_ref());
    let operation = known.map_or(events.operation, |known| known.reading.operation());
    let model: Arc<str> = known.and_then(|known| known.model.as_deref()).unwrap_or_default().into();
    let events = EventContext { operation, ..events };
    let planned = if call.caller.may_call(&api.name) {
        planned(context, call.http, method, found)
    } else {
        Err(unknown_path(call.http))
    };
    let opened = match planned {
        Ok(planned) => opened(worker, context, call, events, api, planned, &model).await,
        Err(error) => Err(error),
    };
    match opened {
        Ok(opened) => answered(worker, context, api, opened).await,
        Err(error) => {
            books::refused(&worker.gateway, events, &error);
            Err(error)
        }
    }
}

fn planned(
    context: &RequestContext,
    http: HttpFacts<'_>,
    method: Method,
    found: Result<Option<Address>, PathFault>,
) -> Result<Planned, GatewayError> {
    if let Some(protocol) = forwarded::wanted_upgrade(http.headers) {
        return Err(GatewayError::UpgradeNotSupported { protocol });
    }
    // TRACE would show the backend's credentials to the client, CONNECT asks for a tunnel.
    if method == Method::TRACE || method == Method::CONNECT {
        let path = http.path.chars().take(MAX_PATH_CHARS).collect();
        return Err(GatewayError::WrongMethod { method: method.to_string(), path });
    }
    let found = found.map_err(|fault| match fault {
        // Beyond the backend's base there is nothing.
        PathFault::Dots => unknown_path(http),
        fault => GatewayError::InvalidPath { fault },
    })?;
    let Address { uri, known } = found.ok_or_else(|| unknown_path(http))?;
    let key = presented_key(http.headers).unwrap_or_default();
    let mut headers = forwarded::to_backend(http.headers, key, &context.trace);
    if known.is_some() {
        // What is compressed cannot be read along.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    Ok(Planned { method, uri, headers, known })
}

/// Nothing is served at the path of a request.
fn unknown_path(http: HttpFacts<'_>) -> GatewayError {
    let path = http.path.chars().take(MAX_PATH_CHARS).collect();
    GatewayError::UnknownPath { method: http.method.to_owned(), path }
}

/// A call whose books are open.
struct Opened {
    attempt: Attempt,
    planned: Planned,
    outgoing: Outgoing,
    traffic: Arc<Traffic>,
    guard: RequestGuard,
    begun: Instant,
}

/// Limits, circuit, a place at the backend, and the books, in this order.
async fn opened(
    worker: &Worker,
    context: &RequestContext,
    call: Call<'_>,
    events: EventContext<'_>,
    api: &Api,
    mut planned: Planned,
    model: &Arc<str>,
) -> Result<Opened, GatewayError> {
    let begun = Instant::now();
    let Call { caller, http, body, queue_key, mut guard, .. } = call;
    let body = match planned.known {
        Some(_) => readable(worker, context, http, body, &mut planned.headers, &mut guard).await?,
        None => body,
    };
    // Bytes of what is not known to have tokens charge no token limit.
    let announced = match &body {
        RequestBody::Whole(body) => body.len() as u64,
        RequestBody::Incoming(_) => body::announced_length(http.headers).unwrap_or(0),
    };
    let tokens = match planned.known {
        Some(_) => estimated_tokens(usize::try_from(announced).unwrap_or(usize::MAX)),
        None => 0,
    };
    let reserved = token_limit::reserve_estimate(&worker.gateway.limiters, caller, tokens).await?;
    let (in_flight, permit) = admitted(api, &queue_key).await?;
    let outgoing = outgoing(context, http, body, api.backend.credentials.sign_bodies(), &mut guard).await?;
    let outgoing = match outgoing {
        Outgoing::Whole(body) => {
            // Its length is known better now.
            planned.headers.remove(CONTENT_LENGTH);
            let asking = planned.known.as_ref().and_then(|known| known.reading.asking_for_usage(&body));
            Outgoing::Whole(asking.unwrap_or(body))
        }
        stream => stream,
    };
    let (keys, owner) = (&worker.gateway.idempotency_keys, &caller.payer.subscription);
    idempotency::insert(keys, &mut planned.headers, http.headers, owner, &api.backend.name, model);
    let traffic = Arc::new(match &outgoing {
        Outgoing::Whole(body) => Traffic::of_body(body.len()),
        Outgoing::Stream(upload, ..) => Traffic::of_upload(upload.progress()),
    });
    let class = planned.known.as_ref().and_then(|known| known.reading.prompt_class());
    let basis = Basis::passed(class, Arc::clone(&traffic), announced);
    let attempt = open(worker, context, events, api, model, basis, in_flight, permit, reserved)?;
    Ok(Opened { attempt, planned, outgoing, traffic, guard, begun })
}

/// Admission by the circuit, then a place among the calls that run at the backend where those are bounded.
async fn admitted(api: &Api, queue_key: &QueueKey) -> Result<(InFlight, Option<Permit>), GatewayError> {
    let in_flight = api.deployment.admit().map_err(|refusal| GatewayError::NoBackend {
        model: Arc::clone(&api.name),
        retry_after: refusal.retry_after,
    })?;
    let permit = super::place_at(&api.backend, queue_key).await?;
    Ok((in_flight, permit))
}

/// The body of an operation that is read along: decoded, where its client compressed it. What is not read passes in
/// whatever coding it has.
async fn readable(
    worker: &Worker,
    context: &RequestContext,
    http: HttpFacts<'_>,
    body: RequestBody,
    headers: &mut HeaderMap,
    guard: &mut RequestGuard,
) -> Result<RequestBody, GatewayError> {
    let RequestBody::Incoming(incoming) = body else { return Ok(body) };
    if headers.remove(CONTENT_ENCODING).is_none() {
        return Ok(RequestBody::Incoming(incoming));
    }
    let (server, decoders) = (&context.snapshot.server, &worker.decoders);
    let whole = body::read_decoded(http.headers, incoming, server, &mut guard.held, decoders);
    Ok(RequestBody::Whole(Box::pin(whole).await?))
}

/// The body: whole where it must be signed or there is none, else as it comes.
async fn outgoing(
    context: &RequestContext,
    http: HttpFacts<'_>,
    body: RequestBody,
    signed: bool,
    guard: &mut RequestGuard,
) -> Result<Outgoing, GatewayError> {
    let incoming = match body {
        RequestBody::Whole(body) => return Ok(Outgoing::Whole(body)),
        RequestBody::Incoming(incoming) => incoming,
    };
    let chunked = http.headers.first("transfer-encoding").is_some();
    if !chunked && body::announced_length(http.headers).unwrap_or(0) == 0 {
        return Ok(Outgoing::Whole(Bytes::new()));
    }
    if signed {
        let server = &context.snapshot.server;
        return Ok(Outgoing::Whole(body::read(http.headers, incoming, server, &mut guard.held).await?));
    }
    let (sender, upload) = Upload::new();
    Ok(Outgoing::Stream(upload, sender, incoming))
}

#[expect(clippy::too_many_arguments, reason = "one call site; a struct would only repeat their names")]
fn open(
    worker: &Worker,
    context: &RequestContext,
    events: EventContext<'_>,
    api: &Api,
    model: &Arc<str>,
    basis: Basis,
    in_flight: InFlight,
    permit: Option<Permit>,
    reserved: Reservation,
) -> Result<Attempt, GatewayError> {
    let gateway = Arc::clone(&worker.gateway);
    let callee = event::Callee { backend: &api.backend, model, variant: None };
    let event = event::intent(events, callee, 1, basis.at_least());
    let trace = context.trace.header();
    let mut attempt = Attempt::open(gateway, event, basis, in_flight, reserved, Some(&trace))
        .map_err(GatewayError::Ledger)?;
    attempt.keep(permit);
    attempt.set_gateway_time(context.received.elapsed());
    Ok(attempt)
}

/// Makes the call, and relays what comes of it.
async fn answered(
    worker: &Worker,
    context: &RequestContext,
    api: &Api,
    opened: Opened,
) -> Result<Answer, GatewayError> {
    let Opened { attempt, planned, outgoing, traffic, guard, begun } = opened;
    let backend = &api.backend;
    let known = planned.known.clone();
    let call = send(worker, context, api, planned, outgoing, attempt.sent());
    let (result, upload) = match tokio::time::timeout(backend.total_timeout, call).await {
        Ok(ended) => ended,
        Err(_) => (Err(CallError::FirstByteTimeout), None),
    };
    let mut response = match result {
        Ok(response) => response,
        Err(error) => return Err(failed(api, attempt, error, upload.as_ref())),
    };
    if known.is_some() {
        // The client is told what it asked the gateway for; what cannot be decoded passes, and is not read.
        let _ = call::decode(&mut response);
    }
    let held = worker.gateway.memory.hold(&attempt.event().payer.subscription);
    let is_known = known.is_some();
    let reading = known.map(|known| known.reading).filter(|_| response.status().is_success());
    let observer = Observer::new(reading, response.headers(), &context.snapshot.server, held);
    let cut_at = begun + backend.total_timeout;
    let parts = RelayedParts { attempt, observer, is_known, traffic: Some(traffic), upload, guard, cut_at };
    Ok(answer(api, response, parts))
}

/// Sends a call and waits for the head of its answer. The body may still be coming then.
async fn send(
    worker: &Worker,
    context: &RequestContext,
    api: &Api,
    planned: Planned,
    outgoing: Outgoing,
    sent: &Sent,
) -> (CallResult, Option<Pump>) {
    let (caller, backend) = (&worker.caller, &api.backend);
    let Planned { method, uri, headers, .. } = planned;
    match outgoing {
        Outgoing::Whole(body) => (caller.pass(backend, method, &uri, headers, body, sent).await, None),
        Outgoing::Stream(upload, sender, incoming) => {
            let pump = Pump::start(incoming, body::pace(&context.snapshot.server), sender);
            let answer = caller.upload(backend, method, &uri, headers, upload, sent).await;
            (answer, Some(pump))
        }
    }
}

fn answer(api: &Api, response: Response<AnswerBody>, parts: RelayedParts) -> Answer {
    parts.attempt.note_rates(response.headers());
    let (mut head, body) = response.into_parts();
    let body = Box::new(Relayed::new(&head, body, &api.backend, parts));
    forwarded::clean_answer(&mut head.headers);
    Answer::Relayed { status: head.status, headers: head.headers, body, facts: None }
}

/// Closes the books of a call without an answer.
fn failed(api: &Api, mut attempt: Attempt, error: CallError, upload: Option<&Pump>) -> GatewayError {
    if let Some(error) = upload.and_then(Pump::failure) {
        let class = error.class();
        attempt.end(Ending::upload_broke_off(class.status, class.code, Produced::default()));
        return error;
    }
    let (kind, error) = call_failure(&api.backend, error);
    let class = error.class();
    tracing::warn!(api = %api.name, backend = %api.backend.name, code = class.code, %error, "call failed");
    attempt.end(Ending::failed(kind, class.status, class.code, Produced::default()));
    error
}

/// An answer about media on its way to the client.
pub fn relay_media(
    worker: &Worker,
    request: &ModelRequest<'_>,
    open: OpenAnswer<'_>,
    facts: Facts,
    guard: RequestGuard,
) -> Answer {
    let OpenAnswer { attempt, response, crossing, target, .. } = open;
    attempt.note_rates(response.headers());
    let held = worker.gateway.memory.hold(&attempt.event().payer.subscription);
    let reading = Some(Reading::Wire(crossing.wire));
    let observer = Observer::new(reading, response.headers(), &request.context.snapshot.server, held);
    let (head, body) = response.into_parts();
    let cut_at = Instant::now() + target.backend.total_timeout;
    let parts =
        RelayedParts { attempt, observer, is_known: true, traffic: None, upload: None, guard, cut_at };
    let body = Box::new(Relayed::new(&head, body, &target.backend, parts));
    Answer::Relayed { headers: shown(&head.headers), status: head.status, body, facts: Some(facts) }
}

/// Headers of an answer about media that its client needs to understand it.
fn shown(headers: &HeaderMap) -> HeaderMap {
    let names = ["content-type", "content-disposition"];
    let known = headers.iter().filter(|(name, _)| names.contains(&name.as_str()));
    known.map(|(name, value)| (name.clone(), value.clone())).collect()
}
