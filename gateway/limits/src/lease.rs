//! The cell that requests take units from, with a few atomic steps and without a message.
//!
//! All units of a counter that nobody holds are on lease to this cell. Requests lower the level when
//! they reserve and correct it when they settle; only the counter's actor raises it for time passed
//! (`credit`) and for reservations that were lost (`expire`).
//!
//! Two hand-shakes keep actor and requests from missing each other, both by sequentially consistent
//! steps on two words:
//! * *sleep*: the actor says that it sleeps and then looks at the level; a request changes the level and
//!   then looks whether the actor sleeps;
//! * *seal*: the actor swaps the full level for a mark and then looks for live reservations; a request
//!   announces itself as live and then looks at the level.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::outstanding::{Outstanding, Period};
use super::{Ask, Balance, MAX_AMOUNT, Meter, Window, bucket};

/// Level of a cell that is out of use: its key starts again in a new cell that is full.
const SEALED: i64 = i64::MIN;

/// The shared state of one counter key.
#[derive(Debug)]
pub(super) struct LeaseCell {
    meter: Meter,
    window: Window,
    /// Units that can be taken; negative is debt.
    free: AtomicI64,
    /// Units per window.
    limit: AtomicU64,
    /// Reservations made and not settled, plus requests that are just trying.
    live: AtomicU64,
    /// Units given back since the actor last looked.
    given_back: AtomicU64,
    /// Whether the actor wants a message when the level changes.
    sleeping: AtomicBool,
    outstanding: Outstanding,
}

/// Why nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// The lease does not cover it.
    Short,
    /// The cell is out of use.
    Sealed,
}

impl LeaseCell {
    /// A full cell.
    pub(super) fn full(meter: Meter, window: Window, limit: u64, period: u64) -> Self {
        let limit = limit.min(MAX_AMOUNT);
        Self {
            meter,
            window,
            free: AtomicI64::new(limit.cast_signed()),
            limit: AtomicU64::new(limit),
            live: AtomicU64::new(0),
            given_back: AtomicU64::new(0),
            sleeping: AtomicBool::new(false),
            outstanding: Outstanding::new(period),
        }
    }

    /// Takes what is asked for; the period goes back with [`Self::settle`].
    pub(super) fn take(&self, ask: Ask) -> Result<Period, NotTaken> {
        self.live.fetch_add(1, Ordering::SeqCst);
        match self.change(|free| bucket::reserve(free, ask)) {
            Ok(_) => Ok(self.outstanding.add(ask.amount)),
            Err(free) => {
                self.live.fetch_sub(1, Ordering::SeqCst);
                Err(if free == SEALED { NotTaken::Sealed } else { NotTaken::Short })
            }
        }
    }

    /// Ends a reservation that used `actual` units. One that has expired is charged in full.
    pub(super) fn settle(&self, period: Period, reserved: u64, actual: u64) {
        let reserved = if self.outstanding.remove(period, reserved) { reserved } else { 0 };
        if reserved > actual {
            self.given_back.fetch_add(reserved - actual, Ordering::SeqCst);
        }
        if reserved != actual {
            let limit = self.limit();
            let _ = self.change(|free| Some(bucket::settle(free, limit, reserved, actual)));
        }
        self.live.fetch_sub(1, Ordering::SeqCst);
    }

    /// Charges units that nobody has reserved; false when the cell is out of use.
    pub(super) fn charge(&self, units: u64) -> bool {
        self.live.fetch_add(1, Ordering::SeqCst);
        let limit = self.limit();
        let charged = self.change(|free| Some(bucket::settle(free, limit, 0, units))).is_ok();
        self.live.fetch_sub(1, Ordering::SeqCst);
        charged
    }

    /// Puts refilled units in, up to the limit, and answers the level. For the actor alone.
    pub(super) fn credit(&self, units: u64) -> i64 {
        let limit = self.limit();
        let units = units.cast_signed();
        match self.change(|free| Some(bucket::give(free, limit, units).min(limit.cast_signed()))) {
            Ok(level) | Err(level) => level,
        }
    }

    /// Raises the level to `lowest`; false when it is not below. For the actor alone.
    pub(super) fn forgive(&self, lowest: i64) -> bool {
        self.change(|free| (free < lowest).then_some(lowest)).is_ok()
    }

    /// Units given back since the last call. For the actor alone.
    pub(super) fn drain_given_back(&self) -> u64 {
        self.given_back.swap(0, Ordering::SeqCst)
    }

    /// Gives back what was reserved too long ago; answers how many units. For the actor alone.
    pub(super) fn expire(&self, period: u64) -> u64 {
        let expired = self.outstanding.roll(period);
        if expired > 0 {
            self.given_back.fetch_add(expired, Ordering::SeqCst);
            self.credit(expired);
        }
        expired
    }

    /// Changes the limit; the level moves by `moved`, so that consumption stays. For the actor alone.
    pub(super) fn set_limit(&self, limit: u64, moved: i64) {
        self.limit.store(limit.min(MAX_AMOUNT), Ordering::SeqCst);
        let _ = self.change(|free| Some(free.saturating_add(moved)));
    }

