//! From an alias to the first backend that answers: candidates in their order, one attempt each, until a
//! byte could have reached the client.
//!
//! The number of attempts and the time for them are bounded (`failover` of the alias). A target that has
//! failed is not tried again, and one whose circuit opens meanwhile is passed over: health is looked at right
//! before each attempt. Targets whose committed capacity the request does not fit are passed over too and come
//! again at the end. Where the alias asks for it, a slow call is joined by a second one (`hedge`).

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use smallvec::SmallVec;

use super::attempt::{Attempt, Ending};
use super::call::{Answered, Call, Unseen};
use super::context::RequestContext;
use super::event::{self, Subject};
use super::hedge::{Lane, race};
use super::measure::Prompt;
use super::resiliency::Hedging;
pub use super::verdict::{Refusal, call_failure};
use super::verdict::{Verdict, decides, judge};
use crate::backends::InFlight;
use crate::backends::backend::Backend;
use crate::backends::call::CallError;
use crate::error::GatewayError;
use crate::expressions::RequestFacts;
use crate::formats::openai::request::ChatRequest;
use crate::gateway::Worker;
use crate::policies::token_limit::Reserved;
use crate::routing::affinity::Session;
use crate::routing::balance::Order as Places;
use crate::routing::{self, Pick};
use crate::snapshot::{Model, Target};

/// What a request brings to its attempts.
pub struct Order<'a> {
    /// The request.
    pub context: &'a RequestContext,
    /// What its events have in common.
    pub subject: Subject<'a>,
    /// Its body as received.
    pub body: &'a Bytes,
    /// Its body as read.
    pub request: &'a ChatRequest<'a>,
    /// Headers of the client that are passed on.
    pub headers: HeaderMap,
    /// What expressions may know of it.
    pub facts: RequestFacts<'a>,
}

/// A backend answered.
pub enum Reply {
    /// It does what was asked: the answer's head is here, its body follows.
    Answer {
        /// Books that stay open until the body ends.
        attempt: Box<Attempt>,
        /// The answer.
        response: Response<Incoming>,
        /// Who answers.
        backend: Arc<Backend>,
        /// For the client's headers.
        served: Served,
    },
    /// It refuses the request itself.
    Refusal {
        /// What it says.
        refusal: Refusal,
        /// For the client's headers.
        served: Served,
    },
}

/// How an answer came about, for the client's headers.
#[derive(Debug, Clone)]
pub struct Served {
    /// Calls that were made, with the one that answered.
    pub attempts: u8,
    /// Configured name of the backend that answered and the model's name there; none where clients are not
    /// told.
    pub target: Option<(Arc<str>, Arc<str>)>,
    /// A cookie that keeps the client's session where it is.
    pub set_cookie: Option<HeaderValue>,
}

/// Tries the candidates of `model` until one answers.
///
/// # Errors
/// The last failure when none does; [`GatewayError::RateLimited`] when all of them were at their rate limits,
/// [`GatewayError::NoBackend`] when none could be tried.
pub async fn first_answer(
    worker: &Worker,
    order: &Order<'_>,
    model: &Model,
    reserved: Reserved,
) -> Result<Reply, GatewayError> {
    let session = session(worker, order, model);
    let tokens = expected_tokens(order);
    let pick = Pick { random: rand::random(), session: session.as_ref().map(|session| session.hash), tokens };
    let mut search = Search {
        worker,
        order,
        model,
        tokens,
        places: routing::candidates(&model.route, pick).into_iter(),
        passed_over: SmallVec::new(),
        reserved,
        tried: 0,
        calls: 0,
        failures: Failures::default(),
    };
    let mut reply = search.run().await?;
    let (Reply::Answer { served, .. } | Reply::Refusal { served, .. }) = &mut reply;
    served.set_cookie = session.and_then(|session| session.set_cookie);
    Ok(reply)
}

/// The session of the request, where the alias looks for one.
fn session(worker: &Worker, order: &Order<'_>, model: &Model) -> Option<Session> {
    let affinity = model.resiliency.affinity.as_ref()?;
    affinity.session(&order.facts).unwrap_or_else(|error| {
        worker.gateway.metrics.expression_failed();
        tracing::debug!(request_id = %order.context.id, model = %model.alias, %error, "no affinity");
        None
    })
}

/// Tokens that the request may use, prompt and completion together.
fn expected_tokens(order: &Order<'_>) -> u64 {
    let default_completion = order.context.snapshot.server.default_completion_tokens.0;
    let completion = order.request.max_completion().unwrap_or(default_completion);
    Prompt::of(order.body).estimate().saturating_add(completion)
}

