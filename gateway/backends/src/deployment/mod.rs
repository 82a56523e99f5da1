//! One model at one backend, as requests see it: may I go there, and how did it end.
//!
//! Admission reads the gate and counts; it takes no lock and sends no message. A success changes counters
//! only; the actor hears of failures and probes, because only those can move the circuit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::ArbiterHandle;
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use tollgate_base::clock::{Clock, millis};

use self::backend_actor::{BackendActor, Report};
pub(crate) mod backend_actor;

pub use backend_actor::ManualAction;

use crate::capacity::Capacity;
use crate::circuit::{Cause, Circuit, CircuitRules};
use crate::deployment_id::DeploymentId;
use crate::ewma::PeakEwma;
use crate::gate::{Gate, Pass, Position, Ticket};
use crate::latencies::Latencies;
use crate::outcome::{AttemptClass, AttemptOutcome, FailureKind};
use crate::rates::RateCells;
use crate::transition::Listening;

pub use self::in_flight::InFlight;

mod in_flight;

/// `retry_after` while a probe is under way, and while an operator holds the circuit open.
const PROBE_WAIT: Duration = Duration::from_secs(1);
const HELD_WAIT: Duration = Duration::from_secs(60);
/// `retry_after` of a request that is too large for the committed capacity.
const NEVER_FITS_WAIT: Duration = Duration::from_secs(60);

/// Reports that may wait for the actor; further ones are dropped and counted.
const MAX_WAITING_REPORTS: u32 = 1_024;

/// One deployment; clones are the same one.
#[derive(Debug, Clone)]
pub struct Deployment(Arc<Cell>);

/// The deployment may not be called now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it takes no such request for another {} ms", retry_after.as_millis())]
pub struct NotAdmitted {
    /// How long to wait before it may be called again.
    pub retry_after: Duration,
}

/// What the actor publishes after each message: the part of the state that only it knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Published {
    pub(crate) cause: Option<Cause>,
    pub(crate) trips: u64,
    pub(crate) recently_succeeded: u32,
    pub(crate) recently_failed: u32,
    /// The replica that reported it; `None` if the circuit opened here first.
    pub(crate) heard_from: Option<Arc<str>>,
}

/// State of a deployment that outlives its actors.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) id: DeploymentId,
    pub(crate) gate: Gate,
    pub(crate) clock: Clock,
    /// The circuit as its actor last left it. Written by the actor, read when there is a new one.
    pub(crate) checkpoint: Mutex<Circuit>,
    pub(crate) published: ArcSwap<Published>,
    pub(crate) succeeded: AtomicU64,
    /// Set when the configuration has dropped the deployment: its actor is not replaced any more.
    pub(crate) retired: AtomicBool,
    pub(crate) probe_timeout_ms: AtomicU64,
    /// Reports sent and not yet handled.
    pub(crate) waiting_reports: AtomicU32,
    pub(crate) failed: AtomicU64,
    pub(crate) latency: PeakEwma,
    pub(crate) first_byte: PeakEwma,
    pub(crate) rates: RateCells,
    pub(crate) outcomes_dropped: AtomicU64,
    pub(crate) respawned: AtomicU64,
    /// Committed capacity, possibly shared with other models of the backend.
    pub(crate) capacity: ArcSwapOption<Capacity>,
    /// The listener that is told when the circuit moves.
    pub(crate) listening: Arc<Listening>,
    in_flight: AtomicU32,
    first_bytes: Latencies,
    actor: Mutex<Option<Addr<BackendActor>>>,
    arbiter: ArbiterHandle,
}

impl Deployment {
    pub(crate) fn new(
        id: DeploymentId,
        rules: CircuitRules,
        arbiter: &ArbiterHandle,
        clock: &Clock,
        listening: Arc<Listening>,
    ) -> Self {
        let deployment = Self(Arc::new(Cell {
            id,
            gate: Gate::default(),
            clock: clock.clone(),
            probe_timeout_ms: AtomicU64::new(millis(rules.probe_timeout)),
            checkpoint: Mutex::new(Circuit::new(rules)),
            published: ArcSwap::default(),
            succeeded: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            waiting_reports: AtomicU32::new(0),
            failed: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            latency: PeakEwma::default(),
            first_byte: PeakEwma::default(),
            first_bytes: Latencies::default(),
            rates: RateCells::default(),
            outcomes_dropped: AtomicU64::new(0),
            respawned: AtomicU64::new(0),
            capacity: ArcSwapOption::empty(),
            listening,
            actor: Mutex::new(None),
            arbiter: arbiter.clone(),
        }));
        deployment.actor();
        deployment
    }

    /// Which one.
    #[must_use]
    pub fn id(&self) -> &DeploymentId {
        &self.0.id
    }

