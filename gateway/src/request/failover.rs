//! From an alias to the first backend that answers: candidates in their order, one attempt each, until there is
//! something of an answer for the client (`first_byte`).
//!
//! The number of attempts and the time for them are bounded (`failover` of the alias). A target that has
//! failed is not tried again, and one whose circuit opens meanwhile is passed over: health is looked at right
//! before each attempt. Targets whose committed capacity the request does not fit are passed over too and come
//! again at the end. Where the alias asks for it, a slow call is joined by a second one (`hedge`).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tollgate_admission::Admission;
use tollgate_backends::InFlight;
use tollgate_backends::call::CallError;
use tollgate_backends::routing::affinity::Session;
use tollgate_backends::routing::balance::Order as Places;
use tollgate_backends::routing::{self, Pick};
use tollgate_crossing::ClientFormat;
use tollgate_crossing::prompt::expect_counts;
use tollgate_runtime::snapshot::{Model, Target};

use self::failures::{Failures, chain};
use super::attempt::Attempt;
use super::call::Answered;
use super::candidate::{Callee, Candidate};
use super::measure::Prompt;
use super::order::Order;
use super::reply::{Answering, Reply, Served};
use super::verdict::{Unanswered, Verdict, judge};
use super::{event, first_byte, several, stored};
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::policies::token_limit::Reserved;

mod failures;
mod hedging;

/// Tries the candidates of `model` until there is something of an answer for the client.
///
/// # Errors
/// The last failure when none does; [`GatewayError::RateLimited`] when all of them were at their rate limits,
/// [`GatewayError::NoBackend`] when none could be tried.
pub(super) async fn first_answer<'a>(
    worker: &'a Worker,
    order: &'a Order<'a>,
    model: &'a Model,
    reserved: Reserved,
) -> Result<Reply<'a>, GatewayError> {
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
        crowded: SmallVec::new(),
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
    let completion = order.view.max_output_tokens.unwrap_or(default_completion);
    Prompt::of(order.context.format, order.body).estimate().saturating_add(completion)
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
    /// Targets whose backends run as many requests as they may.
    crowded: SmallVec<[usize; 8]>,
    /// The reservation, while no attempt holds it.
    reserved: Reserved,
    /// Targets that were tried, without hedges.
    tried: u8,
    /// Calls that were made.
    calls: u8,
    failures: Failures,
}

