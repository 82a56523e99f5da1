//! Arithmetic of a token bucket, pure and in integers.
//!
//! A level is counted in grains, 60,000 to the token: a rule of `n` tokens per minute refills exactly `n`
//! grains per millisecond, so nothing is ever rounded away. The level may be negative: that is debt,
//! left by calls that used more than they had reserved.
//!
//! The level seen between two refills lives in a lease cell, in whole tokens, and changes there by
//! [`reserve`] and [`settle`]. [`TokenBucket::refill`] does not know *when* between two refills tokens
//! were taken or given back, so it credits what is right in the worst case: everything was given back at
//! the beginning and taken at the end. It therefore may credit less than a bucket that is refilled
//! continuously, by at most the refill of one interval and only near the top, but never more.

use std::time::Duration;

use super::{Ask, TokenRule};

/// Largest limit and largest amount of one request; more counts as this much.
pub const MAX_TOKENS: u64 = 1_000_000_000_000;

const GRAINS_PER_TOKEN: i64 = 60_000;

/// The state of one bucket as its owner knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenBucket {
    /// Tokens, at most [`MAX_TOKENS`].
    limit: i64,
    /// Grains at `at_ms`.
    level: i64,
    /// Moment of the last refill.
    at_ms: u64,
}

impl TokenBucket {
    /// A full bucket.
    pub(super) fn full(rule: TokenRule, now_ms: u64) -> Self {
        let limit = whole(rule.tokens_per_minute);
        Self { limit, level: limit * GRAINS_PER_TOKEN, at_ms: now_ms }
    }

    /// Whole tokens in the bucket, rounded down.
    pub(super) const fn tokens(&self) -> i64 {
        self.level.div_euclid(GRAINS_PER_TOKEN)
    }

    /// Credits the time since the last refill and answers the whole tokens gained.
    ///
    /// `given_back` are the tokens that came back into the lease since then.
    pub(super) fn refill(&mut self, now_ms: u64, given_back: u64) -> u64 {
        let elapsed_ms = i128::from(now_ms.saturating_sub(self.at_ms));
        self.at_ms = self.at_ms.max(now_ms);
        let top = i128::from(self.limit) * i128::from(GRAINS_PER_TOKEN);
        let returned = i128::from(whole(given_back)) * i128::from(GRAINS_PER_TOKEN);
        let room = top - i128::from(self.level) - returned;
        if room < 0 {
            // The lease may have run over, and the fraction of a token with it.
            self.level -= self.level.rem_euclid(GRAINS_PER_TOKEN);
        }
        let credit = (i128::from(self.limit) * elapsed_ms).min(room.max(0));
        let before = self.tokens();
        self.level = self.level.saturating_add(i64::try_from(credit).unwrap_or(i64::MAX));
        u64::try_from(self.tokens() - before).unwrap_or(0)
    }

    /// Takes over the whole tokens that the lease holds; the fraction of a token stays.
    pub(super) fn adopt(&mut self, tokens: i64) {
        let fraction = if tokens >= self.limit { 0 } else { self.level.rem_euclid(GRAINS_PER_TOKEN) };
        self.level = tokens.min(self.limit).saturating_mul(GRAINS_PER_TOKEN).saturating_add(fraction);
    }

    /// Changes the limit and keeps what was consumed; answers how many tokens the level moved.
    pub(super) fn set_rule(&mut self, rule: TokenRule) -> i64 {
        let limit = whole(rule.tokens_per_minute);
        let moved = limit - self.limit;
        self.limit = limit;
        self.level = self.level.saturating_add(moved * GRAINS_PER_TOKEN);
        moved
    }

    /// Time until the bucket holds `tokens` if nothing is taken.
    pub(super) fn time_until(&self, tokens: u64) -> Duration {
        let lacking = i128::from(whole(tokens)) * i128::from(GRAINS_PER_TOKEN) - i128::from(self.level);
        wait(lacking, self.limit)
    }

