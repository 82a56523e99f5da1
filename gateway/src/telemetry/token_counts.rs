//! Metrics of how prompts are counted, read when somebody scrapes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tollgate_base::metrics::set;
use tollgate_tokens::Stats;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WayLabel {
    way: &'static str,
}

/// How prompts are counted.
#[derive(Default)]
pub(super) struct TokenCountMetrics {
    counts: Family<WayLabel, Counter>,
}

impl TokenCountMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "token_counts",
            "Prompts counted inline or offloaded, and estimated with a full queue or after a failure",
            metrics.counts.clone(),
        );
        metrics
    }

    pub(super) fn set(&self, now: Stats) {
        for (way, count) in [
            ("inline", now.inline),
            ("offloaded", now.offloaded),
            ("queue_full", now.queue_full),
            ("failed", now.failed),
        ] {
            set(&self.counts.get_or_create(&WayLabel { way }), count);
        }
    }
}
