//! Owns the circuit of one deployment: one mailbox, one writer. The rules are in `circuit`.
//!
//! Failures and probes are reported to it; the count of successes it reads by itself. After each message it
//! writes a checkpoint, from which a new actor goes on should this one die.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use tollgate_base::clock::millis;

use super::{Cell, Published};
use crate::circuit::{Cause, Circuit, CircuitRules, Failure, GateChange};
use crate::gate::{Position, Ticket};
use crate::outcome::FailureKind;
use crate::transition::{Change, Remote, RemoteChange, Transition};

/// How often successes are looked at: often enough that they fall into the right step of the window.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Other replicas are told again when the circuit stays open for this much longer than they know, ms.
const TELL_AGAIN_MS: u64 = 1_000;

/// How one attempt ended: any failure, and every probe.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Report {
    pub(crate) failure: Option<FailureKind>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) ticket: Option<Ticket>,
}

/// What an operator may do to a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum ManualAction {
    /// Let nobody pass until it is closed again.
    Open,
    /// Let everybody pass and forget past failures; the rules apply again from here.
    Close,
}

/// A change of the same circuit at another replica.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Heard(pub(crate) Remote);

/// The configuration has changed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetRules(pub(crate) CircuitRules);

/// The configuration has dropped the deployment.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Retire;

/// The owner of one circuit.
pub(crate) struct BackendActor {
    cell: Arc<Cell>,
    circuit: Circuit,
    /// Successes that have been reported to the circuit.
    seen_successes: u64,
    /// Until when the other replicas think it open, clock ms.
    told_until_ms: u64,
    /// The replica that opened it, if it opened because of one.
    heard_from: Option<Arc<str>>,
}

impl BackendActor {
    /// Goes on from where the last actor of the cell left the circuit.
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        let circuit = cell.checkpoint.lock().clone();
        let seen_successes = cell.succeeded.load(Ordering::Relaxed);
        let heard_from = cell.published.load().heard_from.clone();
        Self { cell, circuit, seen_successes, told_until_ms: 0, heard_from }
    }

    /// Tells the circuit of the successes since the last look.
    fn count_successes(&mut self, now_ms: u64) {
        let succeeded = self.cell.succeeded.load(Ordering::Relaxed);
        let new = succeeded.saturating_sub(self.seen_successes);
        self.seen_successes = succeeded;
        self.circuit.succeeded(now_ms, u32::try_from(new).unwrap_or(u32::MAX));
    }

    fn judge(&mut self, now_ms: u64, report: &Report) -> GateChange {
        let current = report.ticket.is_some_and(|ticket| self.cell.gate.is_current(ticket));
        if report.ticket.is_some() && !current {
            return GateChange::Stay; // a probe that was given up says nothing about now
        }
        match report.failure.map(|kind| Failure { kind, retry_after: report.retry_after }) {
            None if current => self.circuit.close(),
            None => GateChange::Stay,
            Some(failure) if current => self.circuit.probe_failed(now_ms, failure),
            Some(failure) => self.circuit.failed(now_ms, failure),
        }
    }

    /// Moves the gate. The checkpoint is written first: after a crash, a new actor must not take an open circuit for
    /// closed.
    fn enact(&mut self, verdict: GateChange, now_ms: u64) {
        if matches!(verdict, GateChange::Open { .. } | GateChange::Close) {
            self.heard_from = None;
        }
        self.publish(now_ms);
        match verdict {
            GateChange::Stay => {}
            GateChange::Open { until_ms, cause } => {
                let open_ms = until_ms.saturating_sub(now_ms);
                tracing::warn!(deployment = %self.cell.id, %cause, open_ms, "circuit opened");
                self.cell.gate.set(Position::Open { until_ms });
                self.tell_opened(until_ms, now_ms, cause);
            }
            GateChange::Extend { until_ms } => {
                if self.cell.gate.extend(until_ms)
                    && until_ms > self.told_until_ms.saturating_add(TELL_AGAIN_MS)
                    && let Some(cause) = self.circuit.cause()
                {
                    self.tell_opened(until_ms, now_ms, cause);
                }
            }
            GateChange::Close => {
                tracing::info!(deployment = %self.cell.id, "circuit closed");
                self.cell.gate.set(Position::Closed);
            }
        }
    }

    fn tell_opened(&mut self, until_ms: u64, now_ms: u64, cause: Cause) {
        self.told_until_ms = until_ms;
        let left = Duration::from_millis(until_ms.saturating_sub(now_ms));
        self.tell(Change::Opened { left, cause });
    }

    /// Tells the other replicas.
    fn tell(&self, change: Change) {
        self.cell.listening.tell(|| Transition { id: self.cell.id.clone(), change });
    }

    fn hold(&mut self, now_ms: u64) {
        self.circuit.hold();
        self.publish(now_ms);
        self.cell.gate.set(Position::Held);
    }

    /// Applies the change of another replica. It is never rebroadcast.
    fn heed(&mut self, Remote { replica, change }: Remote) {
        let now_ms = self.cell.clock.now_ms();
        self.count_successes(now_ms);
        let held = self.cell.gate.position() == Position::Held;
        let verdict = match change {
            RemoteChange::Held if held => GateChange::Stay,
            RemoteChange::Held => {
                self.heard_from = Some(Arc::clone(&replica));
                self.hold(now_ms);
                tracing::warn!(deployment = %self.cell.id, %replica, "circuit opened by an operator elsewhere");
                GateChange::Stay
            }
            RemoteChange::Opened { left } => self.circuit.opened_elsewhere(now_ms, left),
            RemoteChange::Closed { by_operator } => self.circuit.closed_elsewhere(by_operator),
        };
        match verdict {
            GateChange::Stay => {}
            GateChange::Open { until_ms, .. } => {
                self.heard_from = Some(Arc::clone(&replica));
                let open_ms = until_ms.saturating_sub(now_ms);
                self.publish(now_ms);
                self.cell.gate.set(Position::Open { until_ms });
                tracing::warn!(deployment = %self.cell.id, %replica, open_ms, "circuit opened as elsewhere");
            }
            GateChange::Extend { until_ms } => {
                self.cell.gate.extend(until_ms);
            }
            GateChange::Close => {
                self.heard_from = None;
                self.publish(now_ms);
                self.cell.gate.set(Position::Closed);
                tracing::info!(deployment = %self.cell.id, %replica, "circuit closed as elsewhere");
            }
        }
    }

    fn publish(&self, now_ms: u64) {
        *self.cell.checkpoint.lock() = self.circuit.clone();
        let tally = self.circuit.tally(now_ms);
        self.cell.published.store(Arc::new(Published {
            cause: self.circuit.cause(),
            trips: self.circuit.trips(),
            recently_succeeded: tally.succeeded,
            recently_failed: tally.failed,
            heard_from: self.heard_from.clone(),
        }));
    }

    fn look(&mut self) {
        let now_ms = self.cell.clock.now_ms();
        self.count_successes(now_ms);
        self.publish(now_ms);
    }
}

