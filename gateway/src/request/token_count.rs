//! How many tokens a prompt has: asked of the backend that would answer it, where that counts, else counted by the
//! gateway, and the answer says which.

use bytes::Bytes;
use http::StatusCode;
use tollgate_crossing::prompt;
use tollgate_formats::view::bounded_model;

use super::answer::{Answer, CountedBy, Facts};
use super::call::Call;
use super::context::RequestContext;
use super::provider_count::{self, Prompt};
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
    let (tokens, counted_by) = match count(worker, context, &call, events, &body, alias_in_path).await {
        Ok(counted) => counted,
        Err(error) => {
            books::refused(&worker.gateway, events, &error);
            return Err(error);
        }
    };
    let facts = Facts { counted_by: Some(counted_by), ..Facts::default() };
    let body = context.format.encode_token_count(tokens).into();
    Ok(Answer::Whole { status: StatusCode::OK, body, facts, guard: call.guard })
}

async fn count(
    worker: &Worker,
    context: &RequestContext,
    call: &Call<'_>,
    events: EventContext<'_>,
    body: &Bytes,
    alias_in_path: Option<&str>,
) -> Result<(u64, CountedBy), GatewayError> {
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
    let events = EventContext { model_requested: &alias, ..events };
    let prompt = Prompt { model: &model, body, view: &view, headers: call.http.headers };
    if let Some(tokens) = Box::pin(provider_count::count(worker, context, events, &prompt)).await {
        return Ok((tokens, CountedBy::Provider));
    }
    let estimate = prompt::count_anywhere(context.format, tokenizer_model, body).await;
    Ok((estimate.tokens, CountedBy::Estimate))
}