    /// Takes a cell out of use if nothing distinguishes it from a new one.
    pub(super) fn try_seal(&self) -> bool {
        let full = self.limit().cast_signed();
        if self.live() > 0
            || self.free.compare_exchange(full, SEALED, Ordering::SeqCst, Ordering::SeqCst).is_err()
        {
            return self.is_sealed();
        }
        let unused = self.live() == 0;
        if !unused {
            self.free.store(full, Ordering::SeqCst);
        }
        unused
    }

    /// Whether the cell is out of use.
    pub(super) fn is_sealed(&self) -> bool {
        self.free.load(Ordering::SeqCst) == SEALED
    }

    /// Whether nothing is missing.
    pub(super) fn is_full(&self) -> bool {
        let free = self.free.load(Ordering::SeqCst);
        free != SEALED && free >= self.limit().cast_signed()
    }

    /// Reservations that are not settled.
    pub(super) fn live(&self) -> u64 {
        self.live.load(Ordering::SeqCst)
    }

    /// Units reserved and not settled.
    pub(super) fn reserved(&self) -> u64 {
        self.outstanding.total()
    }

    /// Units per window.
    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::SeqCst)
    }

    /// Units that can be taken, negative in debt.
    pub(super) fn free(&self) -> i64 {
        match self.free.load(Ordering::SeqCst) {
            SEALED => self.limit().cast_signed(),
            free => free,
        }
    }

    /// What the caller is told.
    pub(super) fn balance(&self) -> Balance {
        let (free, limit) = (self.free(), self.limit());
        let remaining = u64::try_from(free).unwrap_or(0).min(limit);
        Balance {
            meter: self.meter,
            window: self.window,
            limit,
            remaining,
            reset: self.window.time_to_fill(free, limit),
        }
    }

    /// The actor will not look at the cell by itself for a while.
    pub(super) fn set_sleeping(&self) {
        self.sleeping.store(true, Ordering::SeqCst);
    }

    /// Whether the caller, of all callers, has to wake the actor.
    pub(super) fn must_wake(&self) -> bool {
        self.sleeping.load(Ordering::SeqCst) && self.sleeping.swap(false, Ordering::SeqCst)
    }

    /// Applies `change` to the level unless the cell is sealed; answers the new level, or the one refused.
    fn change(&self, change: impl Fn(i64) -> Option<i64>) -> Result<i64, i64> {
        let mut free = self.free.load(Ordering::SeqCst);
        loop {
            let next = if free == SEALED { None } else { change(free) };
            let Some(next) = next.map(|next| next.max(SEALED + 1)) else { return Err(free) };
            match self.free.compare_exchange_weak(free, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Ok(next),
                Err(seen) => free = seen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    const fn ask(amount: u64) -> Ask {
        Ask { amount, keep_free: 0 }
    }

    fn cell() -> LeaseCell {
        LeaseCell::full(Meter::Tokens, Window::Sliding(Span::Minute), 100, 0)
    }

    #[test]
    fn a_settled_reservation_costs_what_was_used() {
        let cell = cell();
        let period = cell.take(ask(60)).unwrap();
        assert_eq!((cell.free(), cell.reserved(), cell.live()), (40, 60, 1));
        cell.settle(period, 60, 25);
        assert_eq!((cell.free(), cell.reserved(), cell.live()), (75, 0, 0));
        assert_eq!(cell.drain_given_back(), 35);
    }

    #[test]
    fn using_more_than_reserved_leaves_debt_that_must_be_refilled_first() {
        let cell = cell();
        let period = cell.take(ask(100)).unwrap();
        cell.settle(period, 100, 130);
        assert_eq!(cell.free(), -30);
        assert_eq!(cell.balance().remaining, 0);
        assert_eq!(cell.take(ask(1)), Err(NotTaken::Short));
        cell.credit(31);
        assert!(cell.take(ask(1)).is_ok());
    }

    #[test]
    fn an_expired_reservation_is_charged_in_full_when_it_settles_after_all() {
        let cell = cell();
        let period = cell.take(ask(60)).unwrap();
        assert_eq!(cell.expire(16), 60);
        assert_eq!(cell.free(), 100);
        cell.settle(period, 60, 25);
        assert_eq!(cell.free(), 75);
    }

    #[test]
    fn a_cell_is_sealed_only_when_it_is_like_new() {
        let cell = cell();
        let period = cell.take(ask(0)).unwrap();
        assert!(!cell.try_seal(), "full, but a reservation may still leave debt");
        cell.settle(period, 0, 1);
        assert!(!cell.try_seal(), "not full");
        cell.credit(1);
        assert!(cell.try_seal());
        assert_eq!(cell.take(ask(1)), Err(NotTaken::Sealed));
        assert_eq!(cell.credit(5), SEALED);
    }

    #[test]
    fn one_caller_wakes_a_sleeping_actor() {
        let cell = cell();
        assert!(!cell.must_wake());
        cell.set_sleeping();
        assert!(cell.must_wake());
        assert!(!cell.must_wake());
    }
}
