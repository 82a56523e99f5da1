//! What a provider last said about its rate limits, in atomics.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tollgate_base::clock::millis;

use super::retry_after::RateHeaders;

/// Stands for a number that the provider has not reported yet.
const UNKNOWN: u64 = u64::MAX;

/// Counts and clock ms; each is replaced when a header reports a newer value.
#[derive(Debug)]
pub(super) struct RateCells {
    remaining_requests: AtomicU64,
    remaining_tokens: AtomicU64,
    requests_reset_at_ms: AtomicU64,
    tokens_reset_at_ms: AtomicU64,
}

/// A provider's rate limits as last reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RateSnapshot {
    /// Requests left in its window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_requests: Option<u64>,
    /// Tokens left in its window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_tokens: Option<u64>,
    /// Until its request window is full again, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_reset_in_ms: Option<u64>,
    /// Until its token window is full again, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_reset_in_ms: Option<u64>,
}

impl Default for RateCells {
    fn default() -> Self {
        let unknown = || AtomicU64::new(UNKNOWN);
        Self {
            remaining_requests: unknown(),
            remaining_tokens: unknown(),
            requests_reset_at_ms: unknown(),
            tokens_reset_at_ms: unknown(),
        }
    }
}

impl RateCells {
    pub(super) fn note(&self, rates: &RateHeaders, now_ms: u64) {
        let at_ms = |wait| now_ms.saturating_add(millis(wait));
        for (cell, value) in [
            (&self.remaining_requests, rates.remaining_requests),
            (&self.remaining_tokens, rates.remaining_tokens),
            (&self.requests_reset_at_ms, rates.reset_requests.map(at_ms)),
            (&self.tokens_reset_at_ms, rates.reset_tokens.map(at_ms)),
        ] {
            if let Some(value) = value {
                cell.store(value, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn snapshot(&self, now_ms: u64) -> RateSnapshot {
        let known = |cell: &AtomicU64| Some(cell.load(Ordering::Relaxed)).filter(|value| *value != UNKNOWN);
        let left = |cell: &AtomicU64| known(cell).map(|at_ms| at_ms.saturating_sub(now_ms));
        RateSnapshot {
            remaining_requests: known(&self.remaining_requests),
            remaining_tokens: known(&self.remaining_tokens),
            requests_reset_in_ms: left(&self.requests_reset_at_ms),
            tokens_reset_in_ms: left(&self.tokens_reset_at_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_a_header_does_not_say_stays_as_it_was() {
        let cells = RateCells::default();
        assert_eq!(cells.snapshot(0), RateSnapshot::default());
        let first = RateHeaders { remaining_tokens: Some(900), ..RateHeaders::default() };
        cells.note(&first, 0);
        let second = RateHeaders { reset_tokens: Some(Duration::from_secs(5)), ..RateHeaders::default() };
        cells.note(&second, 1_000);
        let seen = cells.snapshot(2_000);
        assert_eq!((seen.remaining_tokens, seen.tokens_reset_in_ms), (Some(900), Some(4_000)));
    }
}
