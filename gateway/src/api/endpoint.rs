//! From an HTTP request for a model's answer to the pipeline and back, whatever API format it speaks.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web};
use tollgate_admission::{Permit, Place};
use tollgate_crossing::ClientFormat;
use tollgate_identity::identify;
use tollgate_schemas::ids::RequestId;

use super::render;
use crate::api::client_headers::ClientHeaders;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::headers::trace_context::TraceContext;
use crate::request::body;
use crate::request::context::RequestContext;
use crate::request::guard::RequestGuard;
use crate::request::media;
use crate::request::pipeline::{self, Answer, Asked};

/// Serves one request in this format. `alias` is given where the path names it.
pub async fn serve(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
    format: ClientFormat,
    alias: Option<&str>,
) -> HttpResponse {
    let context = context(&request, &worker, format);
    let result = answer(&request, payload, &worker, &context, alias).await;
    let code = result.as_ref().err().map(|error| error.class().code);
    worker.gateway.metrics.request_ended(code, context.received.elapsed());
    match result {
        Ok(answer) => render::answer(answer, context.id),
        Err(error) => refuse(&error, &context),
    }
}

/// An error as the response to a request.
#[must_use]
pub fn refuse(error: &GatewayError, context: &RequestContext) -> HttpResponse {
    tracing::debug!(request_id = %context.id, code = error.class().code, "request refused or failed");
    let mut response = render::error(error, context.format, context.id);
    render::add_attempts(&mut response, context.attempts.get());
    response
}

async fn answer(
    request: &HttpRequest,
    payload: web::Payload,
    worker: &Worker,
    context: &RequestContext,
    alias_in_path: Option<&str>,
) -> Result<Answer, GatewayError> {
    if worker.gateway.is_stopping() {
        return Err(GatewayError::Stopping);
    }
    // Nobody without a key makes the gateway read a body.
    let caller = identify(&ClientHeaders(request.headers()), &context.snapshot.keys)?;
    let place = Place { tier: caller.product.tier, subscription: Arc::clone(&caller.payer.subscription) };
    let permit = enter(worker, &place).await?;
    let mut held = worker.gateway.memory.hold();
    let body = body::read(request, payload, &context.snapshot.server, &mut held).await?;
    let guard = RequestGuard { permit, held };
    let headers = ClientHeaders(request.headers());
    let asked = Asked { caller: &caller, headers: &headers, body, alias_in_path, place, guard };
    match context.format {
        ClientFormat::Media(_) => Box::pin(media::serve(worker, context, asked)).await,
        // On its own: the server moves a handler's future several times before it is polled.
        _ => Box::pin(pipeline::serve(worker, context, asked)).await,
    }
}

/// A place among the requests that run, at once or after a short wait.
///
/// # Errors
/// [`GatewayError::Overloaded`] when there is none.
pub async fn enter(worker: &Worker, place: &Place) -> Result<Permit, GatewayError> {
    let admission = &worker.gateway.admission;
    if let Some(permit) = admission.try_enter() {
        return Ok(permit);
    }
    let retry_after = admission.rules().max_wait.max(std::time::Duration::from_secs(1));
    Box::pin(admission.enter(place)).await.map_err(|_| GatewayError::Overloaded { retry_after })
}

/// The facts of a request that has just arrived.
#[must_use]
pub fn context(request: &HttpRequest, worker: &Worker, format: ClientFormat) -> RequestContext {
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    RequestContext {
        id: RequestId::now(),
        received: Instant::now(),
        trace: TraceContext::from_header(traceparent),
        format,
        uri: request.uri().clone(),
        snapshot: Arc::clone(&worker.gateway.snapshot.load()),
        attempts: Cell::new(0),
    }
}
