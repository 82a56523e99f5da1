//! Leaves a failing store alone for a while. Pure: the time is given.

use std::time::{Duration, Instant};

/// Failures in a row that open the circuit.
const FAILURES: u32 = 5;
/// How long it stays open before one operation may probe.
const OPEN_FOR: Duration = Duration::from_secs(2);

/// Counts failures in a row and says whether to try.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// While set, operations are refused until then.
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether an operation may be tried. After the open time one may; the next only when that one has
    /// ended or the open time has passed once more.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.open_until = Some(now + OPEN_FOR);
                true
            }
        }
    }

    /// An operation went well.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// An operation failed. Returns whether this opened the circuit.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures == FAILURES;
        if self.failures >= FAILURES {
            self.open_until = Some(now + OPEN_FOR);
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_probe_through() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        let opened: Vec<bool> = (0..FAILURES).map(|_| breaker.failed(start)).collect();
        assert_eq!(opened, [false, false, false, false, true]);
        assert!(!breaker.admit(start));
        assert!(breaker.admit(start + OPEN_FOR));
        assert!(!breaker.admit(start + OPEN_FOR));
        assert!(breaker.admit(start + OPEN_FOR * 2), "a probe that never reports does not block it forever");
    }

    #[test]
    fn a_success_closes_it() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        (0..FAILURES).for_each(|_| {
            breaker.failed(start);
        });
        breaker.succeeded();
        assert!(breaker.admit(start));
        assert!(!breaker.failed(start));
    }
}
