//! APIs of backends below paths of the gateway's own: whatever the routes do not have.

use std::sync::Arc;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use tollgate_admission::Place;
use tollgate_crossing::ClientFormat;
use tollgate_identity::identify;
use tollgate_runtime::snapshot::Api;
use tollgate_schemas::ids::RequestId;

use super::{endpoint, family, models, render};
use crate::api::client_headers::ClientHeaders;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::request::context::RequestContext;
use crate::request::guard::RequestGuard;
use crate::request::passthrough::{self, PassedAnswer, PassedCall, unknown_path};

/// The gateway's id of the request. The backend may have one of its own, in `x-request-id` for example.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-tollgate-request-id");

/// Any request to a path of an API; to any other path there is nothing.
pub async fn any(request: HttpRequest, payload: web::Payload, worker: web::Data<Worker>) -> HttpResponse {
    let mut context = endpoint::context(&request, &worker, ClientFormat::Chat);
    let snapshot = Arc::clone(&context.snapshot);
    let Some((api, rest)) = snapshot.api_of(request.uri().path()) else {
        return models::nothing_here(request, worker).await;
    };
    let format = api.backend.format;
    context.format = family::nearest(format);
    let result = pass(&worker, &context, api, rest, &request, payload).await;
    let code = result.as_ref().err().map(|error| error.class().code);
    worker.gateway.metrics.request_ended(code, context.received.elapsed());
    match result {
        Ok(answer) => response(answer, context.id),
        Err(error) => {
            tracing::debug!(request_id = %context.id, api = %api.name, code, "call refused or failed");
            family::error(&error, format, context.id)
        }
    }
}

async fn pass(
    worker: &Worker,
    context: &RequestContext,
    api: &Arc<Api>,
    rest: &str,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<PassedAnswer, GatewayError> {
    if worker.gateway.is_stopping() {
        return Err(GatewayError::Stopping);
    }
    let caller = identify(&ClientHeaders(request.headers()), &context.snapshot.keys)?;
    if !caller.may_call(&api.name) {
        return Err(unknown_path(request));
    }
    let place = Place { tier: caller.product.tier, subscription: Arc::clone(&caller.payer.subscription) };
    let permit = endpoint::enter(worker, &place).await?;
    let guard = RequestGuard { permit, held: worker.gateway.memory.hold() };
    let call = PassedCall { caller: &caller, place: &place, api, rest, request, payload, guard };
    passthrough::serve(worker, context, call).await
}

fn response(answer: PassedAnswer, id: RequestId) -> HttpResponse {
    let PassedAnswer { head, body } = answer;
    let mut response = render::passing(head.status, &head.headers, body);
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
