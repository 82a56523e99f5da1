//! From a counter key to its counter, and from a counter to a living actor.
//!
//! Counters are made on first use and leave when they are idle and full: a full bucket is what a new one
//! starts with, so nothing is forgotten. Their number is bounded; when the bound is reached the idle ones
//! leave at once, and if there is none a new key is refused rather than served unlimited.

use std::array;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::{Arbiter, ArbiterHandle};
use ahash::RandomState;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;

use super::lease::LeaseCell;
use super::limiter_actor::{Answer, LimiterActor, Reserve, Wake};
use super::outstanding::{PERIODS, Period};
use super::token_bucket::{MAX_TOKENS, TokenBucket};
use super::{Ask, Balance, CounterKey, LimitExceeded, LimiterSnapshot, TokenRule};
use crate::telemetry::clock::{Clock, millis};

const SHARDS: usize = 16;

/// How often a request looks for a living actor before it is refused.
const TRIES: usize = 4;

/// When a counter cannot be had at all: try again after this.
const UNAVAILABLE: Duration = Duration::from_secs(1);

/// Shortest time between two sweeps for idle counters, ms.
const SWEEP_EVERY_MS: u64 = 100;

/// How limiters treat their counters.
#[derive(Debug, Clone)]
pub struct LimiterOptions {
    /// After this a reservation that nobody settled comes back (up to a fifteenth later).
    pub reservation_expiry: Duration,
    /// A full and unused counter leaves after this.
    pub idle_after: Duration,
    /// Counter keys at the same time.
    pub max_keys: usize,
    /// Time for refill and expiry.
    pub clock: Clock,
}

impl Default for LimiterOptions {
    fn default() -> Self {
        Self {
            reservation_expiry: Duration::from_secs(15 * 60),
            idle_after: Duration::from_secs(5 * 60),
            max_keys: 1_000_000,
            clock: Clock::system(),
        }
    }
}

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
struct Registry {
    shards: [Shard; SHARDS],
    hasher: RandomState,
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
    #[must_use]
    pub fn start_in(arbiter: &ArbiterHandle, options: LimiterOptions) -> Self {
        Self(Arc::new(Registry {
            shards: array::from_fn(|_| Shard::default()),
            hasher: RandomState::new(),
            keys: AtomicUsize::new(0),
            swept_at_ms: AtomicU64::new(0),
            arbiter: arbiter.clone(),
            options,
            respawned: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
            expired_tokens: AtomicU64::new(0),
        }))
    }

    /// Takes tokens from the counter `key`. Waits for an actor only when the lease does not cover them
    /// or the key has had another rule so far.
    ///
    /// # Errors
    /// When the tokens do not fit now, or never will.
    pub async fn reserve(
        &self,
        key: &CounterKey,
        rule: TokenRule,
        ask: Ask,
    ) -> Result<Reservation, LimitExceeded> {
        let rule = TokenRule { tokens_per_minute: rule.tokens_per_minute.min(MAX_TOKENS) };
        if let Some(counter) = self.0.find(key)
            && counter.cell.limit() == rule.tokens_per_minute
            && let Ok(period) = counter.cell.take(ask)
        {
            counter.wake_if_asleep();
            return Ok(Reservation::new(counter, ask.tokens, period));
        }
        self.reserve_slowly(key, rule, ask).await
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

    async fn reserve_slowly(
        &self,
        key: &CounterKey,
        rule: TokenRule,
        ask: Ask,
    ) -> Result<Reservation, LimitExceeded> {
        for _ in 0..TRIES {
            let Some(counter) = self.0.find_or_create(key, rule) else { break };
            if ask.tokens > rule.tokens_per_minute {
                return Err(counter.refusal(rule, counter.balance().reset, true));
            }
            match counter.actor().send(Reserve { rule, ask }).await {
                Ok(Answer::Granted(reservation)) => return Ok(reservation),
                Ok(Answer::Refused { retry_after }) => return Err(counter.refusal(rule, retry_after, false)),
                Ok(Answer::Sealed) => self.0.forget(&counter),
                Err(_) => tracing::debug!(counter = %key, "the limiter died with a request waiting"),
            }
        }
        self.0.unavailable.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(counter = %key, "no limiter could be had");
        Err(LimitExceeded {
            limit: rule.tokens_per_minute,
            remaining: 0,
            retry_after: UNAVAILABLE,
            too_large: ask.tokens > rule.tokens_per_minute,
        })
    }
}

impl Registry {
    fn shard(&self, key: &CounterKey) -> &Shard {
        &self.shards[(self.hasher.hash_one(key) as usize) % SHARDS]
    }

