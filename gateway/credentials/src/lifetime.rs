//! When a fetched value is renewed, and until when it may be used. Pure.

use std::time::Duration;

use crate::clock::millis;

/// A value is renewed when this share of its life is over, percent; replicas spread over the five percent
/// before it.
const RENEW_AT_PERCENT: u64 = 80;
/// The five percent.
const SPREAD_PERCENT: u64 = 5;
/// A value is not used in its last seconds: it must still be valid when the backend reads it.
const MARGIN: Duration = Duration::from_secs(10);

/// The life of a fetched value, in milliseconds of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) from_ms: u64,
    renew_ms: u64,
    until_ms: u64,
}

/// What may be done with a value now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Use it.
    Fresh,
    /// Use it, and renew it.
    Aging,
    /// Do not use it.
    Over,
}

impl Lifetime {
    /// The life of a value that was got now and is valid for `life`; `spread` is 0 to 1.
    pub(crate) fn new(now_ms: u64, life: Duration, spread: f64) -> Self {
        let life = millis(life);
        // A short life keeps nine tenths of itself.
        let margin = millis(MARGIN).min(life / 10);
        let early = (life / 100).saturating_mul(SPREAD_PERCENT) as f64 * spread.clamp(0.0, 1.0);
        let renew = life.saturating_sub(life / 100 * (100 - RENEW_AT_PERCENT)).saturating_sub(early as u64);
        Self {
            from_ms: now_ms,
            renew_ms: now_ms.saturating_add(renew),
            until_ms: now_ms.saturating_add(life - margin),
        }
    }

    pub(crate) const fn phase(&self, now_ms: u64) -> Phase {
        if now_ms < self.renew_ms {
            Phase::Fresh
        } else if now_ms < self.until_ms {
            Phase::Aging
        } else {
            Phase::Over
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_renewed_after_48_minutes_and_used_to_ten_seconds_before_its_end() {
        let life = Lifetime::new(1000, Duration::from_secs(3600), 0.0);
        assert_eq!(life.phase(1000 + 2_879_999), Phase::Fresh);
        assert_eq!(life.phase(1000 + 2_880_000), Phase::Aging);
        assert_eq!(life.phase(1000 + 3_589_999), Phase::Aging);
        assert_eq!(life.phase(1000 + 3_590_000), Phase::Over);
    }

    #[test]
    fn replicas_spread_over_five_percent_of_the_life() {
        let life = Lifetime::new(0, Duration::from_secs(100), 1.0);
        assert_eq!(life.phase(74_999), Phase::Fresh);
        assert_eq!(life.phase(75_000), Phase::Aging);
    }

    #[test]
    fn a_short_life_is_still_of_use() {
        let life = Lifetime::new(0, Duration::from_secs(5), 0.0);
        assert_eq!(life.phase(3_900), Phase::Fresh);
        assert_eq!(life.phase(4_400), Phase::Aging);
        assert_eq!(life.phase(4_500), Phase::Over);
    }

    #[test]
    fn endless_lives_do_not_overflow() {
        assert_eq!(Lifetime::new(u64::MAX - 1, Duration::MAX, 1.0).phase(u64::MAX - 1), Phase::Fresh);
    }
}