    /// Lets a request pass or not. An admitted one must report how it ended.
    ///
    /// # Errors
    /// While the circuit is open, held, or waits for its probe.
    pub fn admit(&self) -> Result<InFlight, NotAdmitted> {
        let cell = &self.0;
        let timeout_ms = cell.probe_timeout_ms.load(Ordering::Relaxed);
        match cell.gate.admit(|| cell.clock.now_ms(), timeout_ms) {
            Ok(pass) => {
                cell.in_flight.fetch_add(1, Ordering::Relaxed);
                if matches!(pass, Pass::Probe(_)) {
                    tracing::info!(deployment = %cell.id, "circuit half-open: a request is its probe");
                }
                Ok(InFlight { deployment: self.clone(), pass, ended: false, charged: None })
            }
            Err(position) => Err(NotAdmitted { retry_after: self.wait(position).unwrap_or(PROBE_WAIT) }),
        }
    }

    /// As [`Deployment::admit`], and takes an estimate of its tokens from the committed capacity; the attempt
    /// gives back what it does not use. Without committed capacity there is no difference.
    ///
    /// # Errors
    /// As [`Deployment::admit`], and while the tokens do not fit. A request too large to ever fit is told to come back
    /// in a minute, and fails again then.
    pub fn admit_for(&self, tokens: u64) -> Result<InFlight, NotAdmitted> {
        let mut admitted = self.admit()?;
        let Some(capacity) = self.0.capacity.load_full() else { return Ok(admitted) };
        if capacity.take(self.0.clock.now_ms(), tokens) {
            admitted.charged = Some((capacity, tokens));
            return Ok(admitted);
        }
        Err(NotAdmitted { retry_after: self.fits_in(tokens).unwrap_or(NEVER_FITS_WAIT) })
    }

    /// Whether throughput is committed here. Such a deployment is worth filling first, and should be tried
    /// by [`Deployment::admit_for`] as long as there is another one for what does not fit.
    #[must_use]
    pub fn has_capacity(&self) -> bool {
        self.0.capacity.load().is_some()
    }

    /// Whether a request of about this many tokens fits the committed capacity now; true if there is no committed
    /// capacity. Reserves nothing: another request may take the tokens before this one does.
    #[must_use]
    pub fn fits(&self, tokens: u64) -> bool {
        match &*self.0.capacity.load() {
            Some(capacity) => capacity.fits(self.0.clock.now_ms(), tokens),
            None => true,
        }
    }

    /// How long until a request of about this many tokens fits: zero if it fits now, `None` if it never will.
    #[must_use]
    pub fn fits_in(&self, tokens: u64) -> Option<Duration> {
        match &*self.0.capacity.load() {
            Some(capacity) => capacity.fits_in(self.0.clock.now_ms(), tokens),
            None => Some(Duration::ZERO),
        }
    }

    /// Takes tokens from the committed capacity if they fit; true if there is no committed capacity.
    #[cfg(test)]
    pub fn take(&self, tokens: u64) -> bool {
        match &*self.0.capacity.load() {
            Some(capacity) => capacity.take(self.0.clock.now_ms(), tokens),
            None => true,
        }
    }

    /// Tells the circuit the result of the gateway's own health probe. While the circuit is closed only a failed probe
    /// counts, like any failure; once an open circuit may be probed, the result decides whether it closes.
    pub fn probed(&self, healthy: bool) {
        let cell = &*self.0;
        let timeout_ms = cell.probe_timeout_ms.load(Ordering::Relaxed);
        let ticket = match cell.gate.admit(|| cell.clock.now_ms(), timeout_ms) {
            Ok(Pass::Probe(ticket)) => Some(ticket),
            Ok(Pass::Normal) if !healthy => None,
            Ok(Pass::Normal) | Err(_) => return,
        };
        let failure = (!healthy).then_some(FailureKind::Probe);
        self.tell(Report { failure, retry_after: None, ticket });
    }

