//! Arithmetic of a sliding window: a token bucket, pure and in integers.
//!
//! A level is counted in grains, as many to the unit as the span has milliseconds: a limit of `n` units per span
//! refills exactly `n` grains per millisecond, so nothing is ever rounded away. The level may be negative: that is
//! debt, left by calls that used more than they had reserved. Debt is at most [`MOST_DEBT_MS`] of refill: what a
//! backend reports may be absurd, and must not lock a counter for longer than that.
//!
//! The level seen between two refills lives in a lease cell, in whole units, and changes there by
//! [`reserve`] and [`settle`]. [`Bucket::refill`] does not know *when* between two refills units
//! were taken or given back, so it credits what is right in the worst case: everything was given back at
//! the beginning and taken at the end. It therefore may credit less than a bucket that is refilled
//! continuously, by at most the refill of one interval and only near the top, but never more.

use std::time::Duration;

use super::Ask;

/// Largest limit and largest amount of one request; more counts as this much.
pub const MAX_AMOUNT: u64 = 1_000_000_000_000;

/// The most debt that is kept, in milliseconds of refill: 10 minutes.
const MOST_DEBT_MS: i64 = 600_000;

/// The state of one bucket as its owner knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Units, at most [`MAX_AMOUNT`].
    amount: i64,
    /// Grains at `at_ms`.
    level: i64,
    /// Moment of the last refill.
    at_ms: u64,
    /// Grains per unit.
    grains: i64,
}

impl Bucket {
    /// A full bucket of a span of at least 1 ms.
    pub(super) fn full(span_ms: i64, amount: u64, now_ms: u64) -> Self {
        let (amount, grains) = (whole(amount), span_ms);
        Self { amount, level: amount * grains, at_ms: now_ms, grains }
    }

    /// Whole units in the bucket, rounded down.
    const fn units(&self) -> i64 {
        self.level.div_euclid(self.grains)
    }

    /// Credits the time since the last refill and answers the whole units gained.
    ///
    /// `given_back` are the units that came back into the lease since then.
    pub(super) fn refill(&mut self, now_ms: u64, given_back: u64) -> u64 {
        let elapsed_ms = i128::from(now_ms.saturating_sub(self.at_ms));
        self.at_ms = self.at_ms.max(now_ms);
        let top = i128::from(self.amount) * i128::from(self.grains);
        let returned = i128::from(whole(given_back)) * i128::from(self.grains);
        let room = top - i128::from(self.level) - returned;
        if room < 0 {
            // The lease may have run over, and the fraction of a unit with it.
            self.level -= self.level.rem_euclid(self.grains);
        }
        let credit = (i128::from(self.amount) * elapsed_ms).min(room.max(0));
        let before = self.units();
        self.level = self.level.saturating_add(i64::try_from(credit).unwrap_or(i64::MAX));
        u64::try_from(self.units() - before).unwrap_or(0)
    }

    /// Takes over the whole units that the lease holds; the fraction of a unit stays.
    pub(super) fn adopt(&mut self, units: i64) {
        let fraction = if units >= self.amount { 0 } else { self.level.rem_euclid(self.grains) };
        self.level = units.min(self.amount).saturating_mul(self.grains).saturating_add(fraction);
    }

    /// The level, in units, below which debt is forgiven.
    pub(super) const fn lowest(&self) -> i64 {
        -(self.amount * MOST_DEBT_MS / self.grains)
    }

    /// Forgives all debt beyond the most that is kept, fractions too.
    pub(super) const fn forgive(&mut self) {
        self.level = self.lowest() * self.grains;
    }

    /// Changes the amount and keeps what was consumed; answers how many units the level moved.
    pub(super) fn set_amount(&mut self, amount: u64) -> i64 {
        let amount = whole(amount);
        let moved = amount - self.amount;
        self.amount = amount;
        self.level = self.level.saturating_add(moved * self.grains);
        moved
    }

    /// Time until the bucket holds `units` if nothing is taken.
    pub(super) fn time_until(&self, units: u64) -> Duration {
        let lacking = i128::from(whole(units)) * i128::from(self.grains) - i128::from(self.level);
        wait(lacking, self.amount)
    }

    /// Time until the bucket is full if nothing is taken.
    pub(super) fn time_until_full(&self) -> Duration {
        self.time_until(unsigned(self.amount))
    }
}

/// Lease level after taking what is asked for; `None` when it does not fit.
pub(super) fn reserve(free: i64, ask: Ask) -> Option<i64> {
    let left = free.checked_sub(whole(ask.amount))?;
    (left >= whole(ask.keep_free)).then_some(left)
}

/// Lease level after a call that had reserved `reserved` used `actual` units. What comes back never
/// raises the level above the amount; what was used beyond the reservation becomes debt.
pub(super) fn settle(free: i64, amount: u64, reserved: u64, actual: u64) -> i64 {
    give(free, amount, whole(reserved) - whole(actual))
}

/// Lease level after putting `units` in, up to the amount, or taking them out when negative.
pub(super) fn give(free: i64, amount: u64, units: i64) -> i64 {
    let level = free.saturating_add(units);
    if units > 0 { level.min(whole(amount).max(free)) } else { level }
}

