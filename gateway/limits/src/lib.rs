//! The state behind token limits: reserve before a call, settle after it.
//!
//! Modules in reading order: `token_bucket` is the arithmetic, pure; `outstanding` keeps the reserved
//! amounts so that lost reservations expire; `lease` is the atomic cell that requests take tokens from;
//! `limiter_actor` is the only one to put tokens into a cell; `counter` is what outlives the actor and
//! replaces one that died; `registry` finds the counter of a key.
//!
//! Invariants:
//! * a request waits for an actor only when the lease does not cover what it asks for;
//! * no more is granted, in any window of time, than the capacity plus what was refilled in that window;
//! * settling and releasing never wait, and a reservation dropped unsettled is released in full;
//! * the death of an actor changes no balance: cell and checkpoint outlive it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

mod counter;
mod lease;
mod limiter_actor;
mod outstanding;
#[cfg(test)]
mod properties;
mod registry;
mod token_bucket;

pub use counter::Reservation;
pub use registry::{LimiterOptions, LimiterStats, Limiters};
pub use token_bucket::MAX_TOKENS;

/// What is counted together: for example `subscription:checkout-team`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CounterKey(pub Arc<str>);

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many tokens a counter key may use. When the rule of a key changes, its consumption stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenRule {
    /// Capacity of the bucket and what is refilled per minute; at most [`MAX_TOKENS`] counts.
    pub tokens_per_minute: u64,
}

/// What a request wants to take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Tokens to reserve.
    pub tokens: u64,
    /// Tokens that must remain afterwards. A cheap upper bound is asked for with half the limit here, so
    /// that a generous guess never uses up a nearly empty bucket: when it is refused the caller counts
    /// exactly and asks again with 0.
    pub keep_free: u64,
}

/// What a counter key holds now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Balance {
    /// Tokens per minute.
    pub limit: u64,
    /// Tokens that can be taken now; 0 while the key is in debt.
    pub remaining: u64,
    /// Time until the bucket is full again if nothing is taken.
    pub reset: Duration,
}

/// Why nothing was reserved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the limit of {limit} tokens per minute leaves {remaining} tokens now")]
pub struct LimitExceeded {
    /// Tokens per minute.
    pub limit: u64,
    /// Tokens that can be taken now.
    pub remaining: u64,
    /// Time until the same request would be granted if nothing else is; meaningless when `too_large`.
    pub retry_after: Duration,
    /// The request is larger than the limit and can never be granted.
    pub too_large: bool,
}

/// One counter key as operators see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LimiterSnapshot {
    /// The counter key.
    pub key: Arc<str>,
    /// Tokens per minute.
    pub limit: u64,
    /// Tokens that can be taken now; negative while in debt.
    pub balance: i64,
    /// Tokens reserved and not settled yet.
    pub reserved: u64,
    /// Reservations not settled yet.
    pub reservations: u64,
    /// Time until the bucket is full again, ms.
    pub reset_ms: u64,
    /// Whether its actor is alive; a dead one is replaced when it is needed.
    pub alive: bool,
}
