//! `POST …/chat/completions`: OpenAI Chat Completions, streamed or not.

use std::sync::Arc;
use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web};
use tollgate_schemas::ids::RequestId;

use super::{body, render};
use crate::access;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::request::context::RequestContext;
use crate::request::pipeline::{self, Answer};
use crate::telemetry::trace_context::TraceContext;

/// Name of the API format in events.
pub const API_FORMAT: &str = "openai.chat";

/// Serves one request.
pub async fn post(request: HttpRequest, payload: web::Payload, worker: web::Data<Worker>) -> HttpResponse {
    let context = context(&request, &worker);
    let result = serve(&request, payload, &worker, &context).await;
    worker
        .gateway
        .metrics
        .request_ended(result.as_ref().err().map(|error| error.class().code), context.received.elapsed());
    match result {
        Ok(answer) => render::answer(answer, context.id),
        Err(error) => {
            tracing::debug!(request_id = %context.id, code = error.class().code, "request refused or failed");
            render::error(&error, context.id)
        }
    }
}

async fn serve(
    request: &HttpRequest,
    payload: web::Payload,
    worker: &Worker,
    context: &RequestContext,
) -> Result<Answer, GatewayError> {
    if worker.gateway.is_stopping() {
        return Err(GatewayError::Stopping);
    }
    // Nobody without a key makes the gateway read a body.
    let caller = access::identify(request.headers(), &context.snapshot)?;
    let body = body::read(request, payload, &context.snapshot.server).await?;
    pipeline::serve(worker, context, &caller, request.headers(), body).await
}

/// The facts of a request that has just arrived.
#[must_use]
pub fn context(request: &HttpRequest, worker: &Worker) -> RequestContext {
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    RequestContext {
        id: RequestId::now(),
        received: Instant::now(),
        trace: TraceContext::from_header(traceparent),
        api_format: API_FORMAT,
        uri: request.uri().clone(),
        snapshot: Arc::clone(&worker.gateway.snapshot.load()),
    }
}
