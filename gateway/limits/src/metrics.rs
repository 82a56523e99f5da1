//! The metrics of limits. They are read off the state of the limiters when somebody scrapes.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::registry::LimiterStats;

/// How the limiters of a process are doing.
#[derive(Debug, Default)]
pub struct LimiterMetrics {
    keys: Gauge,
    respawned: Counter,
    unavailable: Counter,
    expired_tokens: Counter,
}

impl LimiterMetrics {
    /// Registers them; all are zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("limiter_keys", "Counter keys in memory", metrics.keys.clone());
        registry.register(
            "limiter_actor_respawns",
            "Times a limiter died and was replaced",
            metrics.respawned.clone(),
        );
        registry.register(
            "limiter_unavailable",
            "Requests refused because no counter could be had",
            metrics.unavailable.clone(),
        );
        registry.register(
            "limiter_expired_tokens",
            "Tokens that came back because nobody settled their reservation",
            metrics.expired_tokens.clone(),
        );
        metrics
    }

    /// Shows how the limiters are doing now.
    pub fn set(&self, now: &LimiterStats) {
        self.keys.set(i64::try_from(now.keys).unwrap_or(i64::MAX));
        show(&self.respawned, now.respawned);
        show(&self.unavailable, now.unavailable);
        show(&self.expired_tokens, now.expired_tokens);
    }
}

/// The limiters count for themselves; these counters only repeat it.
fn show(counter: &Counter, count: u64) {
    counter.inner().store(count, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn the_numbers_of_the_limiters_are_shown_as_they_stand() {
        let mut registry = Registry::with_prefix("tollgate");
        let metrics = LimiterMetrics::register(&mut registry);
        metrics.set(&LimiterStats { keys: 3, respawned: 1, unavailable: 2, expired_tokens: 70 });
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "tollgate_limiter_keys 3",
            "tollgate_limiter_actor_respawns_total 1",
            "tollgate_limiter_unavailable_total 2",
            "tollgate_limiter_expired_tokens_total 70",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
        }
    }
}