/// The search of one request for a target that answers.
struct Search<'a> {
    worker: &'a Worker,
    order: &'a Order<'a>,
    model: &'a Model,
    tokens: u64,
    places: <Places as IntoIterator>::IntoIter,
    /// Targets whose committed capacity had no room.
    passed_over: SmallVec<[usize; 8]>,
    /// The reservation, while no attempt holds it.
    reserved: Reserved,
    /// Targets that were tried, without hedges.
    tried: u8,
    /// Calls that were made.
    calls: u8,
    failures: Failures,
}

/// Failures so far.
#[derive(Debug, Default)]
struct Failures {
    last: Option<GatewayError>,
    /// Something other than a rate limit was among them.
    other: bool,
}

impl<'a> Search<'a> {
    async fn run(&mut self) -> Result<Reply, GatewayError> {
        let failover = &self.model.resiliency.failover;
        while self.tried < failover.max_attempts && !self.time_left().is_zero() {
            let Some((target, in_flight)) = self.next_target() else { break };
            self.tried += 1;
            let reserved = std::mem::take(&mut self.reserved);
            let attempt = self.open(target, in_flight, reserved)?;
            let reply = match &self.model.resiliency.hedging {
                Some(hedging) => self.hedged(hedging, target, attempt).await,
                None if self.model.resiliency.drains.is_some() => {
                    let (attempt, answered) = self.call(target, attempt, true).await;
                    self.judged(target, attempt, answered).await
                }
                None => {
                    let answered = self.post(target).await;
                    self.judged(target, attempt, answered).await
                }
            };
            if let Some(reply) = reply {
                return Ok(reply);
            }
        }
        Err(self.exhausted())
    }

    /// The next target that admits the request; those without room come again when all others were tried.
    fn next_target(&mut self) -> Option<(&'a Target, InFlight)> {
        let targets = &self.model.targets;
        for target in self.places.by_ref() {
            let deployment = &targets.get(target)?.deployment;
            match deployment.admit_for(self.tokens) {
                Ok(in_flight) => return Some((&targets[target], in_flight)),
                Err(_) if deployment.has_capacity() => self.passed_over.push(target),
                Err(_) => {}
            }
        }
        while !self.passed_over.is_empty() {
            let target = &targets[self.passed_over.remove(0)];
            if let Ok(in_flight) = target.deployment.admit() {
                return Some((target, in_flight));
            }
        }
        None
    }

    /// Time in which another call may begin and answer.
    fn time_left(&self) -> Duration {
        self.model.resiliency.failover.deadline.0.saturating_sub(self.order.context.received.elapsed())
    }

    /// Opens the books of the next call.
    fn open(
        &mut self,
        target: &Target,
        in_flight: InFlight,
        reserved: Reserved,
    ) -> Result<Attempt, GatewayError> {
        self.calls = self.calls.saturating_add(1);
        let Self { worker, order, .. } = self;
        let prompt = Prompt::of(order.body);
        let position = worker.gateway.ledger.next_position();
        let event = event::intent(order.subject, target, self.calls, position, prompt.estimate());
        let trace = order.context.trace.header();
        let gateway = Arc::clone(&worker.gateway);
        let mut attempt = Attempt::open(gateway, event, prompt, in_flight, reserved, Some(&trace))
            .map_err(GatewayError::Ledger)?;
        attempt.set_gateway_time(order.context.received.elapsed());
        Ok(attempt)
    }

    /// Calls a target and waits for the head of its answer.
    fn post(&self, target: &Target) -> impl Future<Output = Answered> + use<> {
        let (caller, backend) = (std::rc::Rc::clone(&self.worker.caller), Arc::clone(&target.backend));
        let body = self.order.request.body_for(self.order.body, &target.model);
        let (headers, left) = (self.order.headers.clone(), self.time_left());
        async move {
            let answer = caller.post(&backend, headers, body);
            if left >= backend.first_byte_timeout {
                return answer.await;
            }
            tokio::time::timeout(left, answer).await.unwrap_or(Err(CallError::FirstByteTimeout))
        }
    }

    /// The same with the books beside it; `drained` where it may go on without its client.
    fn call(&self, target: &Target, attempt: Attempt, drained: bool) -> Call {
        let drains = self.model.resiliency.drains.as_ref().filter(|_| drained);
        let unseen = || Unseen {
            backend: Arc::clone(&target.backend),
            request_id: self.order.context.id,
            max_answer: self.order.context.snapshot.server.max_answer.as_usize(),
        };
        let unseen = drains.map(|drains| (drains.clone(), unseen()));
        Call::new(attempt, self.post(target).boxed_local(), unseen)
    }

