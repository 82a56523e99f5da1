//! When to try again after the event log failed, and what to say about it. Pure.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// How the event log is doing.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    pause: Option<Duration>,
    resume_at: Option<Instant>,
}

impl Pace {
    /// Notes a failure; true when it is the first after a success.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        let first = self.pause.is_none();
        if self.resume_at.is_none_or(|at| at <= now) {
            // Reports of one failed batch count once.
            let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LAST_PAUSE));
            self.pause = Some(pause);
            self.resume_at = Some(now + pause);
        }
        first
    }

    /// Some records were taken and some not: a short pause, and nothing to say.
    pub(crate) fn hiccup(&mut self, now: Instant) {
        self.resume_at = Some(now + FIRST_PAUSE);
    }

    /// Notes a success; true when it is the first after a failure.
    pub(crate) fn succeeded(&mut self) -> bool {
        self.resume_at = None;
        self.pause.take().is_some()
    }

    pub(crate) fn may_send(&self, now: Instant) -> bool {
        self.resume_at.is_none_or(|at| now >= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_a_success() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        assert!(pace.may_send(now) && pace.failed(now) && !pace.may_send(now));
        for _ in 0..10 {
            now += LAST_PAUSE;
            assert!(pace.may_send(now) && !pace.failed(now));
        }
        assert!(!pace.may_send(now + LAST_PAUSE / 2));
        assert!(pace.succeeded() && pace.may_send(now) && !pace.succeeded());
    }

    #[test]
    fn many_reports_of_one_failure_pause_once() {
        let mut pace = Pace::default();
        let now = Instant::now();
        (0..1_000).for_each(|_| {
            pace.failed(now);
        });
        assert!(pace.may_send(now + FIRST_PAUSE));
    }
}
