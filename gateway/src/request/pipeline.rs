//! The life of a chat request on one screen: who calls, which model, what the policies say, who answers.
//!
//! A request that reaches a backend keeps its own books there (`attempt.rs`). One that does not, because
//! it was refused or answered from the cache, is written down here.

use actix_web::http::header::HeaderMap as ClientHeaders;
use bytes::Bytes;
use http::StatusCode;
use tollgate_schemas::cache::CacheHit;
use tollgate_schemas::usage::Outcome;

use super::attempt::{Attempt, Ending};
use super::context::RequestContext;
use super::drain::Drained;
use super::event::{self, Subject};
use super::failover::{self, Order, Reply, Served};
use super::measure::Produced;
use super::relay::{Relay, RelayOptions};
use crate::access::{self, Caller};
use crate::api::headers;
use crate::api::keep_alive::KeepAlive;
use crate::backends::call::collect;
use crate::error::{GatewayError, Side};
use crate::expressions::RequestFacts;
use crate::formats::openai::answer;
use crate::formats::openai::request::ChatRequest;
use crate::gateway::Worker;
use crate::limits::Balance;
use crate::policies::content_events::{self, CompletionRecorder};
use crate::policies::semantic_cache::{self, CacheStatus, Looked, StorePlan};
use crate::policies::token_limit;
use crate::snapshot::Model;

/// What goes back to the client.
pub enum Answer {
    /// A whole answer.
    Whole {
        /// Its status.
        status: StatusCode,
        /// Its body, in the client's API format.
        body: Bytes,
        /// Facts for headers.
        facts: Facts,
    },
    /// A stream.
    Stream {
        /// Its body.
        relay: Box<KeepAlive<Drained<Relay>>>,
        /// Facts for headers.
        facts: Facts,
    },
}

/// Facts about an answer that headers tell the client.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What the cache did.
    pub cache: Option<CacheStatus>,
    /// Similarity of a semantic hit.
    pub similarity: Option<f32>,
    /// The limit with the least left.
    pub limit: Option<Balance>,
    /// Which backend answered, after how many attempts.
    pub served: Option<Served>,
    /// When to try again.
    pub retry_after: Option<std::time::Duration>,
}

/// Serves one chat request.
///
/// # Errors
/// Whatever the client must be told; it is in the ledger already where a payer is known.
pub async fn serve(
    worker: &Worker,
    context: &RequestContext,
    caller: &Caller,
    client_headers: &ClientHeaders,
    body: Bytes,
) -> Result<Answer, GatewayError> {
    let unread = Subject {
        request_id: context.id,
        payer: &caller.payer,
        alias: "",
        api_format: context.api_format,
        stream: false,
    };
    let read = ChatRequest::parse(&body).and_then(|request| Ok((request.alias()?, request)));
    let (alias, request) = read.map_err(|error| refused(worker, unread, error))?;
    let subject = Subject { alias: &alias, stream: request.stream(), ..unread };
    let headers = headers::for_backend(client_headers, &context.trace);
    let facts = RequestFacts {
        headers: client_headers,
        path: context.uri.path(),
        body: &body,
        subscription: &caller.payer.subscription,
        tenant: &caller.payer.tenant,
        team: &caller.payer.team,
    };
    let order = Order { context, subject, body: &body, request: &request, headers, facts };
    answer_to(worker, caller, client_headers, &order).await.map_err(|error| refused(worker, subject, error))
}

async fn answer_to(
    worker: &Worker,
    caller: &Caller,
    client_headers: &ClientHeaders,
    order: &Order<'_>,
) -> Result<Answer, GatewayError> {
    let Order { context, subject, body, request, .. } = order;
    let snapshot = &context.snapshot;
    let model = access::model_for(snapshot, caller, subject.alias)?;
    content_events::record_prompt(
        &worker.gateway,
        &snapshot.content,
        context.id,
        subject.payer,
        subject.alias,
        subject.api_format,
        body,
    );
    let bypass = subject.stream || headers::opts_out_of_cache(client_headers);
    let (cache, plan) = match semantic_cache::look(worker, context, caller, &model, body, bypass).await {
        Looked::Hit(status, hit) => return Ok(from_cache(worker, *subject, status, *hit)),
        Looked::Miss(plan) => (CacheStatus::Miss, Some(plan)),
        Looked::Bypass => (CacheStatus::Bypass, None),
    };
    let tokenizer_model = model.targets.first().map_or("", |target| &*target.model);
    let default_completion = snapshot.server.default_completion_tokens.0;
    let limiters = &worker.gateway.limiters;
    let reserved =
        token_limit::reserve(limiters, caller, tokenizer_model, request, default_completion).await?;
    let reply = failover::first_answer(worker, order, &model, reserved).await?;
    let facts = Facts { cache: model.cache.is_some().then_some(cache), ..Facts::default() };
    relay_reply(worker, order, &model, reply, plan, facts).await
}

