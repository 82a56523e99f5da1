//! Gemini's methods of a model: `POST …/models/{alias}:generateContent` and its siblings. The path names the alias and
//! what is asked of it.

use actix_web::{HttpRequest, HttpResponse, web};
use tollgate_crossing::ClientFormat;

use super::{front_door, listed, models};
use crate::gateway::Worker;
use crate::request::call::CallKind;

/// Serves one request. A stream is a list unless events are asked for (`alt=sse`).
pub async fn post(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    worker: web::Data<Worker>,
) -> HttpResponse {
    let Some((alias, method)) = path.rsplit_once(':') else {
        return models::wrong_method(request, worker).await;
    };
    let Some((format, counts)) = ClientFormat::of_gemini_method(method) else {
        return models::nothing_here(request, worker).await;
    };
    let alias_in_path = Some(alias);
    let kind = match counts {
        true => CallKind::TokenCount { format, alias_in_path },
        false => CallKind::Model { format, alias_in_path },
    };
    let wants_list = method == "streamGenerateContent" && !wants_events(request.query_string());
    let max_event = worker.gateway.snapshot.load().server.max_event.as_usize();
    let response = front_door::serve(request, payload, worker, format, kind).await;
    if wants_list { listed::list(response, max_event) } else { response }
}

fn wants_events(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "alt=sse" | "%24alt=sse" | "$alt=sse"))
}
