//! Counts of the last while, in ten steps.

use std::time::Duration;

use tollgate_base::clock::millis;

const STEPS: usize = 10;

/// How many attempts ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) succeeded: u32,
    pub(super) failed: u32,
}

/// A sliding window; counts leave it in steps of a tenth of its length.
#[derive(Debug, Clone)]
pub(super) struct Window {
    step_ms: u64,
    /// Number of the step, and what was counted in it.
    steps: [(u64, Tally); STEPS],
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let step_ms = (millis(length) / STEPS as u64).max(1);
        Self { step_ms, steps: [(0, Tally::default()); STEPS] }
    }

    pub(super) fn add(&mut self, now_ms: u64, more: Tally) {
        let number = now_ms / self.step_ms;
        let (held, tally) = &mut self.steps[(number % STEPS as u64) as usize];
        if *held != number {
            (*held, *tally) = (number, Tally::default());
        }
        tally.succeeded = tally.succeeded.saturating_add(more.succeeded);
        tally.failed = tally.failed.saturating_add(more.failed);
    }

    pub(super) fn sum(&self, now_ms: u64) -> Tally {
        let number = now_ms / self.step_ms;
        let current = self.steps.iter().filter(|(held, _)| *held <= number && held + STEPS as u64 > number);
        current.fold(Tally::default(), |sum, (_, tally)| Tally {
            succeeded: sum.succeeded.saturating_add(tally.succeeded),
            failed: sum.failed.saturating_add(tally.failed),
        })
    }

    pub(super) fn clear(&mut self) {
        self.steps = [(0, Tally::default()); STEPS];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_leave_the_window_when_it_is_over() {
        let mut window = Window::new(Duration::from_secs(10));
        window.add(500, Tally { succeeded: 3, failed: 1 });
        window.add(9_500, Tally { succeeded: 0, failed: 1 });
        assert_eq!(window.sum(9_999), Tally { succeeded: 3, failed: 2 });
        assert_eq!(window.sum(10_000), Tally { succeeded: 0, failed: 1 });
        assert_eq!(window.sum(60_000), Tally::default());
    }

    #[test]
    fn a_step_that_is_used_again_starts_at_nothing() {
        let mut window = Window::new(Duration::from_secs(10));
        window.add(0, Tally { succeeded: 3, failed: 1 });
        window.add(10_000, Tally { succeeded: 1, failed: 0 });
        assert_eq!(window.sum(10_000), Tally { succeeded: 1, failed: 0 });
    }
}
