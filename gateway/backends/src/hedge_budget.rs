//! The budget of hedges (second calls of a slow request). Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What one hedge costs, in hundredths of a request.
const COST: u32 = 100;
/// Capacity of the budget, in hedges.
const MOST_SAVED: u32 = 10;

/// Keeps hedges below a share of the requests. Lock-free; each request adds its share of a hedge to the budget.
/// Clones share the budget.
#[derive(Debug, Clone)]
pub struct HedgeBudget {
    percent: u32,
    /// The budget, in hundredths of a hedge.
    saved: Arc<AtomicU32>,
}

impl HedgeBudget {
    /// Up to `percent` hedges per 100 requests.
    #[must_use]
    pub fn new(percent: u8) -> Self {
        Self { percent: u32::from(percent), saved: Arc::default() }
    }

    /// The same budget with another share.
    #[must_use]
    pub fn with_percent(&self, percent: u8) -> Self {
        Self { percent: u32::from(percent), saved: Arc::clone(&self.saved) }
    }

    /// Counts a request.
    pub fn request(&self) {
        let add = |saved: u32| Some((saved + self.percent).min(MOST_SAVED * COST));
        let _ = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Takes a hedge out, if one is saved up.
    #[must_use]
    pub fn take(&self) -> bool {
        let pay = |saved: u32| saved.checked_sub(COST);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_ok()
    }

    /// Puts back a hedge that could not be sent.
    pub fn give_back(&self) {
        let add = |saved: u32| Some((saved + COST).min(MOST_SAVED * COST));
        let _ = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hedges_never_exceed_their_share() {
        let budget = HedgeBudget::new(5);
        let mut hedges = 0;
        for request in 1..=10_000_u32 {
            budget.request();
            hedges += u32::from(budget.take());
            assert!(hedges * 100 <= request * 5, "{hedges} hedges in {request} requests");
        }
        assert_eq!(hedges, 500);
    }

    #[test]
    fn a_changed_share_keeps_what_is_saved() {
        let before = HedgeBudget::new(100);
        before.request();
        let after = before.with_percent(1);
        assert!(after.take() && !before.take());
        (0..99).for_each(|_| after.request());
        assert!(!after.take());
        after.request();
        assert!(after.take());
    }

    #[test]
    fn a_calm_time_saves_up_a_bounded_number_of_hedges() {
        let budget = HedgeBudget::new(100);
        (0..1_000).for_each(|_| budget.request());
        assert_eq!((0..1_000).filter(|_| budget.take()).count(), 10);
        budget.give_back();
        assert!(budget.take() && !budget.take());
    }
}
