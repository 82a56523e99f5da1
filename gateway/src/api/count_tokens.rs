//! `POST …/messages/count_tokens`: how many tokens a prompt has, counted by the gateway.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use tollgate_crossing::{ClientFormat, prompt};
use tollgate_identity::identify;

use super::endpoint;
use crate::api::client_headers::ClientHeaders;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::request::body;
use crate::request::context::RequestContext;

#[derive(Serialize)]
struct Counted {
    input_tokens: u64,
}

/// Serves one request. Nothing is called, so nothing is charged.
pub async fn post(request: HttpRequest, payload: web::Payload, worker: web::Data<Worker>) -> HttpResponse {
    let context = endpoint::context(&request, &worker, ClientFormat::Messages);
    match count(&worker, &request, payload, &context).await {
        Ok(input_tokens) => HttpResponse::Ok()
            .insert_header(("x-request-id", context.id.to_string()))
            .json(Counted { input_tokens }),
        Err(error) => endpoint::refuse(&error, &context),
    }
}

async fn count(
    worker: &Worker,
    request: &HttpRequest,
    payload: web::Payload,
    context: &RequestContext,
) -> Result<u64, GatewayError> {
    let caller = identify(&ClientHeaders(request.headers()), &context.snapshot.keys)?;
    let mut held = worker.gateway.memory.hold();
    let body = body::read(request, payload, &context.snapshot.server, &mut held).await?;
    let view = context.format.view(&body)?;
    let model = context.snapshot.model_for(&caller, &view.model_name()?)?;
    let tokenizer_model = model.targets.first().map_or("", |target| &*target.model);
    // What cannot be read is told before it is counted.
    context.format.decode(&body)?;
    Ok(prompt::count_anywhere(context.format, tokenizer_model, &body).await.tokens)
}