/// Time until a lease level reaches the amount.
pub(super) fn time_to_fill(span_ms: i64, free: i64, amount: u64) -> Duration {
    let amount = whole(amount);
    wait((i128::from(amount) - i128::from(free)) * i128::from(span_ms), amount)
}

fn wait(lacking_grains: i128, grains_per_ms: i64) -> Duration {
    if lacking_grains <= 0 {
        return Duration::ZERO;
    }
    if grains_per_ms == 0 {
        return Duration::MAX;
    }
    let rate = i128::from(grains_per_ms);
    Duration::from_millis(u64::try_from((lacking_grains + rate - 1) / rate).unwrap_or(u64::MAX))
}

fn whole(units: u64) -> i64 {
    units.min(MAX_AMOUNT).cast_signed()
}

const fn unsigned(units: i64) -> u64 {
    if units < 0 { 0 } else { units.cast_unsigned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn bucket(per_minute: u64) -> Bucket {
        Bucket::full(MINUTE, per_minute, 0)
    }

    #[test]
    fn refill_is_exact_over_odd_intervals() {
        let mut bucket = bucket(7);
        bucket.adopt(0);
        let mut gained = 0;
        for step in 1..=6_000 {
            gained += bucket.refill(step * 10, 0);
        }
        assert_eq!((gained, bucket.units()), (7, 7));
    }

    #[test]
    fn a_full_bucket_gains_nothing_from_idling() {
        let mut bucket = bucket(1_000);
        assert_eq!(bucket.refill(3_600_000, 0), 0);
        bucket.adopt(0); // taken at some unknown moment of that hour
        assert_eq!(bucket.refill(3_600_000, 0), 0);
    }

    #[test]
    fn what_is_given_back_leaves_less_room_for_refill() {
        let mut bucket = bucket(100);
        bucket.adopt(90);
        assert_eq!(bucket.refill(60_000, 4), 6);
    }

    #[test]
    fn the_wait_is_exactly_long_enough() {
        let mut bucket = bucket(90);
        bucket.adopt(0);
        let wait = bucket.time_until(31);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap();
        let mut early = bucket;
        early.refill(wait_ms - 1, 0);
        assert_eq!(early.units(), 30);
        bucket.refill(wait_ms, 0);
        assert_eq!(bucket.units(), 31);
    }

    #[test]
    fn a_changed_limit_keeps_what_was_consumed() {
        let mut bucket = bucket(1_000);
        bucket.adopt(400);
        assert_eq!(bucket.set_amount(700), -300);
        assert_eq!(bucket.units(), 100);
        bucket.set_amount(500);
        assert_eq!(bucket.units(), -100);
    }

    #[test]
    fn a_reservation_leaves_what_must_stay_free() {
        assert_eq!(reserve(100, Ask { amount: 50, keep_free: 50 }), Some(50));
        assert_eq!(reserve(100, Ask { amount: 51, keep_free: 50 }), None);
        assert_eq!(reserve(-1, Ask { amount: 0, keep_free: 0 }), None);
    }

    #[test]
    fn settling_refunds_up_to_the_limit_and_leaves_debt() {
        assert_eq!(settle(10, 100, 50, 20), 40);
        assert_eq!(settle(90, 100, 50, 20), 100);
        assert_eq!(settle(10, 100, 50, 80), -20);
    }

    #[test]
    fn extreme_amounts_saturate() {
        let mut bucket = bucket(u64::MAX);
        assert_eq!(bucket.units().cast_unsigned(), MAX_AMOUNT);
        bucket.adopt(i64::MIN);
        bucket.refill(u64::MAX, u64::MAX);
        assert!(reserve(i64::MIN, Ask { amount: u64::MAX, keep_free: u64::MAX }).is_none());
        assert_eq!(time_to_fill(MINUTE, 0, 0), Duration::ZERO);
        assert_eq!(time_to_fill(MINUTE, -5, 0), Duration::MAX);
    }

    #[test]
    fn every_span_refills_its_amount_in_its_time_and_keeps_ten_minutes_of_debt() {
        for (span_ms, lowest) in [(1_000, -36_000), (60_000, -600), (3_600_000, -10)] {
            let mut bucket = Bucket::full(span_ms, 60, 0);
            assert_eq!(bucket.lowest(), lowest, "{span_ms}");
            bucket.adopt(0);
            assert_eq!(
                (bucket.refill(span_ms.unsigned_abs() - 1, 0), bucket.refill(span_ms.unsigned_abs(), 0)),
                (59, 1),
                "{span_ms}"
            );
            bucket.adopt(i64::MIN);
            bucket.forgive();
            assert_eq!(bucket.time_until(0), Duration::from_secs(600), "{span_ms}");
        }
    }

    #[test]
    fn the_debt_of_the_largest_limit_fits_a_level() {
        let mut bucket = Bucket::full(3_600_000, u64::MAX, 0);
        bucket.adopt(i64::MIN);
        bucket.forgive();
        assert_eq!(bucket.time_until(0), Duration::from_millis(MOST_DEBT_MS.unsigned_abs()));
    }
}
