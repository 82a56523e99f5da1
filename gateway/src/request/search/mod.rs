//! From an alias to the first backend that answers: candidates in their order, one attempt each, until there is
//! something of an answer for the client (`first_byte`).
//!
//! The number of attempts and the time for them are bounded (`failover` of the alias). A target that has
//! failed is not tried again later, and one whose circuit opens meanwhile is passed over: health is looked at right
//! before each attempt. Targets whose committed capacity the request does not fit are passed over too and come
//! again at the end. Where the alias asks for it, a slow call is joined by a second one (`hedge`), and a target that
//! could not serve the request is called again after a pause (`retries`).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tollgate_admission::Admission;
use tollgate_backends::InFlight;
use tollgate_backends::call::{CallError, CallResult};
use tollgate_backends::routing::affinity::Session;
use tollgate_backends::routing::balance::CandidateOrder;
use tollgate_backends::routing::{self, Pick};
use tollgate_backends::sent::Sent;
use tollgate_base::errors::chain;
use tollgate_crossing::prompt::expect_counts;
use tollgate_formats::redact::without_secrets;
use tollgate_limits::Balance;
use tollgate_runtime::resiliency::Hedging;
use tollgate_runtime::snapshot::{Model, Target};

use self::candidate::{Callee, Candidate};
use self::failures::Failures;
use self::verdict::{CallVerdict, judge};
use super::answer::Served;
use super::failure::{NoAnswer, Refusal, Unanswered};
use super::first_byte::{self, AnswerStart};
use super::model_request::ModelRequest;
use super::open_answer::OpenAnswer;
use super::several::CallSite;
use super::{idempotency, stored_answers};
use crate::books::attempt::Attempt;
use crate::books::event;
use crate::books::measure::Basis;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::headers;
use tollgate_limits::Reservation;

mod candidate;
mod failures;
mod hedging;
mod open_call;
mod race;
mod retries;
mod room;
mod verdict;

/// Longest text of a provider in the log, bytes.
const MAX_LOGGED: usize = 500;

/// What a search for an answer ends with: a backend answered.
pub enum Reply<'a> {
    /// It does what was asked.
    Answer {
        /// The answer, or its beginning.
        start: AnswerStart<'a>,
        /// The limit with the least left, for the client's headers.
        limit: Option<Balance>,
        /// For the client's headers.
        served: Served,
    },
    /// It refuses the request itself.
    Refusal {
        refusal: Refusal,
        /// For the client's headers.
        served: Served,
    },
}

/// Tries the candidates of `model` until there is something of an answer for the client.
///
/// # Errors
/// The most telling failure when none does; [`GatewayError::RateLimited`] when none could be tried because all of them are
/// at their rate limits, [`GatewayError::NoBackend`] when none could be tried for another reason.
pub async fn first_answer<'a>(
    worker: &'a Worker,
    request: &'a ModelRequest<'a>,
    reserved: Reservation,
) -> Result<Reply<'a>, GatewayError> {
    let model = request.model;
    let session = session(worker, request);
    let tokens = request.expected_tokens;
    let pick = Pick { random: rand::random(), session: session.as_ref().map(|session| session.hash), tokens };
    let mut search = Search {
        worker,
        request,
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
fn session(worker: &Worker, request: &ModelRequest<'_>) -> Option<Session> {
    let affinity = request.model.resiliency.affinity.as_ref()?;
    affinity.session(&request.facts).unwrap_or_else(|error| {
        worker.gateway.metrics.expression_failed();
        tracing::debug!(request_id = %request.context.id, model = %request.model.alias, %error, "no affinity");
        None
    })
}

/// The search of one request for a target that answers.
struct Search<'a> {
    worker: &'a Worker,
    request: &'a ModelRequest<'a>,
    model: &'a Model,
    tokens: u64,
    places: <CandidateOrder as IntoIterator>::IntoIter,
    /// Targets whose committed capacity had no room.
    passed_over: SmallVec<[usize; 8]>,
    /// Targets whose backends run as many requests as they may.
    crowded: SmallVec<[usize; 8]>,
    /// The reservation, while no attempt holds it.
    reserved: Reservation,
    /// Targets that were tried, without hedges.
    tried: u8,
    /// Calls that were made.
    calls: u8,
    failures: Failures<'a>,
}

