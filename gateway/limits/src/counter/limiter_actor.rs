//! Keeps the window of one counter: refills its lease, expires lost reservations, forgives absurd debt, changes its
//! amount.
//!
//! The actor sleeps while the counter is full and nobody holds a reservation, and leaves after a long sleep.
//! Otherwise it wakes often enough to see when units were taken: near the top of a bucket that is
//! needed to credit time exactly (see `bucket`), far from it a second is enough.
//!
//! What it knows outlives it: the level is in the cell, the rest in the counter's checkpoint, which is
//! written before any unit is credited. A crash in between loses that credit rather than giving it twice.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tollgate_base::clock::millis;

use super::{Counter, Hold};
use crate::Ask;
use crate::lease::NotTaken;
use crate::window::WindowState;

/// Shortest and longest time between two looks at a lease that is in use.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Asks that may wait in the mailbox; further callers wait outside of it.
const MAILBOX: usize = 256;

/// Reserve after a refill: the lease did not cover it, or the amount is another one.
#[derive(Message)]
#[rtype(result = "Answer")]
pub(crate) struct Reserve {
    pub(crate) amount: u64,
    pub(crate) ask: Ask,
}

/// Answer to [`Reserve`]. A hold whose asker has gone away releases itself.
#[derive(Debug)]
pub(crate) enum Answer {
    Granted(Hold),
    Refused {
        retry_after: Duration,
    },
    /// The key is being served by another counter already.
    Sealed,
}

/// The lease changed while the actor slept.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Wake;

/// The owner of one counter.
pub(crate) struct LimiterActor {
    counter: Arc<Counter>,
    state: WindowState,
    /// Since when the counter has been full and unused, clock ms.
    idle_since_ms: Option<u64>,
    timer: Option<SpawnHandle>,
}

impl LimiterActor {
    /// Takes the counter over from where it stands.
    pub(super) fn new(counter: Arc<Counter>) -> Self {
        let state = counter.checkpoint();
        Self { counter, state, idle_since_ms: None, timer: None }
    }

    /// Brings window and lease up to the present.
    fn refresh(&mut self) {
        let now_ms = self.counter.now_ms();
        self.counter.expire(now_ms);
        refill_lease(&mut self.state, &self.counter, now_ms);
    }

    fn set_amount(&mut self, amount: u64) {
        let moved = self.state.set_amount(amount);
        self.counter.save(self.state);
        self.counter.cell().set_limit(amount, moved);
    }

    /// Looks at the lease and decides when to look again.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.refresh();
        let counter = Arc::clone(&self.counter);
        let cell = counter.cell();
        if cell.is_sealed() {
            ctx.stop();
            return;
        }
        let again = if cell.is_full() {
            cell.set_sleeping();
            // A request that came before it could see the actor sleep.
            let missed = !cell.is_full() && cell.must_wake();
            if missed { LOOK_AGAIN.0 } else { self.sleep(ctx) }
        } else {
            self.idle_since_ms = None;
            let until_full = self.state.time_until_full();
            until_full.clamp(LOOK_AGAIN.0, LOOK_AGAIN.1)
        };
        self.look_after(again.min(counter.period()), ctx);
    }

    /// The counter is full: how long to sleep, or leave if it has been so for long.
    fn sleep(&mut self, ctx: &mut Context<Self>) -> Duration {
        if self.counter.cell().live() > 0 {
            self.idle_since_ms = None;
            return self.counter.period();
        }
        let now_ms = self.counter.now_ms();
        let since_ms = *self.idle_since_ms.get_or_insert(now_ms);
        let left_ms = (since_ms + millis(self.counter.idle_after())).saturating_sub(now_ms);
        if left_ms == 0 && self.counter.retire() {
            ctx.stop();
        }
        Duration::from_millis(left_ms).max(LOOK_AGAIN.0)
    }

    fn look_after(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = Some(ctx.run_later(wait, |actor, ctx| actor.look(ctx)));
    }
}

/// Credits the lease with the time since the last refill, and forgives debt beyond the most that is kept.
pub(crate) fn refill_lease(state: &mut WindowState, counter: &Counter, now_ms: u64) {
    let cell = counter.cell();
    let credit = state.refill(now_ms, cell.drain_given_back());
    counter.save(*state);
    cell.credit(credit);
    let in_debt = cell.free();
    if cell.forgive(state.lowest()) {
        tracing::warn!(counter = %counter.key(), debt = in_debt.unsigned_abs(), "a counter's debt is cut to what ten minutes refill");
        state.forgive();
    }
    state.adopt(cell.free());
    counter.save(*state);
}

impl Actor for LimiterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.look(ctx);
    }
}

impl Drop for LimiterActor {
    /// However the actor ends, the next request that changes the level has to see to a new one.
    fn drop(&mut self) {
        self.counter.cell().set_sleeping();
    }
}

impl Handler<Reserve> for LimiterActor {
    type Result = MessageResult<Reserve>;

    fn handle(&mut self, message: Reserve, ctx: &mut Self::Context) -> Self::Result {
        let Reserve { amount, ask } = message;
        self.idle_since_ms = None;
        self.refresh();
        if self.counter.cell().limit() != amount {
            self.set_amount(amount);
        }
        let answer = match self.counter.cell().take(ask) {
            Ok(period) => Answer::Granted(Hold::new(Arc::clone(&self.counter), ask.amount, period)),
            Err(NotTaken::Sealed) => Answer::Sealed,
            Err(NotTaken::Short) => Answer::Refused {
                retry_after: self.state.time_until(ask.amount.saturating_add(ask.keep_free)),
            },
        };
        self.look(ctx);
        MessageResult(answer)
    }
}

impl Handler<Wake> for LimiterActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.idle_since_ms = None;
        self.look(ctx);
    }
}

/// Lets a test see what the death of the actor costs.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

#[cfg(test)]
impl Handler<Crash> for LimiterActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("a test asked for it");
    }
}
