//! Bytes that request bodies and whole answers may hold at a time, over all requests of the process. One subscription
//! has at most half of them, so that no single key shuts out all others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

/// A bound on bytes.
#[derive(Debug)]
pub struct MemoryBudget {
    max_bytes: AtomicU64,
    used_bytes: AtomicU64,
    refused: AtomicU64,
    /// What each subscription holds. Their names are the configuration's, so there are not many.
    accounts: RwLock<HashMap<Arc<str>, Arc<AtomicU64>>>,
}

/// Bytes that are held; given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    budget: Arc<MemoryBudget>,
    account: Arc<AtomicU64>,
    bytes: u64,
}

impl MemoryBudget {
    /// A budget of so many bytes, all of it free.
    #[must_use]
    pub fn new(max_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            max_bytes: AtomicU64::new(max_bytes),
            used_bytes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            accounts: RwLock::default(),
        })
    }

    /// Changes the bound. What is held stays, also beyond a lower one.
    pub fn set_max_bytes(&self, max_bytes: u64) {
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
    }

    /// Opens a reservation of zero bytes for a request of this subscription.
    #[must_use]
    pub fn hold(self: &Arc<Self>, subscription: &Arc<str>) -> Held {
        Held { budget: Arc::clone(self), account: self.account(subscription), bytes: 0 }
    }

    fn account(&self, subscription: &Arc<str>) -> Arc<AtomicU64> {
        if let Some(account) = self.accounts.read().get(subscription) {
            return Arc::clone(account);
        }
        Arc::clone(self.accounts.write().entry(Arc::clone(subscription)).or_default())
    }

    /// Most bytes that one subscription may hold.
    #[must_use]
    pub fn share_bytes(&self) -> u64 {
        self.max_bytes() / 2
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// The bound in bytes.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes.load(Ordering::Relaxed)
    }

    /// How often a reservation could not grow.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Held {
    /// Reserves so many bytes more. False, with nothing changed, if the budget or the subscription's share has too few
    /// left.
    #[must_use]
    pub fn grow(&mut self, bytes: u64) -> bool {
        let budget = &self.budget;
        let mut grown = added(&self.account, bytes, budget.share_bytes());
        if grown && !added(&budget.used_bytes, bytes, budget.max_bytes()) {
            self.account.fetch_sub(bytes, Ordering::Relaxed);
            grown = false;
        }
        if grown {
            self.bytes += bytes;
        } else {
            budget.refused.fetch_add(1, Ordering::Relaxed);
        }
        grown
    }

    /// Gives back so many of the bytes that are held.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.account.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Adds to a sum as long as it stays within its bound.
fn added(sum: &AtomicU64, bytes: u64, max: u64) -> bool {
    let more = |used: u64| used.checked_add(bytes).filter(|used| *used <= max);
    sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.account.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(budget: &Arc<MemoryBudget>, subscription: &str) -> Held {
        budget.hold(&subscription.into())
    }

    #[test]
    fn what_is_held_is_bounded_and_comes_back() {
        let budget = MemoryBudget::new(100);
        let (mut first, mut second) = (hold(&budget, "a"), hold(&budget, "b"));
        assert!(first.grow(30) && first.grow(20) && second.grow(50));
        let mut third = hold(&budget, "c");
        assert!(!third.grow(1));
        drop(first);
        assert!(third.grow(50) && !third.grow(u64::MAX));
        drop((second, third));
        assert_eq!((budget.used_bytes(), budget.refused()), (0, 2));
    }

    #[test]
    fn one_subscription_has_at_most_half_whatever_number_of_requests_it_makes() {
        let budget = MemoryBudget::new(100);
        let mut many: Vec<Held> = (0..64).map(|_| hold(&budget, "trial")).collect();
        let grown = many.iter_mut().filter_map(|held| held.grow(10).then_some(())).count();
        assert_eq!((grown, budget.used_bytes()), (5, 50));
        let mut gold = hold(&budget, "gold");
        assert!(gold.grow(50), "the rest is for others");
        drop(gold);
        drop(many);
        assert!(hold(&budget, "trial").grow(50), "a share comes back");
    }

    #[test]
    fn what_does_not_fit_into_the_whole_takes_nothing_of_the_share() {
        let budget = MemoryBudget::new(100);
        let (mut a, mut b, mut c) = (hold(&budget, "a"), hold(&budget, "b"), hold(&budget, "c"));
        assert!(a.grow(50) && b.grow(40) && !c.grow(20));
        drop((a, b));
        assert!(c.grow(50));
    }

    #[test]
    fn a_changed_bound_counts_what_is_held() {
        let budget = MemoryBudget::new(200);
        let mut held = hold(&budget, "a");
        assert!(held.grow(80));
        budget.set_max_bytes(100);
        assert!(!held.grow(1) && budget.used_bytes() == 80);
        budget.set_max_bytes(180);
        assert!(held.grow(10) && !held.grow(1));
    }
}
