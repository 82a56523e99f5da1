//! Bounds on what goes on after its client has gone: time, bytes and number, per alias.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tollgate_config::DrainConfig;

/// The answers of one alias that are read without a client; clones share the bound.
#[derive(Debug, Clone)]
pub struct Drains {
    rules: DrainConfig,
    running: Arc<AtomicU32>,
}

/// A place among the answers that are read without a client.
#[derive(Debug)]
pub struct Slot(Arc<AtomicU32>);

impl Drains {
    /// Bounds under which nothing runs yet.
    #[must_use]
    pub fn new(rules: DrainConfig) -> Self {
        Self { rules, running: Arc::default() }
    }

    /// The same drains under other bounds: those that run now still count.
    #[must_use]
    pub fn with_rules(&self, rules: DrainConfig) -> Self {
        Self { rules, running: Arc::clone(&self.running) }
    }

    /// Whether the count is shared with a configuration in use or with an answer that is being read.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.running) > 1
    }

    /// The bounds in force.
    #[must_use]
    pub fn rules(&self) -> &DrainConfig {
        &self.rules
    }

    /// Takes a place; `None` if as many as allowed are running.
    #[must_use]
    pub fn slot(&self) -> Option<Slot> {
        let more = |running: u32| (running < self.rules.max_concurrent).then_some(running + 1);
        self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Slot(Arc::clone(&self.running)))
    }

    /// Runs `work` as a task of this worker, within the time bound and if there is a place. Must be called
    /// on a worker.
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        let Some(slot) = self.slot() else { return };
        let max = self.rules.max.0;
        actix_rt::spawn(async move {
            // When the time is over the work is dropped, which settles its attempt.
            let _ = tokio::time::timeout(max, work).await;
            drop(slot);
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_bounds_count_the_answers_that_are_being_read() {
        let rules = |max_concurrent| DrainConfig { max_concurrent, ..DrainConfig::default() };
        let before = Drains::new(rules(1));
        let slot = before.slot().unwrap();
        let after = before.with_rules(rules(2));
        let _second = after.slot().unwrap();
        assert!(after.slot().is_none() && before.slot().is_none());
        drop((slot, before));
        assert!(after.slot().is_some() && after.is_shared());
    }
}
