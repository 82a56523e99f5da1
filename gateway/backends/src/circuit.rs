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

pub use super::outcome::is_failure;
use super::window::{Tally, Window};
use tollgate_base::clock::millis;

/// When the circuit of a deployment opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitRules {
    /// Any one of them opens it.
    pub rules: SmallVec<[Rule; 2]>,
    /// Whether a failure that names a `Retry-After` opens it at once and for that long, whatever the rules.
    pub obey_retry_after: bool,
    /// Longest `Retry-After` that is obeyed.
    pub max_retry_after: Duration,
    /// How long it stays open; doubled each time a probe fails.
    pub open_for: Duration,
    /// Longest that doubling and other replicas may keep it open.
    pub max_open: Duration,
    /// A probe whose answer has not begun by then counts as lost.
    pub probe_timeout: Duration,
}

/// One reason to open a circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// How many failures it takes.
    pub threshold: Threshold,
    /// Which failures it counts. Those that it does not count neither add to it nor interrupt it.
    pub counted: CountedFailures,
}

/// How many failures open a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// This many in a row, without a success in between; at least 1.
    Consecutive(u32),
    /// A share of the attempts.
    Ratio(RatioRule),
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

/// Which failures count. A failed health probe always does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedFailures {
    /// No connection.
    pub connect: bool,
    /// No answer in time.
    pub timeout: bool,
    /// Streams that stood still.
    pub stalled: bool,
    /// Broken streams and answers that cannot be understood.
    pub broken: bool,
    /// These statuses, as far as they count against a backend at all ([`is_failure`]).
    pub statuses: SmallVec<[RangeInclusive<u16>; 5]>,
}

impl Default for CircuitRules {
    fn default() -> Self {
        let ratio = RatioRule { percent: 50, min_volume: 20, window: Duration::from_secs(30) };
        let rule = |threshold| Rule { threshold, counted: CountedFailures::default() };
        Self {
            rules: smallvec![rule(Threshold::Consecutive(5)), rule(Threshold::Ratio(ratio))],
            obey_retry_after: true,
            max_retry_after: Duration::from_secs(300),
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
            stalled: true,
            broken: true,
            statuses: smallvec![401..=403, 408..=408, 429..=429, 499..=599],
        }
    }
}

impl CountedFailures {
    fn counts(&self, kind: FailureKind) -> bool {
        match kind {
            FailureKind::Connect => self.connect,
            FailureKind::Timeout => self.timeout,
            FailureKind::Stalled => self.stalled,
            FailureKind::Stream | FailureKind::Protocol => self.broken,
            FailureKind::Status(status) => self.statuses.iter().any(|range| range.contains(&status)),
            FailureKind::Probe => true,
        }
    }
}

/// A rule and what it has counted.
#[derive(Debug, Clone)]
struct Counter {
    rule: Rule,
    count: Count,
}

#[derive(Debug, Clone)]
enum Count {
    InARow(u32),
    Share(Box<Window>),
}

impl Counter {
    fn new(rule: Rule) -> Self {
        let count = match rule.threshold {
            Threshold::Consecutive(_) => Count::InARow(0),
            Threshold::Ratio(ratio) => Count::Share(Box::new(Window::new(ratio.window))),
        };
        Self { rule, count }
    }

    fn succeeded(&mut self, now_ms: u64, count: u32) {
        match &mut self.count {
            Count::InARow(failures) => *failures = 0,
            Count::Share(window) => window.add(now_ms, Tally { succeeded: count, failed: 0 }),
        }
    }

    /// Counts a failure; answers the rule if the failure reaches its threshold.
    fn failed(&mut self, now_ms: u64, kind: FailureKind) -> Option<TripRule> {
        if !self.rule.counted.counts(kind) {
            return None;
        }
        match (&mut self.count, self.rule.threshold) {
            (Count::InARow(failures), Threshold::Consecutive(limit)) => {
                *failures = failures.saturating_add(1);
                (*failures >= limit).then_some(TripRule::ConsecutiveFailures)
            }
            (Count::Share(window), Threshold::Ratio(ratio)) => {
                window.add(now_ms, Tally { succeeded: 0, failed: 1 });
                exceeds(window.sum(now_ms), ratio).then_some(TripRule::FailureRatio)
            }
            _ => None,
        }
    }

    fn forget(&mut self) {
        match &mut self.count {
            Count::InARow(failures) => *failures = 0,
            Count::Share(window) => window.clear(),
        }
    }
}

fn exceeds(Tally { succeeded, failed }: Tally, ratio: RatioRule) -> bool {
    let volume = u64::from(succeeded) + u64::from(failed);
    volume >= u64::from(ratio.min_volume) && u64::from(failed) * 100 >= volume * u64::from(ratio.percent)
}

/// Why a circuit opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The rule that applied.
    pub rule: TripRule,
    /// The failure that made it apply; `None` if an operator opened the circuit.
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
    /// It opened at another replica.
    Replica,
    /// An operator opened it.
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
            Self::Replica => "replica",
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

/// A failure as it is reported to the circuit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) retry_after: Option<Duration>,
}

/// What the gate has to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GateChange {
    /// It stays as it is.
    Stay,
    /// It opens until `until_ms`, clock ms.
    Open { until_ms: u64, cause: Cause },
    /// If it is open, it stays open until `until_ms`, clock ms.
    Extend { until_ms: u64 },
    /// It closes.
    Close,
}