    /// A call that is joined by a second one to another target when it is slow.
    async fn hedged(&mut self, hedging: &Hedging, target: &'a Target, attempt: Attempt) -> Option<Reply> {
        hedging.budget.request();
        let first = self.call(target, attempt, true);
        let Some(patience) = hedging.patience(target) else {
            let (attempt, answered) = first.await;
            return self.judged(target, attempt, answered).await;
        };
        let mut other = None;
        let second = || self.second_call(hedging, &mut other);
        let raced = race(first, patience, second, |(_, answered)| decides(answered)).await;
        let (Some(second), Some(other)) = (raced.second, other) else {
            return self.won(target, raced.first).await;
        };
        // The one that lost is closed first: its reservation goes on to the other.
        let first_won = matches!(&raced.first, Lane::Ended((_, answered)) if decides(answered));
        if first_won {
            self.lost(other, second).await;
            self.won(target, raced.first).await
        } else {
            self.lost(target, raced.first).await;
            self.won(other, second).await
        }
    }

    /// A hedge to the next target that admits it, if there may be one.
    fn second_call(&mut self, hedging: &Hedging, other: &mut Option<&'a Target>) -> Option<Call> {
        if !hedging.budget.take() {
            return None;
        }
        let opened = self.next_target().and_then(|(target, in_flight)| {
            // A ledger that refuses now has taken the first call: that one goes on alone.
            let attempt = self.open(target, in_flight, Reserved::default()).ok()?;
            *other = Some(target);
            Some(self.call(target, attempt, false))
        });
        if opened.is_none() {
            hedging.budget.give_back();
        }
        opened
    }

    /// Closes the books of the call that did not win.
    async fn lost(&mut self, target: &Target, lane: Lane<Call>) {
        match lane {
            Lane::Ended((attempt, answered)) => {
                // It failed before the other one decided.
                let _ = self.judged(target, attempt, answered).await;
            }
            Lane::Pending(call) => {
                if let Some(attempt) = call.give_up() {
                    self.reserved = attempt.end_for_next(Ending::hedge_lost());
                }
            }
        }
    }

    /// Goes on with the call that won, or failed last.
    async fn won(&mut self, target: &Target, lane: Lane<Call>) -> Option<Reply> {
        let Lane::Ended((mut attempt, answered)) = lane else { return None };
        let carried = std::mem::take(&mut self.reserved);
        if !carried.is_empty() {
            attempt.take_over(carried);
        }
        self.judged(target, attempt, answered).await
    }

    /// The reply that a call ended with; none when it failed, which is noted.
    async fn judged(&mut self, target: &Target, attempt: Attempt, answered: Answered) -> Option<Reply> {
        let names = || (Arc::clone(&target.backend.name), Arc::clone(&target.model));
        let told = self.order.context.snapshot.server.backend_headers;
        let served = Served { attempts: self.calls, target: told.then(names), set_cookie: None };
        match judge(target, attempt, answered).await {
            Verdict::Answer(attempt, response) => {
                Some(Reply::Answer { attempt, response, backend: Arc::clone(&target.backend), served })
            }
            Verdict::Refusal(refusal) => Some(Reply::Refusal { refusal, served }),
            Verdict::Failure(failure, reserved) => {
                tracing::warn!(request_id = %self.order.context.id, backend = %target.backend.name,
                    code = failure.class().code, error = %chain(&failure), "attempt failed");
                self.failures.note(failure);
                if !reserved.is_empty() {
                    self.reserved = reserved;
                }
                None
            }
        }
    }

    /// What the client is told when no target is left.
    fn exhausted(&mut self) -> GatewayError {
        let Self { model, failures, .. } = self;
        let route = &model.route;
        let limited =
            if failures.last.is_some() { !failures.other } else { routing::all_rate_limited(route) };
        let retry_after = routing::earliest_recovery(route);
        let model = Arc::clone(&model.alias);
        match failures.last.take() {
            Some(failure) if !limited => failure,
            Some(failure) => {
                let retry_after = retry_after.or(failure.retry_after()).unwrap_or(SOON);
                GatewayError::RateLimited { model, retry_after, attempted: true }
            }
            None if limited => {
                let retry_after = retry_after.unwrap_or(SOON);
                GatewayError::RateLimited { model, retry_after, attempted: false }
            }
            None => GatewayError::NoBackend { model, retry_after: retry_after.unwrap_or(SOON) },
        }
    }
}

/// When to come back if nobody knows.
const SOON: Duration = Duration::from_secs(1);

impl Failures {
    /// Of several failures the last one is told, but a rate limit only when there was nothing else.
    fn note(&mut self, failure: GatewayError) {
        let busy = matches!(failure, GatewayError::BackendBusy { .. });
        if !busy || !self.other {
            self.last = Some(failure);
        }
        self.other |= !busy;
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