    /// Whether a request would be admitted now. The clock is read only when the circuit is not closed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.gate.is_passable(|| self.0.clock.now_ms())
    }

    /// How long until a request may be admitted; `None` if one would be admitted now.
    #[must_use]
    pub fn recovers_in(&self) -> Option<Duration> {
        if self.is_ready() { None } else { self.wait(self.0.gate.position()) }
    }

    /// Attempts under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// Moving average to the first byte, else of the whole attempt; `None` before the first success.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.0.first_byte.get().or_else(|| self.0.latency.get())
    }

    /// How slow answers begin here, for comparing deployments: the peak-sensitive average of the time to the
    /// first byte, µs. A slow answer counts at once and fades with a time constant of ten seconds, also when
    /// no further answer comes; so a deployment that gets no requests becomes worth a try again. 0 before the first
    /// answer. Multiply by `in_flight() + 1` for the expected wait. Reads two atomics. `now_ms` is what
    /// [`Deployment::now_ms`] of any deployment says.
    #[must_use]
    pub fn latency_score(&self, now_ms: u64) -> u64 {
        self.0.first_byte.faded_us(now_ms)
    }

    /// Milliseconds on the clock that all deployments share.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// 95th percentile of the time to the first byte over the last minute, at most a quarter too high; `None` if
    /// fewer than 20 answers came. Reads about 200 atomics: call it once per request at most.
    #[must_use]
    pub fn first_byte_p95(&self) -> Option<Duration> {
        self.0.first_bytes.percentile(self.0.clock.now_ms(), 95)
    }

    /// The living actor; a new one if there is none, unless the deployment is retired.
    pub(crate) fn actor(&self) -> Addr<BackendActor> {
        let mut slot = self.0.actor.lock();
        if let Some(actor) = slot.as_ref() {
            if actor.connected() || self.0.retired.load(Ordering::Relaxed) {
                return actor.clone();
            }
            self.0.respawned.fetch_add(1, Ordering::Relaxed);
            self.0.waiting_reports.store(0, Ordering::Relaxed);
            tracing::error!(deployment = %self.0.id, "the backend's actor died and is replaced");
        }
        let cell = Arc::clone(&self.0);
        let actor = BackendActor::start_in_arbiter(&self.0.arbiter, move |_| BackendActor::new(cell));
        slot.insert(actor).clone()
    }

    pub(crate) fn cell(&self) -> &Cell {
        &self.0
    }

    pub(crate) fn wait(&self, position: Position) -> Option<Duration> {
        let left = |at_ms: u64| Duration::from_millis(at_ms.saturating_sub(self.0.clock.now_ms()));
        match position {
            Position::Closed => None,
            Position::Open { until_ms } => Some(left(until_ms)),
            Position::Probing { expires_ms } => Some(left(expires_ms).min(PROBE_WAIT)),
            Position::Held => Some(HELD_WAIT),
        }
    }

    /// Sends without waiting. A mailbox does not keep its bound against senders that are made anew, so the
    /// reports under way are counted here.
    fn tell(&self, report: Report) {
        let cell = &*self.0;
        if cell.waiting_reports.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING_REPORTS {
            cell.waiting_reports.fetch_sub(1, Ordering::Relaxed);
            // If a probe's outcome is lost, the circuit waits for the probe to expire; any other lost outcome is one
            // count less.
            cell.outcomes_dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.actor().do_send(report);
    }

    fn ended(&self, pass: Pass, outcome: &AttemptOutcome) {
        let cell = &*self.0;
        let ticket = match pass {
            Pass::Normal => None,
            Pass::Probe(ticket) => Some(ticket),
        };
        match outcome.class {
            AttemptClass::Success => {
                cell.succeeded.fetch_add(1, Ordering::Relaxed);
                self.time(outcome);
                if let Some(ticket) = ticket {
                    self.tell(Report { failure: None, retry_after: None, ticket: Some(ticket) });
                }
            }
            AttemptClass::Failure(kind) => self.failed(kind, outcome, ticket),
            AttemptClass::Neutral => {
                if let Some(ticket) = ticket {
                    cell.gate.abandon(ticket, cell.clock.now_ms());
                }
            }
        }
    }

    fn failed(&self, kind: FailureKind, outcome: &AttemptOutcome, ticket: Option<Ticket>) {
        let cell = &*self.0;
        cell.failed.fetch_add(1, Ordering::Relaxed);
        if kind == FailureKind::Status(429)
            && let Some(capacity) = &*cell.capacity.load()
        {
            // A 429 within committed capacity means that it is used up, not that the backend fails.
            let now_ms = cell.clock.now_ms();
            capacity.refused(now_ms, outcome.retry_after);
            if let Some(ticket) = ticket {
                cell.gate.abandon(ticket, now_ms);
            }
            return;
        }
        if kind == FailureKind::Timeout {
            self.time(outcome);
        }
        self.tell(Report { failure: Some(kind), retry_after: outcome.retry_after, ticket });
    }

    fn time(&self, outcome: &AttemptOutcome) {
        let now_ms = self.0.clock.now_ms();
        self.0.latency.record(now_ms, outcome.latency);
        // A call that timed out before its first byte was at least that slow.
        let first_byte = outcome.first_byte.unwrap_or(outcome.latency);
        self.0.first_byte.record(now_ms, first_byte);
        self.0.first_bytes.record(now_ms, first_byte);
    }
}