async fn relay_reply(
    worker: &Worker,
    order: &Order<'_>,
    model: &Model,
    reply: Reply,
    plan: Option<Box<StorePlan>>,
    mut facts: Facts,
) -> Result<Answer, GatewayError> {
    let (attempt, response, backend) = match reply {
        Reply::Refusal { refusal, served } => {
            let facts = Facts { retry_after: refusal.retry_after, served: Some(served), ..facts };
            return Ok(Answer::Whole { status: refusal.status, body: refusal.body, facts });
        }
        Reply::Answer { attempt, response, backend, served } => {
            facts.served = Some(served);
            (*attempt, response, backend)
        }
    };
    facts.limit = attempt.tightest_limit();
    let snapshot = &order.context.snapshot;
    let max_answer = snapshot.server.max_answer.as_usize();
    let completion = CompletionRecorder::new(&worker.gateway, &snapshot.content);
    if order.subject.stream && headers::is_event_stream(response.headers()) {
        let options =
            RelayOptions { max_event: max_answer, hide_usage: !order.request.wants_usage(), completion };
        let relay = Relay::new(response.into_body(), attempt, backend, order.context.id, options);
        let drained = Drained::new(relay, model.resiliency.drains.clone());
        let relay = Box::new(KeepAlive::new(drained, snapshot.server.keep_alive_comments.0));
        return Ok(Answer::Stream { relay, facts });
    }
    let mut attempt = attempt;
    let status = response.status();
    let whole = collect(response.into_body(), max_answer, backend.idle_timeout);
    let collected = match tokio::time::timeout(backend.total_timeout, whole).await {
        Ok(collected) => collected,
        Err(_) => Err(crate::backends::call::CallError::Stalled),
    };
    match collected {
        Ok(body) => {
            attempt.mark_first_byte();
            settle_whole(worker, order, model, &mut attempt, status, &body, plan, completion)?;
            Ok(Answer::Whole { status, body, facts })
        }
        Err(error) => {
            let (kind, failure) = failover::call_failure(&backend, error);
            let class = failure.class();
            let produced = Produced { prompt_sent: true, ..Produced::default() };
            attempt.end(Ending::failed(kind, class.status, class.code, produced));
            Err(failure)
        }
    }
}

/// Closes the books of a whole answer before it goes out.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename the list")]
fn settle_whole(
    worker: &Worker,
    order: &Order<'_>,
    model: &Model,
    attempt: &mut Attempt,
    status: StatusCode,
    body: &Bytes,
    plan: Option<Box<StorePlan>>,
    completion: Option<CompletionRecorder>,
) -> Result<(), GatewayError> {
    let answer: answer::Answer<'_> = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(error) => {
            let backend = attempt.event().call.backend.clone();
            let failure =
                GatewayError::BrokenAnswer { backend, message: format!("not a chat completion: {error}") };
            let class = failure.class();
            let produced = Produced { prompt_sent: true, ..Produced::default() };
            attempt.end(Ending::failed(
                crate::backends::FailureKind::Protocol,
                class.status,
                class.code,
                produced,
            ));
            return Err(failure);
        }
    };
    let text: String = if answer.usage.is_none() || completion.is_some() {
        answer
            .choices
            .iter()
            .filter_map(|choice| choice.message.as_ref())
            .flat_map(answer::Delta::texts)
            .collect()
    } else {
        String::new()
    };
    let produced =
        Produced { usage: answer.usage, complete: true, text: &text, text_beyond: 0, prompt_sent: true };
    attempt.end(Ending::ok(status.as_u16(), produced));
    if let Some(recorder) = completion {
        let reason =
            answer.choices.first().and_then(|choice| choice.finish_reason.as_deref()).map(Into::into);
        recorder.record(attempt, &text, false, reason);
    }
    if let (Some(plan), true) = (plan, answer.is_plain_and_complete()) {
        tracing::debug!(request_id = %order.context.id, model = %model.alias, "answer goes to the cache");
        plan.store(worker, attempt, body);
    }
    Ok(())
}

fn from_cache(worker: &Worker, subject: Subject<'_>, status: CacheStatus, hit: CacheHit) -> Answer {
    let ledger = &worker.gateway.ledger;
    let mut event = event::without_attempt(subject, ledger.next_position(), Outcome::CacheHit, 200);
    event.cached_from = Some(hit.event_id);
    if let Err(error) = ledger.record(&event, None) {
        tracing::error!(error = %error, "a cache hit could not be recorded");
    }
    worker.gateway.metrics.attempt_ended(&event);
    let body = Bytes::from(String::from(Box::<str>::from(hit.response)));
    let facts = Facts { cache: Some(status), similarity: Some(hit.similarity), ..Facts::default() };
    Answer::Whole { status: StatusCode::OK, body, facts }
}

/// A refusal by the gateway itself is a row too, so that callers can see what was refused and why.
/// Failures of backends are rows of their attempts already.
fn refused(worker: &Worker, subject: Subject<'_>, error: GatewayError) -> GatewayError {
    let class = error.class();
    if class.side == Side::Client || error.is_without_attempt() {
        let ledger = &worker.gateway.ledger;
        let mut event =
            event::without_attempt(subject, ledger.next_position(), Outcome::Rejected, class.status);
        event.error_code = Some(class.code.into());
        if let Err(error) = ledger.record(&event, None) {
            tracing::error!(error = %error, "a refusal could not be recorded");
        }
        worker.gateway.metrics.attempt_ended(&event);
    }
    error
}
