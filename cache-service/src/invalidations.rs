//! Invalidations that may still meet entries on their way here.
//!
//! An answer can be under way in the event log when somebody invalidates the cache. It was stored before the
//! invalidation's moment and must not come up after it. The last invalidations are therefore remembered, in
//! memory only: after a restart the log is read again from what was committed, in the order of each tenant.
//! Services that share an index are told through the topic, where an invalidation has its place among the
//! entries of its tenant.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_schemas::cache::{CacheInvalidate, CachePartition};

/// More than this many within the time that events are under way is not expected; the oldest leave.
const REMEMBERED: usize = 1_024;

/// The last invalidations that have a moment.
#[derive(Debug, Default)]
pub(crate) struct Invalidations(Mutex<VecDeque<CacheInvalidate>>);

impl Invalidations {
    /// Remembers an invalidation; one without `stored_before_ms` has no effect on later entries.
    pub(crate) fn add(&self, invalidation: CacheInvalidate) {
        if invalidation.stored_before_ms.is_none() {
            return;
        }
        let mut recent = self.0.lock();
        recent.push_back(invalidation);
        if recent.len() > REMEMBERED {
            recent.pop_front();
        }
    }

    /// Whether an entry was invalidated before it came.
    #[must_use]
    pub(crate) fn cover(&self, partition: &CachePartition, stored_at_ms: i64) -> bool {
        let named =
            |wanted: &Option<Arc<str>>, part: &Arc<str>| wanted.as_ref().is_none_or(|wanted| wanted == part);
        self.0.lock().iter().any(|invalidation| {
            invalidation.tenant == partition.tenant
                && named(&invalidation.scope, &partition.scope)
                && named(&invalidation.model, &partition.model)
                && invalidation.stored_before_ms.is_some_and(|before| stored_at_ms < before)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::partition;

    fn invalidate(tenant: &str) -> CacheInvalidate {
        CacheInvalidate { tenant: tenant.into(), scope: None, model: None, stored_before_ms: Some(100) }
    }

    #[test]
    fn an_entry_stored_before_the_moment_is_covered_and_a_later_one_is_not() {
        let recent = Invalidations::default();
        recent.add(invalidate("acme"));
        assert!(recent.cover(&partition("acme"), 99));
        assert!(!recent.cover(&partition("acme"), 100));
        assert!(!recent.cover(&partition("umbrella"), 99));
    }

    #[test]
    fn scope_and_model_narrow_it() {
        let recent = Invalidations::default();
        recent.add(CacheInvalidate { scope: Some("team:x".into()), ..invalidate("acme") });
        recent.add(CacheInvalidate { model: Some("o5".into()), ..invalidate("acme") });
        assert!(!recent.cover(&partition("acme"), 1));
        recent.add(CacheInvalidate { model: Some("gpt".into()), ..invalidate("acme") });
        assert!(recent.cover(&partition("acme"), 1));
    }

    #[test]
    fn only_the_last_ones_are_remembered() {
        let recent = Invalidations::default();
        recent.add(invalidate("acme"));
        (0..REMEMBERED).for_each(|n| recent.add(invalidate(&format!("tenant-{n}"))));
        assert!(!recent.cover(&partition("acme"), 1));
        assert!(recent.cover(&partition("tenant-0"), 1));
    }
}
