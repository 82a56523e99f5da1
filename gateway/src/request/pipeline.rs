//! The life of a request on one screen: who calls, which model, what the policies say, who answers.
//!
//! A request that reaches a backend keeps its own books there (`attempt.rs`). One that does not, because
//! it was refused or answered from the cache, is written down here.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tollgate_admission::Place;
use tollgate_backends::AnswerBody;
use tollgate_base::headers::Headers;
use tollgate_crossing::ClientFormat;
use tollgate_expressions::RequestFacts;
use tollgate_formats::view::View;
use tollgate_identity::Caller;
use tollgate_limits::Balance;
use tollgate_schemas::cache::CacheHit;
use tollgate_schemas::usage::Outcome;

use super::context::RequestContext;
use super::event::{self, Subject};
use super::failover;
use super::first_byte::{self, Begun, Streamed};
use super::guard::RequestGuard;
use super::order::Order;
use super::passed::Passed;
use super::reply::{Reply, Served};
use super::verdict::Refusal;
use super::{alias_rules, media, stored};
use crate::error::{GatewayError, Side};
use crate::gateway::Worker;
use crate::headers;
use crate::policies::content_events;
use crate::policies::semantic_cache::{self, CacheStatus, Looked, StorePlan};
use crate::policies::token_limit::{self, PromptSize};

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
    /// An answer that passes as it comes.
    Passing {
        /// Its status.
        status: StatusCode,
        /// Its headers, as far as the client needs them.
        headers: HeaderMap,
        /// Its body.
        body: Box<Passed<AnswerBody>>,
        /// Facts for headers.
        facts: Facts,
    },
    /// A stream.
    Stream {
        /// Its body.
        relay: Box<Streamed>,
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

/// What a client sent.
pub struct Asked<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// Its headers.
    pub headers: &'a dyn Headers,
    /// Its body.
    pub body: Bytes,
    /// The alias, where the path names it and not the body.
    pub alias_in_path: Option<&'a str>,
    /// Whose turn it is where requests wait.
    pub place: Place,
    /// What it holds until its answer has ended.
    pub guard: RequestGuard,
}

/// Serves one request for a model's answer.
///
/// # Errors
/// Whatever the client must be told; it is in the ledger already where a payer is known.
pub async fn serve(
    worker: &Worker,
    context: &RequestContext,
    asked: Asked<'_>,
) -> Result<Answer, GatewayError> {
    let body = asked.body.clone();
    let unread = Subject {
        request_id: context.id,
        payer: &asked.caller.payer,
        alias: "",
        format: context.format,
        stream: false,
    };
    let read = context.format.view(&body).and_then(|view| {
        let alias = asked.alias_in_path.map_or_else(|| view.model_name(), |alias| Ok(alias.into()))?;
        Ok((alias, view))
    });
    let (alias, view) = read.map_err(|error| refused(worker, unread, error.into()))?;
    let subject = Subject { alias: &alias, stream: view.stream, ..unread };
    answer_to(worker, context, asked, subject, view).await.map_err(|error| refused(worker, subject, error))
}

