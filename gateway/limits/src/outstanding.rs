//! What is reserved and not settled yet, by the period in which it was reserved.
//!
//! A reservation is settled by the request that holds it. Should that request be lost without its
//! destructor running, its tokens come back when its period leaves the ring. A slot is one word, the
//! period's generation above the tokens, so that "still outstanding?" and "no longer outstanding" are one
//! atomic step: a reservation is either settled or expired, never both.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

/// Periods in the ring: a reservation expires after 15 to 16 of them.
pub(super) const PERIODS: u64 = 16;
const GENERATION_SHIFT: u32 = 48;
const TOKENS_MASK: u64 = (1 << GENERATION_SHIFT) - 1;

/// When a reservation was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period(u64);

/// The ring. Any thread adds and removes; the owner of the counter alone rolls.
#[derive(Debug)]
pub(super) struct Outstanding {
    current: AtomicU64,
    slots: [AtomicU64; PERIODS as usize],
}

impl Outstanding {
    /// An empty ring that starts at `period`.
    pub(super) fn new(period: u64) -> Self {
        let ring = Self { current: AtomicU64::new(0), slots: array::from_fn(|_| AtomicU64::new(0)) };
        ring.roll(period);
        ring
    }

    /// Notes `tokens` as reserved now.
    pub(super) fn add(&self, tokens: u64) -> Period {
        loop {
            let period = Period(self.current.load(Ordering::Acquire));
            // Refused only when the ring went round between these two lines: look again.
            if self.change(period, |held| held.saturating_add(tokens).min(TOKENS_MASK)) {
                return period;
            }
        }
    }

    /// Notes `tokens` of `period` as settled; false when they have expired.
    pub(super) fn remove(&self, period: Period, tokens: u64) -> bool {
        self.change(period, |held| held.saturating_sub(tokens))
    }

    /// Moves the ring to `period` and answers the tokens that expire by it.
    pub(super) fn roll(&self, period: u64) -> u64 {
        let current = self.current.load(Ordering::Acquire);
        if period <= current {
            return 0;
        }
        let first = (current + 1).max((period + 1).saturating_sub(PERIODS));
        let expired = (first..=period)
            .map(|next| self.slot(Period(next)).swap(empty(Period(next)), Ordering::AcqRel) & TOKENS_MASK)
            .sum();
        self.current.store(period, Ordering::Release);
        expired
    }

    /// Everything reserved and not settled.
    pub(super) fn total(&self) -> u64 {
        self.slots.iter().map(|slot| slot.load(Ordering::Acquire) & TOKENS_MASK).sum()
    }

    fn change(&self, period: Period, change: impl Fn(u64) -> u64) -> bool {
        let generation = empty(period);
        let update =
            |word: u64| (word & !TOKENS_MASK == generation).then(|| generation | change(word & TOKENS_MASK));
        self.slot(period).fetch_update(Ordering::AcqRel, Ordering::Acquire, update).is_ok()
    }

    fn slot(&self, period: Period) -> &AtomicU64 {
        &self.slots[(period.0 % PERIODS) as usize]
    }
}

/// The word of a period's slot that holds nothing. Generations repeat after 2^20 periods, which is years.
const fn empty(period: Period) -> u64 {
    (period.0 / PERIODS) << GENERATION_SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settled_reservation_is_no_longer_outstanding() {
        let ring = Outstanding::new(3);
        let period = ring.add(70);
        ring.add(5);
        assert!(ring.remove(period, 70));
        assert_eq!(ring.total(), 5);
    }

    #[test]
    fn a_reservation_lives_for_fifteen_periods_and_expires_in_the_sixteenth() {
        let ring = Outstanding::new(0);
        let period = ring.add(70);
        assert_eq!(ring.roll(15), 0);
        assert_eq!(ring.total(), 70);
        assert_eq!(ring.roll(16), 70);
        assert!(!ring.remove(period, 70), "it must not come back twice");
        assert_eq!(ring.total(), 0);
    }

    #[test]
    fn a_long_sleep_expires_everything_once() {
        let ring = Outstanding::new(0);
        for period in 0..10 {
            ring.roll(period);
            ring.add(1);
        }
        assert_eq!(ring.roll(1_000_000), 10);
        assert_eq!(ring.roll(1_000_000), 0);
        let period = ring.add(4);
        assert!(ring.remove(period, 4));
    }

    #[test]
    fn a_ring_may_start_late() {
        let ring = Outstanding::new(12_345);
        let period = ring.add(9);
        assert_eq!(ring.roll(12_360), 0);
        assert!(ring.remove(period, 9));
    }
}