impl<'a> Search<'a> {
    async fn run(&mut self) -> Result<Reply<'a>, GatewayError> {
        while self.may_go_on() {
            let candidate = match self.next_candidate() {
                Some(candidate) => candidate,
                None => match Box::pin(self.wait_for_room()).await {
                    Some(candidate) => candidate,
                    None => break,
                },
            };
            if let Some(reply) = self.attempt(candidate, self.model.resiliency.hedging.as_ref()).await? {
                return Ok(reply);
            }
            if self.failures.repeatable.is_some()
                && let Some(reply) = Box::pin(self.retried()).await?
            {
                return Ok(reply);
            }
        }
        Err(self.exhausted())
    }

    /// Whether another call may be made.
    fn may_go_on(&self) -> bool {
        self.tried < self.model.resiliency.failover.max_attempts
            && !self.time_left().is_zero()
            && !self.failures.are_final
    }

    /// One call, and a second one to another target where it is hedged.
    async fn attempt(
        &mut self,
        candidate: Candidate<'a>,
        hedging: Option<&Hedging>,
    ) -> Result<Option<Reply<'a>>, GatewayError> {
        self.tried += 1;
        let reserved = std::mem::take(&mut self.reserved);
        let (target, attempt) = self.open(candidate, reserved)?;
        let works_on = self.request.view.background;
        // Two calls would begin the work twice, and only one of them would be found again.
        Ok(match hedging.filter(|_| !works_on) {
            Some(hedging) => Box::pin(self.hedged(hedging, target, attempt)).await,
            None if works_on || self.model.resiliency.drains.is_some() => {
                Box::pin(self.drained(target, attempt)).await
            }
            None => {
                let answered = self.post(&target, attempt.sent()).await;
                self.judged(target, attempt, answered).await
            }
        })
    }

    /// The next target that admits the request and can carry it; those without room come again when all others
    /// were tried.
    fn next_candidate(&mut self) -> Option<Candidate<'a>> {
        let (targets, tokens) = (&self.model.targets, self.tokens);
        while let Some(place) = self.places.next() {
            let target = targets.get(place)?;
            if self.request.continues.is_some_and(|at| !stored_answers::is_at(at, target)) {
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
            if let Ok(mut in_flight) = target.deployment.admit()
                && let Some(candidate) = {
                    // As the last resort it goes over what is committed, which counts all the same.
                    in_flight.charge(tokens);
                    self.prepared(place, target, in_flight)
                }
            {
                return Some(candidate);
            }
        }
        None
    }

    /// A target with the request in its format; `None` when its format cannot carry it or its backend is full.
    fn prepared(&mut self, place: usize, target: &'a Target, in_flight: InFlight) -> Option<Candidate<'a>> {
        let permit = match target.backend.admission.as_ref().map(Admission::try_enter) {
            None => None,
            Some(Some(permit)) => Some(permit),
            Some(None) => {
                self.crowded.push(place);
                return None;
            }
        };
        match Candidate::prepare(self.request, target, in_flight, permit) {
            Ok(candidate) => Some(candidate),
            Err(error) => {
                self.failures.uncalled = Some(error);
                None
            }
        }
    }

    /// Time in which another call may begin and answer.
    fn time_left(&self) -> Duration {
        self.model.resiliency.failover.deadline.0.saturating_sub(self.request.context.received.elapsed())
    }

    /// Opens the books of the next call.
    fn open(
        &mut self,
        candidate: Candidate<'a>,
        reserved: Reservation,
    ) -> Result<(Callee<'a>, Attempt), GatewayError> {
        self.calls = self.calls.saturating_add(1);
        self.request.context.attempts.set(self.calls);
        let Self { worker, request, .. } = self;
        let Candidate { callee, in_flight, permit } = candidate;
        let format = request.context.format;
        if !format.is_media() {
            expect_counts(callee.target.encoding);
        }
        let basis = Basis::of(format, request.body);
        let Target { backend, model, variant, .. } = callee.target;
        let called = event::Callee { backend, model, variant: variant.as_ref() };
        let event = event::intent(request.events, called, self.calls, basis.at_least());
        let trace = request.context.trace.header();
        let gateway = Arc::clone(&worker.gateway);
        let mut attempt = Attempt::open(gateway, event, basis, in_flight, reserved, Some(&trace))
            .map_err(GatewayError::Ledger)?;
        attempt.keep(permit);
        attempt.set_gateway_time(request.context.received.elapsed());
        Ok((callee, attempt))
    }

    /// Calls a target and waits for the head of its answer.
    fn post(&self, callee: &Callee<'_>, sent: &Sent) -> impl Future<Output = CallResult> + use<> {
        let (caller, backend) = (Rc::clone(&self.worker.caller), Arc::clone(&callee.target.backend));
        let (uri, body) = (callee.uri.clone(), callee.body.clone());
        let left = self.time_left();
        let mut headers = self.request.headers(&backend, callee.crossing.is_native());
        let (several, sent) = (callee.several.clone(), sent.clone());
        // Several calls with one key would be told what the first of them was.
        if several.is_none() {
            let keys = &self.worker.gateway.idempotency_keys;
            let (client, owner) = (self.request.facts.headers, &self.request.events.payer.subscription);
            idempotency::insert(keys, &mut headers, client, owner, &backend.name, &callee.target.model);
        }
        let max_answer = self.request.max_answer();
        let memory = || self.worker.gateway.memory.hold(&self.request.events.payer.subscription);
        let several = several.map(|several| (several, memory()));
        async move {
            if let Some((several, held)) = several {
                let (caller, backend, uri, headers) = (&*caller, &*backend, &uri, &headers);
                let site = CallSite { caller, backend, uri, headers, sent: &sent, max_answer };
                let bound = left.min(backend.total_timeout);
                let before = Box::pin(several.call_before(&site, held));
                let called = tokio::time::timeout(bound, before).await;
                if let Some(refusal) = called.unwrap_or(Err(CallError::FirstByteTimeout))? {
                    return Ok(refusal);
                }
            }
            let answer = caller.post(&backend, &uri, headers, body, &sent);
            if left >= backend.first_byte_timeout {
                return answer.await;
            }
            let answer = tokio::time::timeout(left, Box::pin(answer));
            answer.await.unwrap_or(Err(CallError::FirstByteTimeout))
        }
    }

    /// The reply that a call ended with; `None` when it failed, which is noted.
    async fn judged(
        &mut self,
        callee: Callee<'a>,
        attempt: Attempt,
        answered: CallResult,
    ) -> Option<Reply<'a>> {
        let Callee { target, crossing, dropped, way_back, several, .. } = callee;
        let names = || (Arc::clone(&target.backend.name), Arc::clone(&target.model));
        let server = &self.request.context.snapshot.server;
        let told = server.backend_headers;
        let rates = match &answered {
            Ok(response) if server.upstream_rate_headers => headers::upstream_rates(response.headers()),
            _ => Vec::new(),
        };
        let served = Served {
            attempts: self.calls,
            target: told.then(names),
            set_cookie: None,
            variant: target.variant.clone(),
            dropped,
            rates,
        };
        let spent = several.as_ref().and_then(|several| several.usage());
        match judge(target, crossing, self.request.context.id, attempt, answered, spent).await {
            CallVerdict::Answer(attempt, response) => {
                let (limit, attempt) = (attempt.tightest_limit(), *attempt);
                let open = OpenAnswer { attempt, response, crossing, target, way_back, several };
                match first_byte::begin(self.worker, self.request, open).await {
                    Ok(start) => Some(Reply::Answer { start, limit, served }),
                    Err(nothing) => self.unanswered(target, nothing, served),
                }
            }
            CallVerdict::Nothing(nothing) => self.unanswered(target, nothing, served),
        }
    }

    /// A refusal of the request is a reply; a failure is noted, and there is none.
    fn unanswered(&mut self, target: &'a Target, nothing: NoAnswer, served: Served) -> Option<Reply<'a>> {
        let Unanswered { failure, said, reserved } = match nothing {
            NoAnswer::Refusal(refusal) => return Some(Reply::Refusal { refusal, served }),
            NoAnswer::Failure(unanswered) => *unanswered,
        };
        let (request_id, backend) = (self.request.context.id, &target.backend.name);
        match said {
            Some(said) => {
                let message = without_secrets(&said.error.message, MAX_LOGGED);
                let code = said.error.code.as_deref().map(|code| without_secrets(code, MAX_LOGGED));
                tracing::warn!(%request_id, %backend, model = %target.model, status = said.status, code,
                    meaning = ?said.meaning, message, "attempt failed");
            }
            None => tracing::warn!(%request_id, %backend, code = failure.class().code,
                error = %chain(&failure), "attempt failed"),
        }
        self.failures.note(failure, target);
        if !reserved.is_empty() {
            self.reserved = reserved;
        }
        None
    }
}
