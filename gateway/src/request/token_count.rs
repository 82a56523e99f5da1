//! How many tokens a prompt has, counted by the gateway: no backend is called, so there is no attempt and no row.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use tollgate_crossing::prompt;

use super::answer::{Answer, Facts};
use super::call::Call;
use super::context::RequestContext;
use crate::books;
use crate::books::event::EventContext;
use crate::error::GatewayError;
use crate::gateway::Worker;

#[derive(Serialize)]
struct Counted {
    input_tokens: u64,
}

/// Serves one request.
///
/// # Errors
/// When the body cannot be read or the caller may not use the model; that is a row.
pub async fn serve(
    worker: &Worker,
    context: &RequestContext,
    call: Call<'_>,
    events: EventContext<'_>,
) -> Result<Answer, GatewayError> {
    let body = call.body.whole();
    let input_tokens = match count(context, &call, &body).await {
        Ok(tokens) => tokens,
        Err(error) => {
            books::refused(&worker.gateway, events, &error);
            return Err(error);
        }
    };
    let body = serde_json::to_vec(&Counted { input_tokens }).unwrap_or_default().into();
    Ok(Answer::Whole { status: StatusCode::OK, body, facts: Facts::default(), guard: call.guard })
}

async fn count(context: &RequestContext, call: &Call<'_>, body: &Bytes) -> Result<u64, GatewayError> {
    let view = context.format.view(body)?;
    let model = context.snapshot.model_for(call.caller, &view.model_name()?)?;
    let tokenizer_model = model.targets.first().map_or("", |target| &*target.model);
    // What cannot be read is told before it is counted.
    context.format.decode(body)?;
    Ok(prompt::count_anywhere(context.format, tokenizer_model, body).await.tokens)
}