/// How far back the counts for operators go.
const RECENT: Duration = Duration::from_secs(30);

/// What is known of one deployment's failures.
#[derive(Debug, Clone)]
pub(super) struct Circuit {
    rules: CircuitRules,
    counters: SmallVec<[Counter; 2]>,
    /// Why it is open; `None` while it is closed.
    open: Option<Cause>,
    /// Open periods since it was last closed.
    failed_periods: u32,
    /// All attempts of the last while, whatever the rules count.
    recent: Window,
    trips: u64,
}

impl Circuit {
    pub(super) fn new(rules: CircuitRules) -> Self {
        let counters = rules.rules.iter().cloned().map(Counter::new).collect();
        Self { rules, counters, open: None, failed_periods: 0, recent: Window::new(RECENT), trips: 0 }
    }

    /// Replaces the rules. The state stays, and so do the counts of rules that are unchanged.
    pub(super) fn set_rules(&mut self, rules: CircuitRules) {
        let mut known = std::mem::take(&mut self.counters);
        let keep = |rule: &Rule| match known.iter().position(|counter| counter.rule == *rule) {
            Some(place) => known.swap_remove(place),
            None => Counter::new(rule.clone()),
        };
        self.counters = rules.rules.iter().map(keep).collect();
        self.rules = rules;
    }

    /// `count` attempts succeeded.
    pub(super) fn succeeded(&mut self, now_ms: u64, count: u32) {
        if count > 0 && self.open.is_none() {
            self.recent.add(now_ms, Tally { succeeded: count, failed: 0 });
            self.counters.iter_mut().for_each(|counter| counter.succeeded(now_ms, count));
        }
    }

    /// An attempt failed that was not the probe.
    pub(super) fn failed(&mut self, now_ms: u64, failure: Failure) -> GateChange {
        let asked = self.asked_wait(failure);
        if self.open.is_some() {
            // It began before the circuit opened.
            return asked
                .map_or(GateChange::Stay, |wait| GateChange::Extend { until_ms: now_ms + millis(wait) });
        }
        self.recent.add(now_ms, Tally { succeeded: 0, failed: 1 });
        // Every rule counts the failure; the first one that reaches its threshold is the cause.
        let exceeded = self.counters.iter_mut().fold(None, |found: Option<TripRule>, counter| {
            let this = counter.failed(now_ms, failure.kind);
            found.or(this)
        });
        let rule = asked.map(|_| TripRule::RetryAfter).or(exceeded);
        rule.map_or(GateChange::Stay, |rule| {
            self.trip(now_ms, Cause { rule, failure: Some(failure.kind) }, asked)
        })
    }

    /// The probe failed.
    pub(super) fn probe_failed(&mut self, now_ms: u64, failure: Failure) -> GateChange {
        let cause = Cause { rule: TripRule::ProbeFailed, failure: Some(failure.kind) };
        self.trip(now_ms, cause, self.asked_wait(failure))
    }

    /// The probe succeeded, or an operator closes the circuit: all counts start anew.
    pub(super) fn close(&mut self) -> GateChange {
        self.open = None;
        self.failed_periods = 0;
        self.recent.clear();
        self.counters.iter_mut().for_each(Counter::forget);
        GateChange::Close
    }

    /// An operator opens the circuit.
    pub(super) fn hold(&mut self) {
        self.open = Some(Cause { rule: TripRule::Operator, failure: None });
        self.trips += 1;
    }

    /// It opened at another replica and stays open there for `left`. If it is open here too, that never shortens the
    /// time.
    pub(super) fn opened_elsewhere(&mut self, now_ms: u64, left: Duration) -> GateChange {
        let until_ms = now_ms.saturating_add(millis(left.min(self.rules.max_open)));
        if self.open.is_some() {
            return GateChange::Extend { until_ms };
        }
        let cause = Cause { rule: TripRule::Replica, failure: None };
        self.trip(now_ms, cause, Some(left.min(self.rules.max_open)))
    }

    /// It closed at another replica. That closes it here if it was opened because of a replica, or if an operator
    /// closed it.
    pub(super) fn closed_elsewhere(&mut self, by_operator: bool) -> GateChange {
        let only_heard = self.open.is_some_and(|cause| cause.rule == TripRule::Replica);
        if only_heard || by_operator && self.open.is_some() { self.close() } else { GateChange::Stay }
    }

    /// Why it is open.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.open
    }

    /// Times it opened.
    pub(super) fn trips(&self) -> u64 {
        self.trips
    }

    /// Attempts of the last half minute.
    pub(super) fn tally(&self, now_ms: u64) -> Tally {
        self.recent.sum(now_ms)
    }

    pub(super) fn rules(&self) -> &CircuitRules {
        &self.rules
    }

    fn trip(&mut self, now_ms: u64, cause: Cause, asked: Option<Duration>) -> GateChange {
        let doubled = self.rules.open_for.saturating_mul(1 << self.failed_periods.min(16));
        let wait = asked.unwrap_or_else(|| doubled.min(self.rules.max_open));
        self.open = Some(cause);
        self.failed_periods = self.failed_periods.saturating_add(1);
        self.trips += 1;
        GateChange::Open { until_ms: now_ms.saturating_add(millis(wait)), cause }
    }

    fn asked_wait(&self, failure: Failure) -> Option<Duration> {
        let wait = failure.retry_after.filter(|wait| self.rules.obey_retry_after && !wait.is_zero())?;
        Some(wait.min(self.rules.max_retry_after))
    }
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
