//! From a counter key to its counter, and from a counter to a living actor.
//!
//! Counters are made on first use and leave when they are idle and full: full is how a new one
//! starts, so nothing is forgotten. Their number is bounded; when the bound is reached the idle ones
//! leave at once, and if there is none a new key is refused rather than served unlimited.

use std::array;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use ahash::RandomState;
use parking_lot::RwLock;
use serde::Serialize;

use super::counter::limiter_actor::{Answer, Reserve};
use super::counter::{Counter, Hold, Keeper};
use super::options::LimiterOptions;
use super::{Ask, Consumed, CounterKey, Limit, LimitExceeded, LimitRule, LimiterSnapshot, MAX_AMOUNT};

const SHARDS: usize = 16;

/// How often a request looks for a living actor before it is refused.
const TRIES: usize = 4;

/// When a counter cannot be had at all: try again after this.
const UNAVAILABLE: Duration = Duration::from_secs(1);

/// Shortest time between two sweeps for idle counters, ms.
const SWEEP_EVERY_MS: u64 = 100;

/// The limiters of this process; clones are the same limiters.
#[derive(Clone, Debug)]
pub struct Limiters(Arc<Registry>);

/// How the limiters are doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LimiterStats {
    /// Counter keys in memory.
    pub keys: usize,
    /// Actors that died and were replaced.
    pub respawned: u64,
    /// Requests refused because no counter could be had.
    pub unavailable: u64,
    /// Tokens that came back because nobody settled their reservation.
    pub expired_tokens: u64,
}

type Shard = RwLock<HashMap<CounterKey, Arc<Counter>, RandomState>>;

#[derive(Debug)]
pub(super) struct Registry {
    shards: [Shard; SHARDS],
    keys: AtomicUsize,
    swept_at_ms: AtomicU64,
    arbiter: ArbiterHandle,
    options: LimiterOptions,
    respawned: AtomicU64,
    unavailable: AtomicU64,
    expired_tokens: AtomicU64,
}

impl Limiters {
    /// Starts limiters on a thread of their own. Must be called inside an actix system.
    #[must_use]
    pub fn start() -> Self {
        Self::start_in(&Arbiter::new().handle(), LimiterOptions::default())
    }

    /// Starts limiters whose actors live in `arbiter`.
    pub(super) fn start_in(arbiter: &ArbiterHandle, options: LimiterOptions) -> Self {
        Self(Arc::new(Registry {
            shards: array::from_fn(|_| Shard::default()),
            keys: AtomicUsize::new(0),
            swept_at_ms: AtomicU64::new(0),
            arbiter: arbiter.clone(),
            options,
            respawned: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
            expired_tokens: AtomicU64::new(0),
        }))
    }

    /// All counters, for operators; in no particular order.
    #[must_use]
    pub fn observe(&self) -> Vec<LimiterSnapshot> {
        let shards = self.0.shards.iter();
        shards
            .flat_map(|shard| shard.read().values().map(|counter| counter.snapshot()).collect::<Vec<_>>())
            .collect()
    }

    /// How the limiters are doing.
    #[must_use]
    pub fn stats(&self) -> LimiterStats {
        LimiterStats {
            keys: self.0.keys.load(Ordering::Relaxed),
            respawned: self.0.respawned.load(Ordering::Relaxed),
            unavailable: self.0.unavailable.load(Ordering::Relaxed),
            expired_tokens: self.0.expired_tokens.load(Ordering::Relaxed),
        }
    }

    /// Takes units from the counter of one limit. Waits for an actor only when the lease does not cover them
    /// or the counter has had another amount so far.
    ///
    /// # Errors
    /// When the units do not fit now, or never will.
    pub(super) async fn hold(&self, limit: &Limit, ask: Ask) -> Result<Hold, LimitExceeded> {
        let key = limit.key.key();
        let amount = limit.rule.amount.min(MAX_AMOUNT);
        if let Some(counter) = self.0.find(&key)
            && counter.cell().limit() == amount
            && let Ok(period) = counter.cell().take(ask)
        {
            counter.wake_if_asleep();
            return Ok(Hold::new(counter, ask.amount, period));
        }
        Box::pin(self.hold_slowly(&key, &limit.rule, ask)).await
    }

