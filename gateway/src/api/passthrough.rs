//! APIs of backends below paths of the gateway's own: whatever the routes do not have.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use tollgate_crossing::ClientFormat;

use super::{family, front_door, models};
use crate::gateway::Worker;
use crate::request::call::CallKind;

/// Any request to a path of an API; to any other path there is nothing.
pub async fn any(request: HttpRequest, payload: web::Payload, worker: web::Data<Worker>) -> HttpResponse {
    let mut context = front_door::context(&request, &worker, ClientFormat::Chat);
    let snapshot = Arc::clone(&context.snapshot);
    let Some((api, rest)) = snapshot.api_of(request.uri().path()) else {
        return models::nothing_here(request, worker).await;
    };
    context.format = family::nearest(api.backend.format);
    let kind = CallKind::Passthrough { api, rest };
    front_door::serve_in(&request, payload, &worker, &context, kind).await
}
