//! Answers that a provider keeps: `GET`, `DELETE …/responses/{id}`, `POST …/{id}/cancel`, `GET …/{id}/input_items`.
//!
//! The id says which backend has the answer and proves who owns it. Anybody else is told that it does not exist.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use http::{Method, StatusCode};
use tollgate_backends::backend::Backend;
use tollgate_backends::call;
use tollgate_crossing::ClientFormat;
use tollgate_crossing::wire::path_segment;
use tollgate_identity::identify;

use super::endpoint;
use crate::api::client_headers::ClientHeaders;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::headers;
use crate::request::context::RequestContext;
use crate::request::pipeline::{Answer, Facts};
use crate::request::response_ids::IdRewriter;
use crate::request::stored;
use crate::request::verdict;

/// `GET …/responses/{id}`.
pub async fn get(request: HttpRequest, id: web::Path<String>, worker: web::Data<Worker>) -> HttpResponse {
    serve(request, worker, Method::GET, &id, "").await
}

/// `DELETE …/responses/{id}`.
pub async fn delete(request: HttpRequest, id: web::Path<String>, worker: web::Data<Worker>) -> HttpResponse {
    serve(request, worker, Method::DELETE, &id, "").await
}

/// `POST …/responses/{id}/cancel`.
pub async fn cancel(request: HttpRequest, id: web::Path<String>, worker: web::Data<Worker>) -> HttpResponse {
    serve(request, worker, Method::POST, &id, "/cancel").await
}

/// `GET …/responses/{id}/input_items`.
pub async fn input_items(
    request: HttpRequest,
    id: web::Path<String>,
    worker: web::Data<Worker>,
) -> HttpResponse {
    serve(request, worker, Method::GET, &id, "/input_items").await
}

async fn serve(
    request: HttpRequest,
    worker: web::Data<Worker>,
    method: Method,
    id: &str,
    action: &str,
) -> HttpResponse {
    let context = endpoint::context(&request, &worker, ClientFormat::Responses);
    match relay(&request, &worker, &context, method, id, action).await {
        Ok(answer) => super::render::answer(answer, context.id),
        Err(error) => endpoint::refuse(&error, &context),
    }
}

async fn relay(
    request: &HttpRequest,
    worker: &Worker,
    context: &RequestContext,
    method: Method,
    id: &str,
    action: &str,
) -> Result<Answer, GatewayError> {
    if worker.gateway.is_stopping() {
        return Err(GatewayError::Stopping);
    }
    let caller = identify(&ClientHeaders(request.headers()), &context.snapshot.keys)?;
    let at = stored::find(worker, &caller, id)?;
    let gone = || GatewayError::UnknownResponse { id: id.chars().take(128).collect() };
    let backend = context.snapshot.backends.get(&*at.backend).ok_or_else(gone)?;
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let uri = format!(
        "{}/{}{action}{query}",
        backend.responses_url.as_deref().ok_or_else(gone)?,
        path_segment(&at.id)
    );
    let uri = uri.parse().map_err(|_| gone())?;
    let forwarded = headers::for_backend(&ClientHeaders(request.headers()), &context.trace);
    let response = worker
        .caller
        .call(backend, method, &uri, forwarded, Bytes::new())
        .await
        .map_err(|error| failed(backend, error))?;
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return Err(gone());
    }
    let max = context.snapshot.server.max_answer.as_usize();
    let body = call::collect(response.into_body(), max, backend.idle_timeout)
        .await
        .map_err(|error| failed(backend, error))?;
    let owner = &caller.payer.subscription;
    let mut ids = IdRewriter::new(worker.gateway.response_ids.clone(), owner, &at.backend, &at.model);
    Ok(Answer::Whole { status, body: ids.rewrite(body), facts: Facts::default() })
}

fn failed(backend: &Arc<Backend>, error: call::CallError) -> GatewayError {
    verdict::call_failure(backend, error).1
}