    /// Charges what became known only after its request was settled, as debt where it is more than is left. Limits on
    /// requests have counted it already.
    pub fn charge(&self, limits: &[Limit], consumed: &Consumed) {
        for limit in limits.iter().filter(|limit| limit.rule.meter.counts_tokens()) {
            let units = limit.rule.meter.reading(consumed).min(MAX_AMOUNT);
            if units > 0 {
                self.0.charge(&limit.key.key(), limit.rule.amount.min(MAX_AMOUNT), units);
            }
        }
    }

    async fn hold_slowly(
        &self,
        key: &CounterKey,
        rule: &Arc<LimitRule>,
        ask: Ask,
    ) -> Result<Hold, LimitExceeded> {
        let amount = rule.amount.min(MAX_AMOUNT);
        if ask.amount > amount {
            return Err(LimitExceeded::TooLarge { rule: Arc::clone(rule), needed: ask.amount });
        }
        for _ in 0..TRIES {
            let Some(counter) = self.0.find_or_create(key, amount) else { break };
            match counter.actor().send(Reserve { amount, ask }).await {
                Ok(Answer::Granted(hold)) => return Ok(hold),
                Ok(Answer::Refused { retry_after }) => return Err(counter.refusal(rule, retry_after)),
                Ok(Answer::Sealed) => self.0.forget(&counter),
                Err(_) => tracing::debug!(counter = %key, "the limiter died with a request waiting"),
            }
        }
        self.0.unavailable.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(counter = %key, "no limiter could be had");
        Err(LimitExceeded::UsedUp { rule: Arc::clone(rule), remaining: 0, retry_after: UNAVAILABLE })
    }
}

impl Registry {
    fn shard(&self, key: &CounterKey) -> &Shard {
        &self.shards[(key.hashed() as usize) % SHARDS]
    }

    fn find(&self, key: &CounterKey) -> Option<Arc<Counter>> {
        self.shard(key).read().get(key).cloned()
    }

    /// `None` when there are too many keys.
    fn find_or_create(self: &Arc<Self>, key: &CounterKey, amount: u64) -> Option<Arc<Counter>> {
        match self.find(key) {
            Some(counter) if !counter.cell().is_sealed() => return Some(counter),
            Some(sealed) => self.forget(&sealed),
            None => {}
        }
        if self.keys.load(Ordering::Relaxed) >= self.options.max_keys && !self.sweep() {
            return None;
        }
        let mut shard = self.shard(key).write();
        let counter = shard.entry(key.clone()).or_insert_with(|| {
            self.keys.fetch_add(1, Ordering::Relaxed);
            let keeper: Weak<Self> = Arc::downgrade(self);
            Arc::new(Counter::new(key.clone(), amount, keeper, &self.options, &self.arbiter))
        });
        Some(Arc::clone(counter))
    }

    fn charge(self: &Arc<Self>, key: &CounterKey, amount: u64, units: u64) {
        for _ in 0..TRIES {
            let Some(counter) = self.find_or_create(key, amount) else { break };
            if counter.cell().charge(units) {
                // Its actor is what pays the debt off, and perhaps nobody has asked for it yet.
                counter.actor();
                counter.wake_if_asleep();
                return;
            }
            self.forget(&counter);
        }
        self.unavailable.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(counter = %key, units, "nothing could be charged: no limiter could be had");
    }

    /// Makes room by letting all counters go that are full and unused; false when there were none.
    fn sweep(&self) -> bool {
        let now_ms = self.options.clock.now_ms();
        let due =
            |last_ms: u64| (now_ms >= last_ms + SWEEP_EVERY_MS || last_ms == 0).then_some(now_ms.max(1));
        if self.swept_at_ms.fetch_update(Ordering::AcqRel, Ordering::Acquire, due).is_err() {
            return false;
        }
        let mut found = false;
        for shard in &self.shards {
            shard.write().retain(|_, counter| {
                let sealed = counter.cell().try_seal();
                if sealed {
                    self.keys.fetch_sub(1, Ordering::Relaxed);
                    counter.wake_if_asleep();
                    found = true;
                }
                !sealed
            });
        }
        found
    }
}

impl Keeper for Registry {
    /// Removes it from the map, unless its key has a new one already.
    fn forget(&self, counter: &Counter) {
        let mut shard = self.shard(counter.key()).write();
        if shard.get(counter.key()).is_some_and(|found| std::ptr::eq(Arc::as_ptr(found), counter)) {
            shard.remove(counter.key());
            self.keys.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn note_respawn(&self) {
        self.respawned.fetch_add(1, Ordering::Relaxed);
    }

    fn note_expired(&self, units: u64) {
        self.expired_tokens.fetch_add(units, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
