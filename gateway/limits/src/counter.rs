//! One counter key: what outlives its actors, and what requests hold of it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::ArbiterHandle;
use parking_lot::Mutex;
use tollgate_base::clock::{Clock, millis};

use super::lease::LeaseCell;
use super::limiter_actor::{LimiterActor, Wake};
use super::outstanding::{PERIODS, Period};
use super::registry::{LimiterOptions, Registry};
use super::token_bucket::{MAX_TOKENS, TokenBucket};
use super::{Balance, CounterKey, LimitExceeded, LimiterSnapshot, TokenRule};

/// Level, checkpoint and actor of one key.
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
    pub(super) fn new(
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

    pub(super) fn key(&self) -> &CounterKey {
        &self.key
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
            registry.note_expired(tokens);
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
    pub(super) fn actor(self: &Arc<Self>) -> Addr<LimiterActor> {
        let mut slot = self.actor.lock();
        if let Some(actor) = slot.as_ref() {
            if actor.connected() {
                return actor.clone();
            }
            if let Some(registry) = self.registry.upgrade() {
                registry.note_respawn();
            }
            tracing::error!(counter = %self.key, "the limiter died and is replaced");
        }
        let counter = Arc::clone(self);
        let actor = LimiterActor::start_in_arbiter(&self.arbiter, move |_| LimiterActor::new(counter));
        slot.insert(actor).clone()
    }

    /// Called after every change of the level.
    pub(super) fn wake_if_asleep(self: &Arc<Self>) {
        if self.cell.must_wake() {
            // At most one such message is under way, so the mailbox bound needs no help here.
            self.actor().do_send(Wake);
        }
    }

    pub(super) fn balance(&self) -> Balance {
        self.cell.balance()
    }

    pub(super) fn refusal(&self, rule: TokenRule, retry_after: Duration, too_large: bool) -> LimitExceeded {
        let remaining = self.balance().remaining;
        LimitExceeded { limit: rule.tokens_per_minute, remaining, retry_after, too_large }
    }

    pub(super) fn snapshot(&self) -> LimiterSnapshot {
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
        Arc::new(Self::new(
            CounterKey("test".into()),
            rule,
            Weak::new(),
            &options,
            &actix_rt::Arbiter::current(),
        ))
    }

    pub(super) fn try_reserve(self: &Arc<Self>, ask: super::Ask) -> Option<Reservation> {
        self.cell.take(ask).ok().map(|period| Reservation::new(Arc::clone(self), ask.tokens, period))
    }
}
