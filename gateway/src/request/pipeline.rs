//! The spine: the phases of a call in their order, on one page. Which of them apply is the call's kind
//! ([`super::call`]); the work is done elsewhere.
//!
//! read → access → alias rules → stored answer → prompt event → cache → limits → backends → delivery
//!
//! A call that reaches a backend keeps its own books there ([`crate::books::attempt`]). One that does not, because it was
//! refused or answered from the cache, is written down here.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use tollgate_admission::QueueKey;
use tollgate_crossing::ClientFormat;
use tollgate_expressions::RequestFacts;
use tollgate_formats::FormatError;
use tollgate_formats::openai_media::{self, multipart};
use tollgate_formats::view::{View, bounded_model};
use tollgate_identity::Caller;
use tollgate_limits::Reservation;
use tollgate_runtime::snapshot::Model;
use tollgate_schemas::cache::CacheHit;

use super::answer::{Answer, Facts};
use super::call::{Call, CallKind, HttpFacts, ModelPhases, ReserveBy};
use super::context::RequestContext;
use super::first_byte::AnswerStart;
use super::guard::RequestGuard;
use super::model_request::ModelRequest;
use super::search::{self, Reply};
use super::{alias_rules, passthrough, stored_answers, stored_call, token_count};
use crate::books;
use crate::books::event::EventContext;
use crate::books::measure::estimated_tokens;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::headers;
use crate::policies::content_events;
use crate::policies::semantic_cache::{self, CacheStatus, LookupOutcome, StorePlan};
use crate::policies::token_limit::{self, PromptSize};
use crate::stored::response_ids::StoredAt;

/// Serves one call.
///
/// # Errors
/// Whatever the client must be told; it is in the ledger already.
pub async fn serve(
    worker: &Worker,
    context: &RequestContext,
    call: Call<'_>,
) -> Result<Answer, GatewayError> {
    let events = events(context, call.caller, &call.kind);
    match call.kind.clone() {
        CallKind::Model { format, alias_in_path } => {
            model_answer(worker, context, call, events, format, alias_in_path).await
        }
        // Each on its own, so that the future of a model's answer has no room for them: it is moved before it is polled.
        CallKind::TokenCount { alias_in_path, .. } => {
            Box::pin(token_count::serve(worker, context, call, events, alias_in_path)).await
        }
        CallKind::StoredResponse { id, method, action } => {
            Box::pin(stored_call::serve(worker, context, call, events, id, method, action)).await
        }
        CallKind::Passthrough { api, rest } => {
            Box::pin(passthrough::serve(worker, context, call, events, api, rest)).await
        }
    }
}

/// A refusal of a known caller before its call has entered is a row too.
pub fn refused_at_the_door(
    worker: &Worker,
    context: &RequestContext,
    caller: &Caller,
    kind: &CallKind<'_>,
    error: GatewayError,
) -> GatewayError {
    books::refused_at_the_door(&worker.gateway, events(context, caller, kind), &error);
    error
}

fn events<'a>(context: &RequestContext, caller: &'a Caller, kind: &CallKind<'a>) -> EventContext<'a> {
    let model_requested = match kind {
        CallKind::Passthrough { api, .. } => &api.name,
        _ => "",
    };
    EventContext {
        request_id: context.id,
        payer: &caller.payer,
        operation: kind.operation(),
        model_requested,
        api_format: kind.api_format(),
        stream: false,
    }
}

/// A call for a model's answer: reads what every later phase needs, and writes a refusal down.
async fn model_answer(
    worker: &Worker,
    context: &RequestContext,
    call: Call<'_>,
    events: EventContext<'_>,
    format: ClientFormat,
    alias_in_path: Option<&str>,
) -> Result<Answer, GatewayError> {
    let body = call.body.whole();
    let content_type = call.http.headers.text("content-type").unwrap_or("application/json");
    let (alias, view) = match read(format, &body, content_type, alias_in_path) {
        Ok(read) => read,
        Err(error) => {
            let error = error.into();
            books::refused(&worker.gateway, events, &error);
            return Err(error);
        }
    };
    let events = EventContext { model_requested: &alias, stream: view.stream, ..events };
    let answer = phases(worker, context, call, events, &body, view, content_type).await;
    answer.inspect_err(|error| books::refused(&worker.gateway, events, error))
}

