//! One counter key: what outlives its actors, and what requests hold of it.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::ArbiterHandle;
use parking_lot::Mutex;
use tollgate_base::clock::{Clock, millis};

use super::lease::LeaseCell;
use super::options::LimiterOptions;
use super::outstanding::{PERIODS, Period};
use super::window::WindowState;
use super::{Balance, Consumed, CounterKey, LimitExceeded, LimitRule, LimiterSnapshot, MAX_AMOUNT};

use limiter_actor::{LimiterActor, Wake};

pub(super) mod limiter_actor;

/// Whoever finds counters by their keys.
pub(super) trait Keeper: fmt::Debug + Send + Sync {
    /// The counter is out of use.
    fn forget(&self, counter: &Counter);

    /// The counter's actor died and is replaced.
    fn note_respawn(&self);

    /// So many units came back that nobody had settled.
    fn note_expired(&self, units: u64);
}

/// Level, checkpoint and actor of one key.
#[derive(Debug)]
pub(super) struct Counter {
    key: CounterKey,
    cell: LeaseCell,
    /// The window as its actor last knew it. Written by the actor, read when there is a new one.
    checkpoint: Mutex<WindowState>,
    actor: Mutex<Option<Addr<LimiterActor>>>,
    keeper: Weak<dyn Keeper>,
    arbiter: ArbiterHandle,
    clock: Clock,
    period: Duration,
    idle_after: Duration,
}

impl Counter {
    pub(super) fn new(
        key: CounterKey,
        amount: u64,
        keeper: Weak<dyn Keeper>,
        options: &LimiterOptions,
        arbiter: &ArbiterHandle,
    ) -> Self {
        let period = (options.reservation_expiry / (PERIODS as u32 - 1)).max(Duration::from_millis(1));
        let now_ms = options.clock.now_ms();
        let (meter, window) = (key.meter(), key.window());
        Self {
            key,
            cell: LeaseCell::full(meter, window, amount, now_ms / millis(period)),
            checkpoint: Mutex::new(WindowState::full(window, amount, now_ms)),
            actor: Mutex::new(None),
            keeper,
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

    pub(super) fn checkpoint(&self) -> WindowState {
        *self.checkpoint.lock()
    }

    pub(super) fn save(&self, state: WindowState) {
        *self.checkpoint.lock() = state;
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
        let units = self.cell.expire(now_ms / millis(self.period));
        if units == 0 {
            return;
        }
        tracing::warn!(counter = %self.key, tokens = units, "reservations were never settled and have expired");
        if let Some(keeper) = self.keeper.upgrade() {
            keeper.note_expired(units);
        }
    }

    /// Takes the counter out of use if nothing distinguishes it from a new one.
    pub(super) fn retire(&self) -> bool {
        let sealed = self.cell.try_seal();
        if sealed && let Some(keeper) = self.keeper.upgrade() {
            keeper.forget(self);
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
            if let Some(keeper) = self.keeper.upgrade() {
                keeper.note_respawn();
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

    pub(super) fn refusal(&self, rule: &Arc<LimitRule>, retry_after: Duration) -> LimitExceeded {
        LimitExceeded::UsedUp { rule: Arc::clone(rule), remaining: self.balance().remaining, retry_after }
    }

    pub(super) fn snapshot(&self) -> LimiterSnapshot {
        LimiterSnapshot {
            key: self.key.to_string(),
            limit: self.cell.limit(),
            balance: self.cell.free(),
            reserved: self.cell.reserved(),
            reservations: self.cell.live(),
            reset_ms: millis(self.balance().reset),
            alive: self.actor.lock().as_ref().is_some_and(Addr::connected),
        }
    }
}

/// Units taken from one counter and not accounted for yet. Dropped unsettled, it gives all of them back.
#[derive(Debug)]
#[must_use = "a hold that is dropped is released"]
pub(super) struct Hold {
    counter: Arc<Counter>,
    units: u64,
    period: Period,
    settled: bool,
}

impl Hold {
    pub(super) fn new(counter: Arc<Counter>, units: u64, period: Period) -> Self {
        Self { counter, units, period, settled: false }
    }

    pub(super) fn balance(&self) -> Balance {
        self.counter.balance()
    }

    /// Charges what was consumed, which may be more than is held.
    pub(super) fn settle(mut self, consumed: &Consumed) {
        let actual = self.counter.key.meter().reading(consumed);
        self.end(actual.min(MAX_AMOUNT));
    }

    fn end(&mut self, actual: u64) {
        if !std::mem::replace(&mut self.settled, true) {
            self.counter.cell.settle(self.period, self.units, actual);
            self.counter.wake_if_asleep();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.end(0);
    }
}

#[cfg(test)]
impl Hold {
    pub(super) fn units(&self) -> u64 {
        self.units
    }
}

/// Keeps nothing.
#[cfg(test)]
#[derive(Debug)]
struct Nobody;

#[cfg(test)]
impl Keeper for Nobody {
    fn forget(&self, _: &Counter) {}

    fn note_respawn(&self) {}

    fn note_expired(&self, _: u64) {}
}

#[cfg(test)]
impl Counter {
    /// A counter that nobody keeps, whose actor a test plays itself.
    pub(super) fn for_test(limit: &super::Limit, clock: &Clock, reservation_expiry: Duration) -> Arc<Self> {
        let options =
            LimiterOptions { clock: clock.clone(), reservation_expiry, ..LimiterOptions::default() };
        let key = limit.key.key().into_owned();
        Arc::new(Self::new(
            key,
            limit.rule.amount,
            Weak::<Nobody>::new(),
            &options,
            &actix_rt::Arbiter::current(),
        ))
    }

    pub(super) fn try_reserve(self: &Arc<Self>, ask: super::Ask) -> Option<Hold> {
        self.cell.take(ask).ok().map(|period| Hold::new(Arc::clone(self), ask.amount, period))
    }
}