    /// Time until the bucket is full if nothing is taken.
    pub(super) fn time_until_full(&self) -> Duration {
        self.time_until(unsigned(self.limit))
    }
}

/// Lease level after taking what is asked for; none when it does not fit.
pub(super) fn reserve(free: i64, ask: Ask) -> Option<i64> {
    let left = free.checked_sub(whole(ask.tokens))?;
    (left >= whole(ask.keep_free)).then_some(left)
}

/// Lease level after a call that had reserved `reserved` used `actual` tokens. What comes back never
/// raises the level above the limit; what was used beyond the reservation becomes debt.
pub(super) fn settle(free: i64, limit: u64, reserved: u64, actual: u64) -> i64 {
    give(free, limit, whole(reserved) - whole(actual))
}

/// Lease level after putting `tokens` in, up to the limit, or taking them out when negative.
pub(super) fn give(free: i64, limit: u64, tokens: i64) -> i64 {
    let level = free.saturating_add(tokens);
    if tokens > 0 { level.min(whole(limit).max(free)) } else { level }
}

/// Time until a lease level reaches the limit.
pub(super) fn time_to_fill(free: i64, limit: u64) -> Duration {
    let limit = whole(limit);
    wait((i128::from(limit) - i128::from(free)) * i128::from(GRAINS_PER_TOKEN), limit)
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

fn whole(tokens: u64) -> i64 {
    tokens.min(MAX_TOKENS).cast_signed()
}

const fn unsigned(tokens: i64) -> u64 {
    if tokens < 0 { 0 } else { tokens.cast_unsigned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(tokens_per_minute: u64) -> TokenBucket {
        TokenBucket::full(TokenRule { tokens_per_minute }, 0)
    }

    #[test]
    fn refill_is_exact_over_odd_intervals() {
        let mut bucket = bucket(7);
        bucket.adopt(0);
        let mut gained = 0;
        for step in 1..=6_000 {
            gained += bucket.refill(step * 10, 0);
        }
        assert_eq!((gained, bucket.tokens()), (7, 7));
    }

    #[test]
    fn a_full_bucket_gains_nothing_from_idling() {
        let mut bucket = bucket(1_000);
        assert_eq!(bucket.refill(3_600_000, 0), 0);
        bucket.adopt(0); // taken at some unknown moment of that hour
        assert_eq!(bucket.refill(3_600_000, 0), 0);
    }

    #[test]
    fn tokens_given_back_leave_less_room_for_refill() {
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
        assert_eq!(early.tokens(), 30);
        bucket.refill(wait_ms, 0);
        assert_eq!(bucket.tokens(), 31);
    }

    #[test]
    fn a_changed_limit_keeps_what_was_consumed() {
        let mut bucket = bucket(1_000);
        bucket.adopt(400);
        assert_eq!(bucket.set_rule(TokenRule { tokens_per_minute: 700 }), -300);
        assert_eq!(bucket.tokens(), 100);
        bucket.set_rule(TokenRule { tokens_per_minute: 500 });
        assert_eq!(bucket.tokens(), -100);
    }

    #[test]
    fn a_reservation_leaves_what_must_stay_free() {
        assert_eq!(reserve(100, Ask { tokens: 50, keep_free: 50 }), Some(50));
        assert_eq!(reserve(100, Ask { tokens: 51, keep_free: 50 }), None);
        assert_eq!(reserve(-1, Ask { tokens: 0, keep_free: 0 }), None);
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
        assert_eq!(bucket.tokens().cast_unsigned(), MAX_TOKENS);
        bucket.adopt(i64::MIN);
        bucket.refill(u64::MAX, u64::MAX);
        assert!(reserve(i64::MIN, Ask { tokens: u64::MAX, keep_free: u64::MAX }).is_none());
        assert_eq!(time_to_fill(0, 0), Duration::ZERO);
        assert_eq!(time_to_fill(-5, 0), Duration::MAX);
    }
}