/// The alias that is asked for, and as much of the body as every request needs.
fn read<'a>(
    format: ClientFormat,
    body: &'a Bytes,
    content_type: &str,
    alias_in_path: Option<&'a str>,
) -> Result<(Cow<'a, str>, View<'a>), FormatError> {
    if format.is_media() {
        let seen = openai_media::view::view(body, content_type)?;
        let missing = || FormatError::invalid("`model` is missing", "model");
        return Ok((seen.model.ok_or_else(missing)?, seen.view));
    }
    let view = format.view(body)?;
    let alias = match alias_in_path {
        Some(alias) => {
            bounded_model(alias)?;
            alias.into()
        }
        None => view.model_name()?,
    };
    Ok((alias, view))
}

/// The phases of a model's answer.
async fn phases(
    worker: &Worker,
    context: &RequestContext,
    call: Call<'_>,
    events: EventContext<'_>,
    body: &Bytes,
    view: View<'_>,
    content_type: &str,
) -> Result<Answer, GatewayError> {
    let Call { caller, http, queue_key, guard, .. } = call;
    let model = context.snapshot.model_for(caller, events.model_requested)?;
    stored_answers::may_go_on(worker, caller, &view)?;
    let exchange = Exchange::new(worker, context, caller, http, events, &model, content_type);
    let changed = exchange.alias_rules(&view, body)?;
    let body = changed.as_ref().unwrap_or(body);
    let view = if changed.is_some() { context.format.view(body)? } else { view };
    let continues = stored_answers::continued(worker, caller, &view)?;
    exchange.publish_prompt(body);
    let (cache, plan) = match exchange.look_in_cache(body).await {
        LookupOutcome::Hit(status, hit) => return Ok(from_cache(worker, events, status, *hit, guard)),
        LookupOutcome::Miss(plan) => (CacheStatus::Miss, Some(plan)),
        LookupOutcome::Bypass => (CacheStatus::Bypass, None),
    };
    let completion = exchange.allowed_completion(&view);
    let reserved = exchange.reserve(body, completion).await?;
    let request = exchange.request(body, &view, continues.as_ref(), &queue_key, completion);
    let reply = search::first_answer(worker, &request, reserved).await?;
    let facts = Facts { cache: model.cache.is_some().then_some(cache), ..Facts::default() };
    Ok(delivered(worker, &request, reply, plan, facts, guard))
}

/// What every phase of a model's answer knows.
struct Exchange<'a> {
    worker: &'a Worker,
    context: &'a RequestContext,
    caller: &'a Caller,
    http: HttpFacts<'a>,
    events: EventContext<'a>,
    model: &'a Model,
    content_type: &'a str,
    phases: ModelPhases,
    /// Forms are files: no text to publish, and what they come to in tokens only their models know.
    is_form: bool,
}

impl<'a> Exchange<'a> {
    fn new(
        worker: &'a Worker,
        context: &'a RequestContext,
        caller: &'a Caller,
        http: HttpFacts<'a>,
        events: EventContext<'a>,
        model: &'a Model,
        content_type: &'a str,
    ) -> Self {
        let phases = ModelPhases::of(context.format);
        let is_form = context.format.is_media() && multipart::is_form(content_type);
        Self { worker, context, caller, http, events, model, content_type, phases, is_form }
    }

    fn alias_rules(&self, view: &View<'_>, body: &Bytes) -> Result<Option<Bytes>, FormatError> {
        if !self.phases.alias_rules {
            return Ok(None);
        }
        alias_rules::apply(self.context.format, view, body, &self.model.defaults, &self.model.caps)
    }

    fn publish_prompt(&self, body: &Bytes) {
        if !self.is_form {
            let content = &self.context.snapshot.content;
            content_events::record_prompt(&self.worker.gateway, content, self.events, body);
        }
    }

