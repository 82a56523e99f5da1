//! When a circuit opens, for how long, and what closes it again: pure, on a clock that is handed in.
//!
//! ```text
//!            trip (always with a cause)             its time is over, one probe goes
//!   closed ─────────────────────────────▶ open ─────────────────────────────────────▶ half-open
//!     ▲                                    ▲                  the probe fails            │ │
//!     │                                    └─────────────────────────────────────────────┘ │
//!     └──────────────────────────────── the probe succeeds ────────────────────────────────┘
//! ```
//! Whether an open circuit may be probed yet is the gate's business (`gate`); this module is told how
//! attempts ended and answers what the gate has to become.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Serialize, Serializer};
use smallvec::{SmallVec, smallvec};

use super::outcome::FailureKind;
pub use super::outcome::{is_failure, retryable};
use super::window::{Tally, Window};
use crate::telemetry::clock::millis;

/// When the circuit of a deployment opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitRules {
    /// Failures in a row that open it; 0 switches the rule off.
    pub consecutive_failures: u32,
    /// Share of failures that opens it; none switches the rule off.
    pub ratio: Option<RatioRule>,
    /// Which failures the two rules count.
    pub counted: CountedFailures,
    /// Whether a failure that names a `Retry-After` opens it at once and for that long.
    pub obey_retry_after: bool,
    /// How long it stays open; doubled each time a probe fails.
    pub open_for: Duration,
    /// Longest that it stays open, whatever a backend asks for.
    pub max_open: Duration,
    /// A probe that has not reported by then counts as lost.
    pub probe_timeout: Duration,
}

/// Opens on a share of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatioRule {
    /// Failures of 100 attempts that open the circuit.
    pub percent: u8,
    /// Attempts in the window below which the share says nothing.
    pub min_volume: u32,
    /// How far back attempts count.
    pub window: Duration,
}

/// Which failures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedFailures {
    /// No connection.
    pub connect: bool,
    /// Timeouts and stalled streams.
    pub timeout: bool,
    /// Broken streams and answers that cannot be understood.
    pub broken: bool,
    /// These statuses.
    pub statuses: SmallVec<[RangeInclusive<u16>; 5]>,
}

impl Default for CircuitRules {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            ratio: Some(RatioRule { percent: 50, min_volume: 20, window: Duration::from_secs(30) }),
            counted: CountedFailures::default(),
            obey_retry_after: true,
            open_for: Duration::from_secs(10),
            max_open: Duration::from_secs(300),
            probe_timeout: Duration::from_secs(60),
        }
    }
}

impl Default for CountedFailures {
    fn default() -> Self {
        Self {
            connect: true,
            timeout: true,
            broken: true,
            statuses: smallvec![401..=401, 403..=403, 408..=408, 429..=429, 499..=599],
        }
    }
}

impl CountedFailures {
    fn counts(&self, kind: FailureKind) -> bool {
        match kind {
            FailureKind::Connect => self.connect,
            FailureKind::Timeout => self.timeout,
            FailureKind::Stream | FailureKind::Protocol => self.broken,
            FailureKind::Status(status) => self.statuses.iter().any(|range| range.contains(&status)),
        }
    }
}

/// Why a circuit opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The rule that applied.
    pub rule: TripRule,
    /// The failure that made it apply; none for an operator.
    #[serde(serialize_with = "failure_text", skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureKind>,
}

/// The rules that open a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TripRule {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// Too large a share of failures.
    FailureRatio,
    /// The backend asked to be left alone.
    RetryAfter,
    /// The probe failed.
    ProbeFailed,
    /// An operator wanted it.
    Operator,
}

impl TripRule {
    /// Its name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRatio => "failure_ratio",
            Self::RetryAfter => "retry_after",
            Self::ProbeFailed => "probe_failed",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure {
            Some(FailureKind::Status(status)) => write!(f, "{} (status {status})", self.rule.as_str()),
            Some(failure) => write!(f, "{} ({})", self.rule.as_str(), failure.as_str()),
            None => f.write_str(self.rule.as_str()),
        }
    }
}

fn failure_text<S: Serializer>(failure: &Option<FailureKind>, serializer: S) -> Result<S::Ok, S::Error> {
    match failure {
        Some(FailureKind::Status(status)) => serializer.collect_str(&format_args!("status {status}")),
        Some(failure) => serializer.serialize_str(failure.as_str()),
        None => serializer.serialize_none(),
    }
}

/// A failure as the circuit is told of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) retry_after: Option<Duration>,
}

/// What the gate has to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What it is.
    Stay,
    /// Open until then, in clock ms.
    Open { until_ms: u64, cause: Cause },
    /// Open for longer if it is open.
    Extend { until_ms: u64 },
    /// Closed.
    Close,
}

