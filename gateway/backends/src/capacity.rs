//! The throughput that a backend has committed to, as a token bucket in one atomic word.
//!
//! Tokens fill the bucket when a request is admitted, by an estimate, and are corrected when it ends; the
//! bucket leaks at the committed rate. Its depth is what may be used at once. While load exceeds the
//! commitment the bucket is never empty, so nothing of what is paid for is lost, whatever the estimates.
//!
//! The word is the moment at which the bucket will be empty, ns on the process clock: one compare-exchange
//! takes tokens, and time needs no bookkeeping.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tollgate_base::clock::millis;

const MINUTE_NS: u128 = 60_000_000_000;
const MS_NS: u64 = 1_000_000;
/// Most that the bucket can hold beyond its depth, as time: a single report must not keep requests away for longer.
const MOST_DEBT_NS: u64 = 10 * 60_000_000_000;

/// The throughput that a backend has committed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapacityRules {
    /// Tokens per minute, prompt and completion together; at least 1.
    pub tokens_per_minute: u64,
    /// Depth of the bucket, as the time in which it leaks empty.
    pub burst: Duration,
    /// Longest time that a 429 keeps requests away; also the time if it has no `Retry-After`.
    pub max_busy: Duration,
}

/// The committed throughput as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CapacitySnapshot {
    /// Committed tokens per minute.
    pub tokens_per_minute: u64,
    /// Tokens that fit now.
    pub free_tokens: u64,
    /// How long a 429 still keeps requests away, ms; `None` if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_for_ms: Option<u64>,
    /// How often the backend has answered 429.
    pub refusals: u64,
}

/// The bucket; see the module.
#[derive(Debug)]
pub(super) struct Capacity {
    tokens_per_minute: AtomicU64,
    depth_ns: AtomicU64,
    max_busy_ms: AtomicU64,
    /// When the bucket will be empty.
    empty_at_ns: AtomicU64,
    /// Until when a 429 keeps requests away, clock ms.
    busy_until_ms: AtomicU64,
    refusals: AtomicU64,
}

impl Capacity {
    pub(super) fn new(rules: CapacityRules) -> Self {
        let capacity = Self {
            tokens_per_minute: AtomicU64::new(1),
            depth_ns: AtomicU64::new(0),
            max_busy_ms: AtomicU64::new(0),
            empty_at_ns: AtomicU64::new(0),
            busy_until_ms: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        };
        capacity.set_rules(rules);
        capacity
    }

    /// Replaces the rules. What is in the bucket takes as long to leak as under the old ones.
    pub(super) fn set_rules(&self, rules: CapacityRules) {
        let depth_ns = u64::try_from(rules.burst.as_nanos()).unwrap_or(u64::MAX);
        self.tokens_per_minute.store(rules.tokens_per_minute.max(1), Ordering::Relaxed);
        self.depth_ns.store(depth_ns, Ordering::Relaxed);
        self.max_busy_ms.store(millis(rules.max_busy), Ordering::Relaxed);
    }

    /// Whether a request of about this many tokens fits now.
    pub(super) fn fits(&self, now_ms: u64, tokens: u64) -> bool {
        now_ms >= self.busy_until_ms.load(Ordering::Relaxed)
            && self.overflow(self.empty_at_ns.load(Ordering::Relaxed), now_ms, tokens) == 0
    }

