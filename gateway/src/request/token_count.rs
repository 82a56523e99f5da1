//! How many tokens a prompt has, counted by the gateway: no backend is called, so there is no attempt and no row.

use bytes::Bytes;
use http::StatusCode;
use tollgate_crossing::prompt;
use tollgate_formats::view::bounded_model;

use super::answer::{Answer, Facts};
use super::call::Call;
use super::context::RequestContext;
use crate::books;
use crate::books::event::EventContext;
use crate::error::GatewayError;
use crate::gateway::Worker;

/// Serves one request.
///
/// # Errors
/// When the body cannot be read or the caller may not use the model; that is a row.
pub async fn serve(
    worker: &Worker,
    context: &RequestContext,
    call: Call<'_>,
    events: EventContext<'_>,
    alias_in_path: Option<&str>,
) -> Result<Answer, GatewayError> {
    let body = call.body.whole();
    let tokens = match count(context, &call, &body, alias_in_path).await {
        Ok(tokens) => tokens,
        Err(error) => {
            books::refused(&worker.gateway, events, &error);
            return Err(error);
        }
    };
    let body = context.format.encode_token_count(tokens).into();
    Ok(Answer::Whole { status: StatusCode::OK, body, facts: Facts::default(), guard: call.guard })
}

async fn count(
    context: &RequestContext,
    call: &Call<'_>,
    body: &Bytes,
    alias_in_path: Option<&str>,
) -> Result<u64, GatewayError> {
    let body = &context.format.counted_request(body)?;
    let view = context.format.view(body)?;
    let alias = match alias_in_path {
        Some(alias) => {
            bounded_model(alias)?;
            alias.into()
        }
        None => view.model_name()?,
    };
    let model = context.snapshot.model_for(call.caller, &alias)?;
    let tokenizer_model = model.targets.first().map_or("", |target| &*target.model);
    // What cannot be read is told before it is counted.
    context.format.decode(body)?;
    Ok(prompt::count_anywhere(context.format, tokenizer_model, body).await.tokens)
}