impl<'a> Search<'a> {
    async fn run(&mut self) -> Result<Reply<'a>, GatewayError> {
        let failover = &self.model.resiliency.failover;
        while self.tried < failover.max_attempts && !self.time_left().is_zero() && !self.failures.are_final()
        {
            let candidate = match self.next_candidate() {
                Some(candidate) => candidate,
                None => match Box::pin(self.wait_for_room()).await {
                    Some(candidate) => candidate,
                    None => break,
                },
            };
            self.tried += 1;
            let reserved = std::mem::take(&mut self.reserved);
            let (target, attempt) = self.open(candidate, reserved)?;
            let reply = match &self.model.resiliency.hedging {
                Some(hedging) => Box::pin(self.hedged(hedging, target, attempt)).await,
                None if self.model.resiliency.drains.is_some() => {
                    Box::pin(self.drained(target, attempt)).await
                }
                None => {
                    let answered = self.post(&target).await;
                    self.judged(target, attempt, answered).await
                }
            };
            if let Some(reply) = reply {
                return Ok(reply);
            }
        }
        Err(self.exhausted())
    }

    /// The next target that admits the request and can carry it; those without room come again when all others
    /// were tried.
    fn next_candidate(&mut self) -> Option<Candidate<'a>> {
        let (targets, tokens) = (&self.model.targets, self.tokens);
        while let Some(place) = self.places.next() {
            let target = targets.get(place)?;
            if self.order.continues.is_some_and(|at| !stored::is_at(at, target)) {
                continue;
            }
            match target.deployment.admit_for(tokens) {
                Ok(in_flight) => {
                    if let Some(candidate) = self.prepared(place, target, in_flight) {
                        return Some(candidate);
                    }
                }
                Err(_) if target.deployment.has_capacity() => self.passed_over.push(place),
                Err(_) => {}
            }
        }
        while !self.passed_over.is_empty() {
            let place = self.passed_over.remove(0);
            let target = &targets[place];
            if let Ok(in_flight) = target.deployment.admit()
                && let Some(candidate) = self.prepared(place, target, in_flight)
            {
                return Some(candidate);
            }
        }
        None
    }

    /// A target with the request in its format; none when its format cannot carry it or its backend is full.
    fn prepared(&mut self, place: usize, target: &'a Target, in_flight: InFlight) -> Option<Candidate<'a>> {
        let permit = match target.backend.admission.as_ref().map(Admission::try_enter) {
            None => None,
            Some(Some(permit)) => Some(permit),
            Some(None) => {
                self.crowded.push(place);
                return None;
            }
        };
        match Candidate::prepare(self.order, self.model, target, in_flight, permit) {
            Ok(candidate) => Some(candidate),
            Err(error) => {
                self.failures.uncalled = Some(error);
                None
            }
        }
    }

    /// Waits a short time for a place at the first backend that was full.
    async fn wait_for_room(&mut self) -> Option<Candidate<'a>> {
        let (model, order) = (self.model, self.order);
        while !self.crowded.is_empty() {
            let target = model.targets.get(self.crowded.remove(0))?;
            let admission = target.backend.admission.as_ref()?;
            let Ok(permit) = admission.enter(order.place).await else {
                self.failures.uncalled = Some(GatewayError::Overloaded { retry_after: SOON });
                continue;
            };
            let Ok(in_flight) = target.deployment.admit() else { continue };
            match Candidate::prepare(order, model, target, in_flight, Some(permit)) {
                Ok(candidate) => return Some(candidate),
                Err(error) => self.failures.uncalled = Some(error),
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
        candidate: Candidate<'a>,
        reserved: Reserved,
    ) -> Result<(Callee<'a>, Attempt), GatewayError> {
        self.calls = self.calls.saturating_add(1);
        self.order.context.attempts.set(self.calls);
        let Self { worker, order, .. } = self;
        let Candidate { callee, in_flight, permit } = candidate;
        if !matches!(order.context.format, ClientFormat::Media(_)) {
            expect_counts(callee.target.encoding);
        }
        let prompt = Prompt::of(order.context.format, order.body);
        let event = event::intent(order.subject, callee.target, self.calls, prompt.estimate());
        let trace = order.context.trace.header();
        let gateway = Arc::clone(&worker.gateway);
        let mut attempt = Attempt::open(gateway, event, prompt, in_flight, reserved, Some(&trace))
            .map_err(GatewayError::Ledger)?;
        attempt.keep(permit);
        attempt.set_gateway_time(order.context.received.elapsed());
        Ok((callee, attempt))
    }

    /// Calls a target and waits for the head of its answer.
    fn post(&self, callee: &Callee<'_>) -> impl Future<Output = Answered> + use<> {
        let (caller, backend) = (Rc::clone(&self.worker.caller), Arc::clone(&callee.target.backend));
        let (uri, body) = (callee.uri.clone(), callee.body.clone());
        let (headers, left) = (self.order.headers.clone(), self.time_left());
        let several = callee.several.clone();
        let max_answer = self.order.context.snapshot.server.max_answer.as_usize();
        async move {
            if let Some(several) = several {
                let (caller, backend, uri, headers) = (&*caller, &*backend, &uri, &headers);
                let place = several::Place { caller, backend, uri, headers, max_answer };
                let bound = left.min(backend.total_timeout);
                let before = Box::pin(several.call_before(&place));
                let called = tokio::time::timeout(bound, before).await;
                if let Some(refusal) = called.unwrap_or(Err(CallError::FirstByteTimeout))? {
                    return Ok(refusal);
                }
            }
            let answer = caller.post(&backend, &uri, headers, body);
            if left >= backend.first_byte_timeout {
                return answer.await;
            }
            let answer = tokio::time::timeout(left, Box::pin(answer));
            answer.await.unwrap_or(Err(CallError::FirstByteTimeout))
        }
    }

    /// The reply that a call ended with; none when it failed, which is noted.
    async fn judged(
        &mut self,
        callee: Callee<'a>,
        attempt: Attempt,
        answered: Answered,
    ) -> Option<Reply<'a>> {
        let Callee { target, crossing, dropped, legacy_functions, several, .. } = callee;
        let names = || (Arc::clone(&target.backend.name), Arc::clone(&target.model));
        let told = self.order.context.snapshot.server.backend_headers;
        let served = Served {
            attempts: self.calls,
            target: told.then(names),
            set_cookie: None,
            variant: target.variant.clone(),
            dropped,
        };
        let spent = several.as_ref().and_then(|several| several.usage());
        match judge(target, crossing, self.order.context.id, attempt, answered, spent).await {
            Verdict::Answer(attempt, response) => {
                let (limit, attempt) = (attempt.tightest_limit(), *attempt);
                let answering = Answering { attempt, response, crossing, target, legacy_functions, several };
                match first_byte::begin(self.worker, self.order, self.model, answering).await {
                    Ok(begun) => Some(Reply::Answer { begun, limit, served }),
                    Err(unanswered) => self.unanswered(target, *unanswered),
                }
            }
            Verdict::Refusal(refusal) => Some(Reply::Refusal { refusal, served }),
            Verdict::Failure(unanswered) => self.unanswered(target, *unanswered),
        }
    }

    /// Notes a failure; there is no reply.
    fn unanswered(&mut self, target: &Target, unanswered: Unanswered) -> Option<Reply<'a>> {
        let Unanswered { failure, reserved } = unanswered;
        tracing::warn!(request_id = %self.order.context.id, backend = %target.backend.name,
            code = failure.class().code, error = %chain(&failure), "attempt failed");
        self.failures.note(failure);
        if !reserved.is_empty() {
            self.reserved = reserved;
        }
        None
    }

    /// What the client is told when no target is left.
    fn exhausted(&mut self) -> GatewayError {
        let Self { model, failures, .. } = self;
        let route = &model.route;
        let limited = if failures.last.is_some() {
            !failures.other
        } else {
            failures.uncalled.is_none() && routing::all_rate_limited(route)
        };
        let retry_after = routing::earliest_recovery(route);
        let model = Arc::clone(&model.alias);
        match failures.last.take().or_else(|| failures.uncalled.take()) {
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
