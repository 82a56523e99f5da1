//! Bytes that request bodies and whole answers may hold at a time, over all requests of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bound on bytes.
#[derive(Debug)]
pub struct MemoryBudget {
    max_bytes: AtomicU64,
    used_bytes: AtomicU64,
    refused: AtomicU64,
}

/// Bytes that are held; given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    budget: Arc<MemoryBudget>,
    bytes: u64,
}

impl MemoryBudget {
    /// With this bound in bytes.
    #[must_use]
    pub fn new(max_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            max_bytes: AtomicU64::new(max_bytes),
            used_bytes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Changes the bound. What is held stays, also beyond a lower one.
    pub fn set_max_bytes(&self, max_bytes: u64) {
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
    }

    /// Begins to hold nothing.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { budget: Arc::clone(self), bytes: 0 }
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

    /// How often something was not let in.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Held {
    /// Holds so many more; false when the budget has not so many left, then nothing changes.
    #[must_use]
    pub fn grow(&mut self, bytes: u64) -> bool {
        let max_bytes = self.budget.max_bytes();
        let more = |used: u64| used.checked_add(bytes).filter(|used| *used <= max_bytes);
        let grown = self.budget.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if grown {
            self.bytes += bytes;
        } else {
            self.budget.refused.fetch_add(1, Ordering::Relaxed);
        }
        grown
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_comes_back() {
        let budget = MemoryBudget::new(100);
        let mut first = budget.hold();
        assert!(first.grow(60) && first.grow(40) && !first.grow(1));
        let mut second = budget.hold();
        assert!(!second.grow(1));
        drop(first);
        assert!(second.grow(100) && !second.grow(u64::MAX));
        drop(second);
        assert_eq!((budget.used_bytes(), budget.refused()), (0, 3));
    }

    #[test]
    fn a_changed_bound_counts_what_is_held() {
        let budget = MemoryBudget::new(100);
        let mut held = budget.hold();
        assert!(held.grow(80));
        budget.set_max_bytes(50);
        assert!(!held.grow(1) && budget.used_bytes() == 80);
        budget.set_max_bytes(90);
        assert!(held.grow(10) && !held.grow(1));
    }
}
