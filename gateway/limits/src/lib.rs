//! Limits on use: reserve before a call, settle after it.
//!
//! A limit is a meter (what is counted), a window (over which time) and a key (whose use is counted together). Every
//! request reserves under all limits that apply to it or under none, and settles once, with what it consumed.
//!
//! Modules in reading order: `meter`, `window`, `rule`, `key` and `limit` say what a limit is; `bucket` is the arithmetic of a
//! sliding window, pure; `outstanding` keeps the reserved amounts so that lost reservations expire; `lease` is the
//! atomic cell that requests take units from; `counter` is what outlives its actor and replaces one that died, and
//! `counter::limiter_actor` the only one to put units into a cell; `registry` finds the counter of a key; `reservation`
//! is what a request holds.
//!
//! Invariants:
//! * a request waits for an actor only when the lease does not cover what it asks for;
//! * no more is granted, in any span of time, than the amount plus what was refilled in that time;
//! * settling and releasing never wait, and a reservation dropped unsettled is released in full;
//! * the death of an actor changes no balance: cell and checkpoint outlive it;
//! * no counter is in debt for longer than ten minutes of refill, whatever a backend reports.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

mod bucket;
mod counter;
mod key;
mod lease;
mod limit;
mod meter;
mod metrics;
mod options;
mod outstanding;
#[cfg(test)]
mod properties;
mod registry;
mod reservation;
mod rule;
mod window;

pub use bucket::MAX_AMOUNT;
pub use key::{CounterKey, Subject};
pub use limit::{KeySource, Limit};
pub use meter::{Consumed, Meter};
pub use metrics::LimiterMetrics;
pub use registry::{LimiterStats, Limiters};
pub use reservation::{Input, Reservation};
pub use rule::{LimitRule, Scope};
pub use window::{Span, Window};

/// What a request wants to take from one counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ask {
    /// Units to reserve.
    amount: u64,
    /// Units that must remain afterwards. A cheap upper bound is asked for with half the limit here, so
    /// that a generous guess never uses up a nearly empty bucket: when it is refused the request is counted
    /// exactly and asked for again with 0.
    keep_free: u64,
}

/// What a counter holds now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Balance {
    /// What is counted.
    pub meter: Meter,
    /// Over which time.
    pub window: Window,
    /// Units of the meter per window.
    pub limit: u64,
    /// Units that can be taken now; 0 while the counter is in debt.
    pub remaining: u64,
    /// Time until nothing is missing if nothing is taken.
    pub reset: Duration,
}

/// Why nothing was reserved.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LimitExceeded {
    /// The request does not fit now.
    #[error("the {rule} leaves {remaining} now")]
    UsedUp {
        /// The limit that it does not fit.
        rule: Arc<LimitRule>,
        /// Units that can be taken now.
        remaining: u64,
        /// Time until the same request would be granted if nothing else is.
        retry_after: Duration,
    },
    /// The request never fits.
    #[error("{needed} are more than the {rule} ever allows")]
    TooLarge {
        /// The limit that is smaller than the request.
        rule: Arc<LimitRule>,
        /// Units that the request needs.
        needed: u64,
    },
}

/// One counter as operators see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LimiterSnapshot {
    /// The counter key as text.
    pub key: String,
    /// Units per window.
    pub limit: u64,
    /// Units that can be taken now; negative while in debt.
    pub balance: i64,
    /// Units reserved and not settled yet.
    pub reserved: u64,
    /// Reservations not settled yet.
    pub reservations: u64,
    /// Time until nothing is missing, ms.
    pub reset_ms: u64,
    /// Whether its actor is alive; a dead one is replaced when it is needed.
    pub alive: bool,
}
