//! The one word that decides whether a request may go to a deployment now.
//!
//! Requests read it without a lock; after an open period exactly one of them turns it from *open* to
//! *probing* and is the probe. Everything else is written by the deployment's actor, except that a probe
//! without an outcome frees its place itself. A probe that never reports loses its place when its time is
//! over: the next request becomes the probe.

use std::sync::atomic::{AtomicU64, Ordering};

const KIND_SHIFT: u32 = 62;
const TIME_MASK: u64 = (1 << KIND_SHIFT) - 1;

/// The position of the gate; times are clock ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// All requests pass.
    Closed,
    /// No request passes before `until_ms`; then one probe does.
    Open { until_ms: u64 },
    /// A probe is under way; it counts as lost from `expires_ms`.
    Probing { expires_ms: u64 },
    /// No request passes until an operator closes the circuit.
    Held,
}

impl Position {
    const fn word(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Open { until_ms } => 1 << KIND_SHIFT | until_ms & TIME_MASK,
            Self::Probing { expires_ms } => 2 << KIND_SHIFT | expires_ms & TIME_MASK,
            Self::Held => 3 << KIND_SHIFT,
        }
    }

    const fn of(word: u64) -> Self {
        let at_ms = word & TIME_MASK;
        match word >> KIND_SHIFT {
            0 => Self::Closed,
            1 => Self::Open { until_ms: at_ms },
            2 => Self::Probing { expires_ms: at_ms },
            _ => Self::Held,
        }
    }
}

/// Proof of being the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// How a request was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Like all others.
    Normal,
    /// As the probe.
    Probe(Ticket),
}

/// The gate; see the module.
#[derive(Debug, Default)]
pub(super) struct Gate(AtomicU64);

impl Gate {
    /// Lets the request pass or not. The clock is read only when the circuit is not closed.
    pub(super) fn admit(&self, now_ms: impl Fn() -> u64, probe_timeout_ms: u64) -> Result<Pass, Position> {
        let word = self.0.load(Ordering::Acquire);
        if word == Position::Closed.word() {
            return Ok(Pass::Normal);
        }
        let now_ms = now_ms();
        if !Self::probe_is_due(Position::of(word), now_ms) {
            return Err(Position::of(word));
        }
        let probing = Position::Probing { expires_ms: now_ms.saturating_add(probe_timeout_ms.max(1)) }.word();
        match self.0.compare_exchange(word, probing, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(Pass::Probe(Ticket(probing))),
            Err(seen) if seen == Position::Closed.word() => Ok(Pass::Normal),
            Err(seen) => Err(Position::of(seen)),
        }
    }

    /// Whether a request would pass now.
    pub(super) fn is_passable(&self, now_ms: impl Fn() -> u64) -> bool {
        match self.position() {
            Position::Closed => true,
            position => Self::probe_is_due(position, now_ms()),
        }
    }

    /// The current position.
    pub(super) fn position(&self) -> Position {
        Position::of(self.0.load(Ordering::Acquire))
    }

    /// Sets the position, whatever it was. Only the actor may call it.
    pub(super) fn set(&self, position: Position) {
        self.0.store(position.word(), Ordering::Release);
    }

    /// Whether the ticket's probe is still the one under way.
    pub(super) fn is_current(&self, ticket: Ticket) -> bool {
        self.0.load(Ordering::Acquire) == ticket.0
    }

    /// Ends the probe of `ticket` without a verdict; the next request is the probe. Does nothing if the
    /// probe is not under way any more.
    pub(super) fn abandon(&self, ticket: Ticket, now_ms: u64) {
        let again = Position::Open { until_ms: now_ms }.word();
        let _ = self.0.compare_exchange(ticket.0, again, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Keeps an open circuit open for longer and answers true; does nothing while a probe is under way.
    pub(super) fn extend(&self, until_ms: u64) -> bool {
        let longer = |word| match Position::of(word) {
            Position::Open { until_ms: now } if now < until_ms => Some(Position::Open { until_ms }.word()),
            _ => None,
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, longer).is_ok()
    }

    const fn probe_is_due(position: Position, now_ms: u64) -> bool {
        match position {
            Position::Open { until_ms: at_ms } | Position::Probing { expires_ms: at_ms } => now_ms >= at_ms,
            Position::Closed | Position::Held => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT_MS: u64 = 50;

    fn probe(gate: &Gate, now_ms: u64) -> Ticket {
        match gate.admit(|| now_ms, TIMEOUT_MS) {
            Ok(Pass::Probe(ticket)) => ticket,
            other => panic!("not the probe at {now_ms}: {other:?}"),
        }
    }

    #[test]
    fn an_open_gate_ends_exactly_at_its_moment_with_one_probe() {
        let gate = Gate::default();
        gate.set(Position::Open { until_ms: 100 });
        assert_eq!(gate.admit(|| 99, TIMEOUT_MS), Err(Position::Open { until_ms: 100 }));
        probe(&gate, 100);
        assert_eq!(gate.admit(|| 100, TIMEOUT_MS), Err(Position::Probing { expires_ms: 150 }));
    }

    #[test]
    fn a_lost_probe_is_replaced_and_cannot_abandon_its_successor() {
        let gate = Gate::default();
        gate.set(Position::Open { until_ms: 0 });
        let lost = probe(&gate, 0);
        assert!(gate.admit(|| 49, TIMEOUT_MS).is_err());
        let next = probe(&gate, 50);
        assert!(!gate.is_current(lost));
        gate.abandon(lost, 60);
        assert!(gate.is_current(next));
        gate.abandon(next, 60);
        probe(&gate, 60);
    }

    #[test]
    fn a_held_gate_lets_nobody_pass() {
        let gate = Gate::default();
        gate.set(Position::Held);
        assert_eq!(gate.admit(|| u64::MAX >> 2, TIMEOUT_MS), Err(Position::Held));
    }

    #[test]
    fn only_an_open_gate_is_extended_and_never_shortened() {
        let gate = Gate::default();
        assert!(!gate.extend(10));
        assert_eq!(gate.position(), Position::Closed);
        gate.set(Position::Open { until_ms: 100 });
        assert!(!gate.extend(50) && gate.extend(200));
        assert_eq!(gate.position(), Position::Open { until_ms: 200 });
    }

    #[test]
    fn of_many_threads_one_is_the_probe() {
        let gate = Gate::default();
        for round in 0..200 {
            gate.set(Position::Open { until_ms: round });
            let probes: usize = std::thread::scope(|scope| {
                let tries: Vec<_> = (0..4)
                    .map(|_| scope.spawn(|| usize::from(gate.admit(|| round, 1_000).is_ok())))
                    .collect();
                tries.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(probes, 1);
        }
    }
}
