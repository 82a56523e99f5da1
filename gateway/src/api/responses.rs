//! Answers that a provider keeps: `GET`, `DELETE …/responses/{id}`, `POST …/{id}/cancel`, `GET …/{id}/input_items`.
//!
//! The id says which backend has the answer and proves who owns it. Anybody else is told that it does not exist.

use actix_web::{HttpRequest, HttpResponse, web};
use http::Method;
use tollgate_crossing::ClientFormat;

use super::front_door;
use crate::gateway::Worker;
use crate::request::call::CallKind;

type Shared = web::Data<Worker>;

/// `GET …/responses/{id}`.
pub async fn get(
    request: HttpRequest,
    payload: web::Payload,
    id: web::Path<String>,
    worker: Shared,
) -> HttpResponse {
    serve(request, payload, worker, Method::GET, &id, "").await
}

/// `DELETE …/responses/{id}`.
pub async fn delete(
    request: HttpRequest,
    payload: web::Payload,
    id: web::Path<String>,
    worker: Shared,
) -> HttpResponse {
    serve(request, payload, worker, Method::DELETE, &id, "").await
}

/// `POST …/responses/{id}/cancel`.
pub async fn cancel(
    request: HttpRequest,
    payload: web::Payload,
    id: web::Path<String>,
    worker: Shared,
) -> HttpResponse {
    serve(request, payload, worker, Method::POST, &id, "/cancel").await
}

/// `GET …/responses/{id}/input_items`.
pub async fn input_items(
    request: HttpRequest,
    payload: web::Payload,
    id: web::Path<String>,
    worker: Shared,
) -> HttpResponse {
    serve(request, payload, worker, Method::GET, &id, "/input_items").await
}

async fn serve(
    request: HttpRequest,
    payload: web::Payload,
    worker: Shared,
    method: Method,
    id: &str,
    action: &'static str,
) -> HttpResponse {
    let kind = CallKind::StoredResponse { id, method, action };
    front_door::serve(request, payload, worker, ClientFormat::Responses, kind).await
}
