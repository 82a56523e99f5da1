//! `POST …/messages/count_tokens`: how many tokens a prompt has.

use actix_web::{HttpRequest, HttpResponse, web};
use tollgate_crossing::ClientFormat;

use super::front_door;
use crate::gateway::Worker;
use crate::request::call::CallKind;

/// Serves one request. No model is used, so nothing is charged.
pub async fn post(request: HttpRequest, payload: web::Payload, worker: web::Data<Worker>) -> HttpResponse {
    let format = ClientFormat::Messages;
    let kind = CallKind::TokenCount { format, alias_in_path: None };
    front_door::serve(request, payload, worker, format, kind).await
}