    fn find(&self, key: &CounterKey) -> Option<Arc<Counter>> {
        self.shard(key).read().get(key).cloned()
    }

    /// None when there are too many keys.
    fn find_or_create(self: &Arc<Self>, key: &CounterKey, rule: TokenRule) -> Option<Arc<Counter>> {
        match self.find(key) {
            Some(counter) if !counter.cell.is_sealed() => return Some(counter),
            Some(sealed) => self.forget(&sealed),
            None => {}
        }
        if self.keys.load(Ordering::Relaxed) >= self.options.max_keys && !self.sweep() {
            return None;
        }
        let mut shard = self.shard(key).write();
        let counter = shard.entry(key.clone()).or_insert_with(|| {
            self.keys.fetch_add(1, Ordering::Relaxed);
            Arc::new(Counter::new(key.clone(), rule, Arc::downgrade(self), &self.options, &self.arbiter))
        });
        Some(Arc::clone(counter))
    }

    /// Removes a sealed counter from the map, unless its key has a new one already.
    fn forget(&self, counter: &Counter) {
        let mut shard = self.shard(&counter.key).write();
        if shard.get(&counter.key).is_some_and(|found| std::ptr::eq(Arc::as_ptr(found), counter)) {
            shard.remove(&counter.key);
            self.keys.fetch_sub(1, Ordering::Relaxed);
        }
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
                let sealed = counter.cell.try_seal();
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

/// One counter key: what outlives its actors.
#[derive(Debug)]
pub(super) struct Counter {
    key: CounterKey,
    cell: LeaseCell,
    /// The bucket as its actor last knew it. Written by the actor, read when there is a new one.
    checkpoint: Mutex<TokenBucket>,
    actor: Mutex<Option<Addr<LimiterActor>>>,
    registry: Weak<Registry>,
    arbiter: ArbiterHandle,
    clock: Clock,
    period: Duration,
    idle_after: Duration,
}

impl Counter {
    fn new(
        key: CounterKey,
        rule: TokenRule,
        registry: Weak<Registry>,
        options: &LimiterOptions,
        arbiter: &ArbiterHandle,
    ) -> Self {
        let period = (options.reservation_expiry / (PERIODS as u32 - 1)).max(Duration::from_millis(1));
        let now_ms = options.clock.now_ms();
        Self {
            key,
            cell: LeaseCell::full(rule.tokens_per_minute, now_ms / millis(period)),
            checkpoint: Mutex::new(TokenBucket::full(rule, now_ms)),
            actor: Mutex::new(None),
            registry,
            arbiter: arbiter.clone(),
            clock: options.clock.clone(),
            period,
            idle_after: options.idle_after,
        }
    }

    pub(super) fn cell(&self) -> &LeaseCell {
        &self.cell
    }

    pub(super) fn checkpoint(&self) -> TokenBucket {
        *self.checkpoint.lock()
    }

    pub(super) fn save(&self, bucket: TokenBucket) {
        *self.checkpoint.lock() = bucket;
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(super) fn period(&self) -> Duration {
        self.period
    }

    pub(super) fn idle_after(&self) -> Duration {
        self.idle_after
    }

    /// Gives back what was reserved too long ago.
    pub(super) fn expire(&self, now_ms: u64) {
        let tokens = self.cell.expire(now_ms / millis(self.period));
        if tokens == 0 {
            return;
        }
        tracing::warn!(counter = %self.key, tokens, "reservations were never settled and have expired");
        if let Some(registry) = self.registry.upgrade() {
            registry.expired_tokens.fetch_add(tokens, Ordering::Relaxed);
        }
    }

    /// Takes the counter out of use if nothing distinguishes it from a new one.
    pub(super) fn retire(&self) -> bool {
        let sealed = self.cell.try_seal();
        if sealed && let Some(registry) = self.registry.upgrade() {
            registry.forget(self);
        }
        sealed
    }

    /// The living actor; a new one if there is none.
    fn actor(self: &Arc<Self>) -> Addr<LimiterActor> {
        let mut slot = self.actor.lock();
        if let Some(actor) = slot.as_ref() {
            if actor.connected() {
                return actor.clone();
            }
            if let Some(registry) = self.registry.upgrade() {
                registry.respawned.fetch_add(1, Ordering::Relaxed);
            }
            tracing::error!(counter = %self.key, "the limiter died and is replaced");
        }
        let counter = Arc::clone(self);
        let actor = LimiterActor::start_in_arbiter(&self.arbiter, move |_| LimiterActor::new(counter));
        slot.insert(actor).clone()
    }

    /// Called after every change of the level.
    fn wake_if_asleep(self: &Arc<Self>) {
        if self.cell.must_wake() {
            // At most one such message is under way, so the mailbox bound needs no help here.
            self.actor().do_send(Wake);
        }
    }

    fn balance(&self) -> Balance {
        self.cell.balance()
    }

    fn refusal(&self, rule: TokenRule, retry_after: Duration, too_large: bool) -> LimitExceeded {
        let remaining = self.balance().remaining;
        LimitExceeded { limit: rule.tokens_per_minute, remaining, retry_after, too_large }
    }

    fn snapshot(&self) -> LimiterSnapshot {
        LimiterSnapshot {
            key: Arc::clone(&self.key.0),
            limit: self.cell.limit(),
            balance: self.cell.free(),
            reserved: self.cell.reserved(),
            reservations: self.cell.live(),
            reset_ms: millis(self.balance().reset),
            alive: self.actor.lock().as_ref().is_some_and(Addr::connected),
        }
    }
}

/// Tokens taken and not accounted for yet. Dropped unsettled, it gives all of them back.
#[derive(Debug)]
#[must_use = "a reservation that is dropped is released"]
pub struct Reservation {
    counter: Arc<Counter>,
    tokens: u64,
    period: Period,
    settled: bool,
}

impl Reservation {
    pub(super) fn new(counter: Arc<Counter>, tokens: u64, period: Period) -> Self {
        Self { counter, tokens, period, settled: false }
    }

    /// Tokens reserved.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// What the counter holds now.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.counter.balance()
    }

    /// Charges what was used, which may be more than was reserved, and answers the balance after it.
    pub fn settle(mut self, actual_tokens: u64) -> Balance {
        self.end(actual_tokens.min(MAX_TOKENS));
        self.counter.balance()
    }

    fn end(&mut self, actual_tokens: u64) {
        if !std::mem::replace(&mut self.settled, true) {
            self.counter.cell.settle(self.period, self.tokens, actual_tokens);
            self.counter.wake_if_asleep();
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.end(0);
    }
}

#[cfg(test)]
impl Counter {
    /// A counter of no registry, whose actor a test plays itself.
    pub(super) fn for_test(rule: TokenRule, clock: &Clock, reservation_expiry: Duration) -> Arc<Self> {
        let options =
            LimiterOptions { clock: clock.clone(), reservation_expiry, ..LimiterOptions::default() };
        Arc::new(Self::new(CounterKey("test".into()), rule, Weak::new(), &options, &Arbiter::current()))
    }

    pub(super) fn try_reserve(self: &Arc<Self>, ask: Ask) -> Option<Reservation> {
        self.cell.take(ask).ok().map(|period| Reservation::new(Arc::clone(self), ask.tokens, period))
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