/// What is known of one deployment's failures.
#[derive(Debug, Clone)]
pub(super) struct Circuit {
    rules: CircuitRules,
    /// Why it is open; none while it is closed.
    open: Option<Cause>,
    failures_in_a_row: u32,
    /// Open periods since it last was closed.
    failed_periods: u32,
    window: Window,
    trips: u64,
}

impl Circuit {
    pub(super) fn new(rules: CircuitRules) -> Self {
        let window = Window::new(Self::window_of(&rules));
        Self { rules, open: None, failures_in_a_row: 0, failed_periods: 0, window, trips: 0 }
    }

    /// Other rules from now on. State and counts stay.
    pub(super) fn set_rules(&mut self, rules: CircuitRules) {
        if Self::window_of(&rules) != Self::window_of(&self.rules) {
            self.window = Window::new(Self::window_of(&rules));
        }
        self.rules = rules;
    }

    /// `count` attempts succeeded.
    pub(super) fn succeeded(&mut self, now_ms: u64, count: u32) {
        if count > 0 && self.open.is_none() {
            self.failures_in_a_row = 0;
            self.window.add(now_ms, Tally { succeeded: count, failed: 0 });
        }
    }

    /// An attempt failed that was admitted like all others.
    pub(super) fn failed(&mut self, now_ms: u64, failure: Failure) -> Verdict {
        let asked = self.asked_wait(failure);
        if self.open.is_some() {
            // It began before the circuit opened.
            return asked.map_or(Verdict::Stay, |wait| Verdict::Extend { until_ms: now_ms + millis(wait) });
        }
        let counts = self.rules.counted.counts(failure.kind);
        if counts {
            self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
            self.window.add(now_ms, Tally { succeeded: 0, failed: 1 });
        }
        let rule = match asked {
            Some(_) => Some(TripRule::RetryAfter),
            None if counts => self.exceeded(now_ms),
            None => None,
        };
        rule.map_or(Verdict::Stay, |rule| {
            self.trip(now_ms, Cause { rule, failure: Some(failure.kind) }, asked)
        })
    }

    /// The probe failed.
    pub(super) fn probe_failed(&mut self, now_ms: u64, failure: Failure) -> Verdict {
        let cause = Cause { rule: TripRule::ProbeFailed, failure: Some(failure.kind) };
        self.trip(now_ms, cause, self.asked_wait(failure))
    }

    /// The probe succeeded, or an operator wants the circuit closed: a new beginning.
    pub(super) fn close(&mut self) -> Verdict {
        self.open = None;
        self.failures_in_a_row = 0;
        self.failed_periods = 0;
        self.window.clear();
        Verdict::Close
    }

    /// An operator wants the circuit open.
    pub(super) fn hold(&mut self) {
        self.open = Some(Cause { rule: TripRule::Operator, failure: None });
        self.trips += 1;
    }

    /// Why it is open.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.open
    }

    /// Times it opened.
    pub(super) fn trips(&self) -> u64 {
        self.trips
    }

    /// Attempts in the window of the ratio rule.
    pub(super) fn tally(&self, now_ms: u64) -> Tally {
        self.window.sum(now_ms)
    }

    pub(super) fn rules(&self) -> &CircuitRules {
        &self.rules
    }

    fn trip(&mut self, now_ms: u64, cause: Cause, asked: Option<Duration>) -> Verdict {
        let doubled = self.rules.open_for.saturating_mul(1 << self.failed_periods.min(16));
        let wait = asked.unwrap_or(doubled).min(self.rules.max_open);
        self.open = Some(cause);
        self.failed_periods = self.failed_periods.saturating_add(1);
        self.trips += 1;
        Verdict::Open { until_ms: now_ms.saturating_add(millis(wait)), cause }
    }

    fn exceeded(&self, now_ms: u64) -> Option<TripRule> {
        let limit = self.rules.consecutive_failures;
        if limit > 0 && self.failures_in_a_row >= limit {
            return Some(TripRule::ConsecutiveFailures);
        }
        let ratio = self.rules.ratio?;
        let Tally { succeeded, failed } = self.window.sum(now_ms);
        let volume = u64::from(succeeded) + u64::from(failed);
        let exceeded = volume >= u64::from(ratio.min_volume)
            && u64::from(failed) * 100 >= volume * u64::from(ratio.percent);
        exceeded.then_some(TripRule::FailureRatio)
    }

    fn asked_wait(&self, failure: Failure) -> Option<Duration> {
        let wait = failure.retry_after.filter(|wait| self.rules.obey_retry_after && !wait.is_zero())?;
        Some(wait.min(self.rules.max_open))
    }

    fn window_of(rules: &CircuitRules) -> Duration {
        rules.ratio.map_or(Duration::from_secs(30), |ratio| ratio.window)
    }
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