impl Actor for BackendActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look();
        ctx.run_interval(LOOK_EVERY, |actor, _| actor.look());
    }
}

impl Handler<Report> for BackendActor {
    type Result = ();

    fn handle(&mut self, report: Report, _: &mut Self::Context) {
        // Saturating: a report may outlive the actor that it was counted for.
        let one_less = |waiting: u32| waiting.checked_sub(1);
        let _ = self.cell.waiting_reports.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        let now_ms = self.cell.clock.now_ms();
        self.count_successes(now_ms);
        let verdict = self.judge(now_ms, &report);
        self.enact(verdict, now_ms);
        if verdict == GateChange::Close {
            self.tell(Change::Closed { by_operator: false });
        }
    }
}

impl Handler<ManualAction> for BackendActor {
    type Result = ();

    fn handle(&mut self, action: ManualAction, _: &mut Self::Context) {
        let now_ms = self.cell.clock.now_ms();
        match action {
            ManualAction::Open => {
                self.heard_from = None;
                self.hold(now_ms);
                tracing::warn!(deployment = %self.cell.id, "circuit opened by an operator");
                self.tell(Change::Held);
            }
            ManualAction::Close => {
                let verdict = self.circuit.close();
                self.enact(verdict, now_ms);
                self.tell(Change::Closed { by_operator: true });
            }
        }
    }
}

impl Handler<Heard> for BackendActor {
    type Result = ();

    fn handle(&mut self, Heard(remote): Heard, _: &mut Self::Context) {
        self.heed(remote);
    }
}

impl Handler<SetRules> for BackendActor {
    type Result = ();

    fn handle(&mut self, SetRules(rules): SetRules, _: &mut Self::Context) {
        self.cell.probe_timeout_ms.store(millis(rules.probe_timeout), Ordering::Relaxed);
        self.circuit.set_rules(rules);
        self.publish(self.cell.clock.now_ms());
    }
}

impl Handler<Retire> for BackendActor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// Lets a test see what the death of the actor costs.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

#[cfg(test)]
impl Handler<Crash> for BackendActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("a test asked for it");
    }
}

/// Lets a test know that everything before it was handled.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Barrier;

#[cfg(test)]
impl Handler<Barrier> for BackendActor {
    type Result = ();

    fn handle(&mut self, _: Barrier, _: &mut Self::Context) {}
}
