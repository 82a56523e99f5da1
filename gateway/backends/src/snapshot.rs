//! Deployments as operators see them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tollgate_base::clock::millis;

use super::capacity::CapacitySnapshot;
use super::circuit::Cause;
use super::deployment::Deployment;
use super::deployment_id::DeploymentId;
use super::gate::Position;
use super::rates::RateSnapshot;

/// State of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CircuitState {
    /// All requests pass.
    Closed,
    /// No request passes.
    Open,
    /// One probe at a time passes.
    HalfOpen,
    /// No request passes until an operator closes it.
    Held,
}

impl CircuitState {
    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Held => "held",
        }
    }
}

/// One deployment as operators see it.
#[derive(Debug, Clone, Serialize)]
pub struct DeploymentSnapshot {
    /// Which one.
    #[serde(flatten)]
    pub id: DeploymentId,
    /// State of its circuit.
    pub circuit: CircuitState,
    /// Why it is not closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The replica that reported it; `None` if the circuit opened here first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_from: Option<Arc<str>>,
    /// When it may be tried again, ms from now; `None` while it is closed or an operator holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// The same as a moment of wall time, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Times the circuit opened.
    pub trips: u64,
    /// Attempts under way.
    pub in_flight: u32,
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts of the last half minute that succeeded; counted while the circuit is closed.
    pub recently_succeeded: u32,
    /// Attempts of the last half minute that failed.
    pub recently_failed: u32,
    /// Moving average of the whole attempt, peak-sensitive, µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// Moving average to the first byte, peak-sensitive, µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// 95th percentile of the time to the first byte over the last minute, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_p95_ms: Option<u64>,
    /// What the provider last said about its rate limits.
    pub rate: RateSnapshot,
    /// Committed throughput, possibly shared with the backend's other models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacitySnapshot>,
    /// Outcomes that were dropped because too many waited for the actor.
    pub outcomes_dropped: u64,
    /// Times its actor died and was replaced.
    pub respawned: u64,
}

impl DeploymentSnapshot {
    /// Whether requests are kept away, all of them or all but a probe.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.circuit != CircuitState::Closed
    }
}

impl Deployment {
    /// The deployment as operators see it.
    #[must_use]
    pub fn snapshot(&self) -> Arc<DeploymentSnapshot> {
        let cell = self.cell();
        let position = cell.gate.position();
        let published = cell.published.load();
        let as_us = |average: Option<Duration>| {
            average.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
        };
        let now_ms = cell.clock.now_ms();
        let closed = position == Position::Closed;
        let retry_in = self.wait(position).filter(|_| position != Position::Held);
        Arc::new(DeploymentSnapshot {
            id: cell.id.clone(),
            circuit: state(position, now_ms),
            cause: published.cause.filter(|_| !closed),
            heard_from: published.heard_from.clone().filter(|_| !closed),
            retry_in_ms: retry_in.map(millis),
            retry_at: retry_in.and_then(from_now),
            trips: published.trips,
            in_flight: self.in_flight(),
            succeeded: cell.succeeded.load(Ordering::Relaxed),
            failed: cell.failed.load(Ordering::Relaxed),
            recently_succeeded: published.recently_succeeded,
            recently_failed: published.recently_failed,
            latency_us: as_us(cell.latency.get()),
            first_byte_us: as_us(cell.first_byte.get()),
            first_byte_p95_ms: self.first_byte_p95().map(millis),
            rate: cell.rates.snapshot(now_ms),
            capacity: cell.capacity.load().as_ref().map(|capacity| capacity.snapshot(now_ms)),
            outcomes_dropped: cell.outcomes_dropped.load(Ordering::Relaxed),
            respawned: cell.respawned.load(Ordering::Relaxed),
        })
    }
}

/// Wall time that long from now, to the millisecond.
fn from_now(wait: Duration) -> Option<Timestamp> {
    let at = Timestamp::now().checked_add(wait).ok()?;
    Timestamp::from_millisecond(at.as_millisecond()).ok()
}

fn state(position: Position, now_ms: u64) -> CircuitState {
    match position {
        Position::Closed => CircuitState::Closed,
        Position::Open { until_ms } if now_ms < until_ms => CircuitState::Open,
        Position::Open { .. } | Position::Probing { .. } => CircuitState::HalfOpen,
        Position::Held => CircuitState::Held,
    }
}