    async fn look_in_cache(&self, body: &Bytes) -> LookupOutcome {
        let Self { worker, context, caller, model, .. } = self;
        let bypass =
            !self.phases.cache || self.events.stream || headers::opts_out_of_cache(self.http.headers);
        let settings = context.snapshot.cache.as_ref();
        semantic_cache::look(worker, context.id, settings, caller, model, body, bypass).await
    }

    /// Tokens that the answer may have.
    fn allowed_completion(&self, view: &View<'_>) -> u64 {
        if !self.context.format.bounds_output() {
            return 0;
        }
        view.max_output_tokens.unwrap_or(self.context.snapshot.server.default_completion_tokens.0)
    }

    /// What the request may use, reserved under every limit of its caller.
    async fn reserve(&self, body: &Bytes, completion: u64) -> Result<Reservation, GatewayError> {
        let limiters = &self.worker.gateway.limiters;
        match self.phases.reserve_by {
            ReserveBy::Estimate => {
                let tokens = if self.is_form { 0 } else { estimated_tokens(body.len()) };
                token_limit::reserve_estimate(limiters, self.caller, tokens).await
            }
            ReserveBy::Prompt => {
                let tokenizer_model = self.model.targets.first().map_or("", |target| &*target.model);
                let prompt = PromptSize::new(self.context.format, tokenizer_model, body);
                token_limit::reserve(limiters, self.caller, prompt, completion).await
            }
        }
    }

    /// The request as its attempts need it.
    fn request<'b>(
        &'b self,
        body: &'b Bytes,
        view: &'b View<'b>,
        continues: Option<&'b StoredAt>,
        queue_key: &'b QueueKey,
        completion: u64,
    ) -> ModelRequest<'b> {
        let content_type = self.context.format.is_media().then(|| self.content_type.parse().ok()).flatten();
        let payer = &self.caller.payer;
        let facts = RequestFacts {
            headers: self.http.headers,
            path: self.http.path,
            body,
            subscription: &payer.subscription,
            tenant: &payer.tenant,
            team: &payer.team,
        };
        ModelRequest {
            context: self.context,
            events: self.events,
            model: self.model,
            body,
            view,
            content_type,
            facts,
            continues,
            queue_key,
            expected_tokens: estimated_tokens(body.len()).saturating_add(completion),
        }
    }
}

/// What has begun goes to the client.
fn delivered(
    worker: &Worker,
    request: &ModelRequest<'_>,
    reply: Reply<'_>,
    plan: Option<Box<StorePlan>>,
    facts: Facts,
    guard: RequestGuard,
) -> Answer {
    match reply {
        Reply::Refusal { refusal, served } => {
            let facts = Facts { retry_after: refusal.retry_after, served: Some(served), ..facts };
            let body = stored_answers::in_refusal(request, refusal.body);
            Answer::Whole { status: refusal.status, body, facts, guard }
        }
        Reply::Answer { start, limit, served } => {
            let facts = Facts { limit, served: Some(served), ..facts };
            match start {
                AnswerStart::Whole(whole) => whole.deliver(worker, request, plan, facts, guard),
                AnswerStart::Relayed(open) => passthrough::relay_media(worker, request, *open, facts, guard),
                AnswerStart::Stream(mut stream) => {
                    if let Some(relay) = stream.stream_mut() {
                        relay.keep(guard);
                    }
                    Answer::Stream { stream, facts }
                }
            }
        }
    }
}

fn from_cache(
    worker: &Worker,
    events: EventContext<'_>,
    status: CacheStatus,
    hit: CacheHit,
    guard: RequestGuard,
) -> Answer {
    books::answered_from_cache(&worker.gateway, events, &hit);
    let facts = Facts { cache: Some(status), similarity: Some(hit.similarity), ..Facts::default() };
    let body = Bytes::from(String::from(Box::<str>::from(hit.response)));
    Answer::Whole { status: StatusCode::OK, body, facts, guard }
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