    /// Puts tokens in if they fit.
    pub(super) fn take(&self, now_ms: u64, tokens: u64) -> bool {
        if now_ms < self.busy_until_ms.load(Ordering::Relaxed) {
            return false;
        }
        let cost = self.cost_ns(tokens);
        let fill = |empty_at: u64| {
            let fits = self.overflow(empty_at, now_ms, tokens) == 0;
            fits.then(|| empty_at.max(ns(now_ms)).saturating_add(cost))
        };
        self.empty_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fill).is_ok()
    }

    /// Puts tokens in whether they fit or not.
    pub(super) fn charge(&self, now_ms: u64, tokens: u64) {
        let cost = self.cost_ns(tokens);
        let most =
            ns(now_ms).saturating_add(self.depth_ns.load(Ordering::Relaxed)).saturating_add(MOST_DEBT_NS);
        // The bucket may be over its depth already, under earlier rules; that excess leaks and is not cut off.
        let fill = |empty_at: u64| {
            let filled = empty_at.max(ns(now_ms)).saturating_add(cost);
            Some(filled.min(most.max(empty_at)))
        };
        let _ = self.empty_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fill);
    }

    /// Corrects an estimate that was put in by what was used.
    pub(super) fn settle(&self, now_ms: u64, estimated: u64, actual: u64) {
        if actual >= estimated {
            self.charge(now_ms, actual - estimated);
            return;
        }
        let cost = self.cost_ns(estimated - actual);
        let drain = |empty_at: u64| Some(empty_at.saturating_sub(cost));
        let _ = self.empty_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, drain);
    }

    /// The backend answered 429: nothing fits for as long as it says, but no longer than is allowed. Of
    /// several answers the one with the shortest wait counts.
    pub(super) fn refused(&self, now_ms: u64, retry_after: Option<Duration>) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        let longest = self.max_busy_ms.load(Ordering::Relaxed);
        let until = now_ms.saturating_add(retry_after.map_or(longest, |wait| millis(wait).min(longest)));
        let shortest =
            |busy_until: u64| Some(if busy_until > now_ms { busy_until.min(until) } else { until });
        let _ = self.busy_until_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shortest);
    }

    /// How long until a request of about this many tokens fits: zero if it fits now, `None` if it never will.
    pub(super) fn fits_in(&self, now_ms: u64, tokens: u64) -> Option<Duration> {
        if self.cost_ns(tokens) > self.depth_ns.load(Ordering::Relaxed) {
            return None;
        }
        let overflow = self.overflow(self.empty_at_ns.load(Ordering::Relaxed), now_ms, tokens);
        let busy = self.busy_until_ms.load(Ordering::Relaxed).saturating_sub(now_ms);
        Some(Duration::from_nanos(overflow).max(Duration::from_millis(busy)))
    }

    pub(super) fn snapshot(&self, now_ms: u64) -> CapacitySnapshot {
        let tokens_per_minute = self.tokens_per_minute.load(Ordering::Relaxed);
        let level = self.empty_at_ns.load(Ordering::Relaxed).saturating_sub(ns(now_ms));
        let free_ns = self.depth_ns.load(Ordering::Relaxed).saturating_sub(level);
        let free_tokens = u128::from(free_ns) * u128::from(tokens_per_minute) / MINUTE_NS;
        let busy = self.busy_until_ms.load(Ordering::Relaxed).saturating_sub(now_ms);
        CapacitySnapshot {
            tokens_per_minute,
            free_tokens: u64::try_from(free_tokens).unwrap_or(u64::MAX),
            busy_for_ms: (busy > 0).then_some(busy),
            refusals: self.refusals.load(Ordering::Relaxed),
        }
    }

    /// By how much the tokens would overflow the bucket, ns.
    fn overflow(&self, empty_at_ns: u64, now_ms: u64, tokens: u64) -> u64 {
        let level = empty_at_ns.saturating_sub(ns(now_ms));
        let filled = level.saturating_add(self.cost_ns(tokens));
        filled.saturating_sub(self.depth_ns.load(Ordering::Relaxed))
    }

    /// How long the tokens take to leak.
    fn cost_ns(&self, tokens: u64) -> u64 {
        let rate = u128::from(self.tokens_per_minute.load(Ordering::Relaxed));
        u64::try_from(u128::from(tokens) * MINUTE_NS / rate).unwrap_or(u64::MAX)
    }
}

const fn ns(ms: u64) -> u64 {
    ms.saturating_mul(MS_NS)
}

#[cfg(test)]
#[path = "capacity_tests.rs"]
mod tests;
