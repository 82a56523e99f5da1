//! The one way in: whatever is asked, a call enters here, and its answer or refusal leaves here.
//!
//! Entering is, in this order: does the gateway take calls at all, whose key is it, a place among the running calls,
//! the body within its bounds. Nobody without a key makes the gateway read a body. What a call holds is held until its
//! answer has been written.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;
use tollgate_admission::{Permit, QueueKey};
use tollgate_crossing::ClientFormat;
use tollgate_identity::{Caller, identify};
use tollgate_schemas::ids::RequestId;
use tracing::Instrument as _;

use super::client_headers::ClientHeaders;
use super::render::Compression;
use super::{connection, family, render};
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::headers::trace_context::TraceContext;
use crate::request::answer::Answer;
use crate::request::body::{self, IncomingBody, RequestBody};
use crate::request::call::{BodyMode, Call, CallKind, HttpFacts};
use crate::request::context::RequestContext;
use crate::request::guard::RequestGuard;
use crate::request::pipeline;
use crate::telemetry::redact::Redacted;
use crate::telemetry::spans;

/// Serves one call from its head to its answer. `format` is what errors are told in.
pub async fn serve(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
    format: ClientFormat,
    kind: CallKind<'_>,
) -> HttpResponse {
    let context = context(&request, &worker, format);
    serve_in(&request, payload, &worker, &context, kind).await
}

/// The same where the context has been made before, to find out what is asked.
pub async fn serve_in(
    request: &HttpRequest,
    payload: web::Payload,
    worker: &Worker,
    context: &RequestContext,
    kind: CallKind<'_>,
) -> HttpResponse {
    let backend_format = match &kind {
        CallKind::Passthrough { api, .. } => Some(api.backend.format),
        _ => None,
    };
    let result = answer(request, payload, worker, context, kind).instrument(context.span.clone()).await;
    let code = result.as_ref().err().map(|error| error.class().code);
    worker.gateway.metrics.request_ended(code);
    let response = match (result, backend_format) {
        (Ok(answer), _) => {
            let compression = Compression::of(&ClientHeaders(request.headers()), &context.snapshot.server);
            render::answer(answer, context.id, compression)
        }
        (Err(error), Some(format)) => {
            log_refusal(&error, context);
            family::error(&error, format, context.id)
        }
        (Err(error), None) => refuse(&error, context),
    };
    spans::request_ended(&context.span, response.status().as_u16(), code);
    response
}

/// An error as the response to a request.
#[must_use]
pub fn refuse(error: &GatewayError, context: &RequestContext) -> HttpResponse {
    log_refusal(error, context);
    let mut response = render::error(error, context.format, context.id);
    render::add_attempts(&mut response, context.attempts.get());
    response
}

fn log_refusal(error: &GatewayError, context: &RequestContext) {
    tracing::debug!(request_id = %context.id, code = error.class().code, "request refused or failed");
}

async fn answer(
    request: &HttpRequest,
    payload: web::Payload,
    worker: &Worker,
    context: &RequestContext,
    kind: CallKind<'_>,
) -> Result<Answer, GatewayError> {
    let headers = ClientHeaders(request.headers());
    tracing::debug!(request_id = %context.id, method = %request.method(), headers = ?Redacted(&headers), "request");
    let in_query = kind.has_key_in_query();
    let caller = caller(worker, context, request, in_query)?;
    let http = HttpFacts {
        method: request.method().as_str(),
        path: request.uri().path(),
        // What may hold a key goes no further.
        query: request.uri().query().filter(|_| !in_query),
        headers: &headers,
    };
    match enter(worker, context, &caller, http, payload, &kind).await {
        // On its own: the server moves a handler's future several times before it is polled.
        Ok((body, queue_key, guard)) => {
            let call = Call { kind, http, caller: &caller, body, queue_key, guard };
            Box::pin(pipeline::serve(worker, context, call)).await
        }
        Err(error) => Err(pipeline::refused_at_the_door(worker, context, &caller, &kind, error)),
    }
}

/// Who calls, while the gateway takes calls. `in_query` is whether the key may stand in the query (`key`).
///
/// # Errors
/// [`GatewayError::Stopping`], or when nobody is known by the key.
pub fn caller(
    worker: &Worker,
    context: &RequestContext,
    request: &HttpRequest,
    in_query: bool,
) -> Result<Arc<Caller>, GatewayError> {
    if worker.gateway.is_stopping() {
        return Err(GatewayError::Stopping);
    }
    let key = if in_query { key_in(request.query_string()) } else { None };
    let key = key.as_deref().map(str::as_bytes);
    let caller = identify(&ClientHeaders(request.headers()), key, &context.snapshot.keys)?;
    connection::is_known(request);
    Ok(caller)
}

/// The key in a query.
fn key_in(query: &str) -> Option<Cow<'_, str>> {
    let key = query.split('&').find_map(|pair| pair.strip_prefix("key="))?;
    percent_decode_str(key).decode_utf8().ok()
}

/// A place for the call, and its body.
async fn enter(
    worker: &Worker,
    context: &RequestContext,
    caller: &Caller,
    http: HttpFacts<'_>,
    payload: web::Payload,
    kind: &CallKind<'_>,
) -> Result<(RequestBody, QueueKey, RequestGuard), GatewayError> {
    let queue_key =
        QueueKey { tier: caller.product.tier, subscription: Arc::clone(&caller.payer.subscription) };
    let permit = admitted(worker, &queue_key).await?;
    let mut held = worker.gateway.memory.hold(&queue_key.subscription);
    let body = match kind.body() {
        BodyMode::None => RequestBody::Whole(bytes::Bytes::new()),
        BodyMode::Streamed => RequestBody::Incoming(incoming(payload)),
        BodyMode::Whole => {
            let (incoming, server) = (incoming(payload), &context.snapshot.server);
            let body = body::read_decoded(http.headers, incoming, server, &mut held, &worker.decoders);
            RequestBody::Whole(body.await?)
        }
    };
    Ok((body, queue_key, RequestGuard { _permit: permit, _span: context.span.clone(), held, answer: None }))
}

/// A place among the running calls, at once or after a short wait.
///
/// # Errors
/// [`GatewayError::Overloaded`] when there is none.
pub async fn admitted(worker: &Worker, queue_key: &QueueKey) -> Result<Permit, GatewayError> {
    let admission = &worker.gateway.admission;
    if let Some(permit) = admission.try_enter() {
        return Ok(permit);
    }
    let retry_after = admission.rules().max_wait.max(Duration::from_secs(1));
    Box::pin(admission.enter(queue_key)).await.map_err(|_| GatewayError::Overloaded { retry_after })
}

fn incoming(payload: web::Payload) -> IncomingBody {
    Box::pin(payload.map(|chunk| chunk.map_err(|error| error.to_string())))
}

/// The facts of a request that has just arrived.
#[must_use]
pub fn context(request: &HttpRequest, worker: &Worker, format: ClientFormat) -> RequestContext {
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let mut trace = TraceContext::from_header(traceparent);
    let span = spans::request(&mut trace, request.method().as_str());
    RequestContext {
        id: RequestId::now(),
        received: Instant::now(),
        trace,
        span,
        format,
        snapshot: Arc::clone(&worker.gateway.snapshot.load()),
        attempts: Cell::new(0),
    }
}
