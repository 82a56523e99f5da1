//! How slow a client may be while it is waited for. Pure.
//!
//! A timeout on silence alone does not bound a client: one byte just before its end starts it anew, and the client
//! holds memory and slots for as long as it likes. Here a client has a credit of time. Waiting uses it up, bytes
//! restore it at a rate, up to the initial credit. A client that stops is cut after the credit, one slower than the
//! rate soon after that, and one that keeps up never.

use std::time::Duration;

/// Bounds on a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceRules {
    /// Longest time that it may be behind.
    pub credit: Duration,
    /// Lowest rate at which it must move bytes while it is waited for.
    pub bytes_per_second: u64,
}

/// One client's credit.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    rules: PaceRules,
    left: Duration,
}

impl Pace {
    /// A client with all of its credit.
    #[must_use]
    pub fn new(rules: PaceRules) -> Self {
        Self { rules, left: rules.credit }
    }

    /// How long its next bytes may be waited for.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.left
    }

    /// The credit that it starts with.
    #[must_use]
    pub fn credit(&self) -> Duration {
        self.rules.credit
    }

    /// Notes that so many bytes moved after so long a wait.
    pub fn moved(&mut self, waited: Duration, bytes: u64) {
        let micros = bytes.saturating_mul(1_000_000) / self.rules.bytes_per_second.max(1);
        let earned = Duration::from_micros(micros);
        self.left = self.left.saturating_sub(waited).saturating_add(earned).min(self.rules.credit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: PaceRules = PaceRules { credit: Duration::from_secs(30), bytes_per_second: 1_000 };

    /// Seconds until a client is cut that moves so many bytes every so many seconds; `None` if never within an hour.
    fn cut_after(bytes: u64, every_s: u64) -> Option<u64> {
        let (mut pace, mut now_s) = (Pace::new(RULES), 0);
        while now_s < 3_600 {
            if pace.left() < Duration::from_secs(every_s) {
                return Some(now_s + pace.left().as_secs());
            }
            now_s += every_s;
            pace.moved(Duration::from_secs(every_s), bytes);
        }
        None
    }

    #[test]
    fn a_client_that_stops_or_trickles_is_cut_after_its_credit() {
        assert_eq!(cut_after(0, 60), Some(30));
        assert_eq!(cut_after(1, 1), Some(30));
        assert_eq!(cut_after(1, 29), Some(30));
    }

    #[test]
    fn a_client_that_keeps_up_is_never_cut_and_a_pause_within_the_credit_is_free() {
        assert_eq!(cut_after(1_000, 1), None);
        assert_eq!(cut_after(29_000, 29), None);
        assert_eq!(cut_after(500, 1), Some(59));
    }

    #[test]
    fn bytes_of_before_buy_no_more_than_the_credit() {
        let mut pace = Pace::new(RULES);
        pace.moved(Duration::ZERO, u64::MAX);
        assert_eq!(pace.left(), RULES.credit);
        let no_rate = PaceRules { bytes_per_second: 0, ..RULES };
        Pace::new(no_rate).moved(Duration::from_secs(1), 1);
    }
}