async fn answer_to(
    worker: &Worker,
    context: &RequestContext,
    asked: Asked<'_>,
    subject: Subject<'_>,
    view: View<'_>,
) -> Result<Answer, GatewayError> {
    let Asked { caller, headers: client_headers, ref body, ref place, guard, .. } = asked;
    let snapshot = &context.snapshot;
    let model = snapshot.model_for(caller, subject.alias)?;
    let changed = alias_rules::apply(context.format, &view, body, &model.defaults, &model.caps)?;
    let body = changed.as_ref().unwrap_or(body);
    let view = if changed.is_some() { context.format.view(body)? } else { view };
    let continues = stored::continued(worker, caller, &view)?;
    content_events::record_prompt(
        &worker.gateway,
        &snapshot.content,
        context.id,
        subject.payer,
        subject.alias,
        context.format.as_str(),
        body,
    );
    let bypass =
        subject.stream || context.format != ClientFormat::Chat || headers::opts_out_of_cache(client_headers);
    let (cache, plan) = match semantic_cache::look(worker, context, caller, &model, body, bypass).await {
        Looked::Hit(status, hit) => return Ok(from_cache(worker, subject, status, *hit)),
        Looked::Miss(plan) => (CacheStatus::Miss, Some(plan)),
        Looked::Bypass => (CacheStatus::Bypass, None),
    };
    let tokenizer_model = model.targets.first().map_or("", |target| &*target.model);
    let prompt = PromptSize::new(context.format, tokenizer_model, body);
    let completion = match context.format {
        ClientFormat::Embeddings => 0,
        _ => view.max_output_tokens.unwrap_or(snapshot.server.default_completion_tokens.0),
    };
    let reserved = token_limit::reserve(&worker.gateway.limiters, caller, prompt, completion).await?;
    let headers = headers::for_backend(client_headers, &context.trace);
    let expressible = RequestFacts {
        headers: client_headers,
        path: context.uri.path(),
        body,
        subscription: &caller.payer.subscription,
        tenant: &caller.payer.tenant,
        team: &caller.payer.team,
    };
    let order = Order {
        context,
        subject,
        body,
        view: &view,
        headers,
        facts: expressible,
        continues: continues.as_ref(),
        place,
    };
    let reply = failover::first_answer(worker, &order, &model, reserved).await?;
    let facts = Facts { cache: model.cache.is_some().then_some(cache), ..Facts::default() };
    Ok(delivered(worker, &order, reply, plan, facts, guard))
}

/// What has begun goes to the client.
pub(super) fn delivered(
    worker: &Worker,
    order: &Order<'_>,
    reply: Reply<'_>,
    plan: Option<Box<StorePlan>>,
    facts: Facts,
    guard: RequestGuard,
) -> Answer {
    match reply {
        Reply::Refusal { refusal: Refusal { status, body, retry_after }, served } => {
            Answer::Whole { status, body, facts: Facts { retry_after, served: Some(served), ..facts } }
        }
        Reply::Answer { begun, limit, served } => {
            let facts = Facts { limit, served: Some(served), ..facts };
            match begun {
                Begun::Whole(whole) => whole.deliver(worker, order, plan, facts),
                Begun::Passing(answering) => media::passing(worker, order, *answering, facts, guard),
                Begun::Stream(mut relay) => {
                    first_byte::keep(&mut relay, guard);
                    Answer::Stream { relay, facts }
                }
            }
        }
    }
}

fn from_cache(worker: &Worker, subject: Subject<'_>, status: CacheStatus, hit: CacheHit) -> Answer {
    let ledger = &worker.gateway.ledger;
    let mut event = event::without_attempt(subject, Outcome::CacheHit, 200);
    event.cached_from = Some(hit.event_id);
    if let Err(error) = ledger.record(&mut event, None) {
        tracing::error!(error = %error, "a cache hit could not be recorded");
    }
    worker.gateway.metrics.attempt_ended(&event);
    let body = Bytes::from(String::from(Box::<str>::from(hit.response)));
    let facts = Facts { cache: Some(status), similarity: Some(hit.similarity), ..Facts::default() };
    Answer::Whole { status: StatusCode::OK, body, facts }
}

/// A refusal by the gateway itself is a row too, so that callers can see what was refused and why.
/// Failures of backends are rows of their attempts already.
pub(super) fn refused(worker: &Worker, subject: Subject<'_>, error: GatewayError) -> GatewayError {
    let class = error.class();
    if class.side == Side::Client || error.is_without_attempt() {
        let ledger = &worker.gateway.ledger;
        let mut event = event::without_attempt(subject, Outcome::Rejected, class.status);
        event.error_code = Some(class.code.into());
        if let Err(error) = ledger.record(&mut event, None) {
            tracing::error!(error = %error, "a refusal could not be recorded");
        }
        worker.gateway.metrics.attempt_ended(&event);
    }
    error
}
