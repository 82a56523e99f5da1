//! Metrics of admission and memory, read at each scrape.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tollgate_base::metrics::set;

use crate::snapshot::OverloadSnapshot;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabel {
    backend: Arc<str>,
}

/// What runs, waits and was refused. Backends without a bound of their own have no series.
#[derive(Default)]
pub struct OverloadMetrics {
    running: Gauge,
    waiting: Gauge,
    refused: Counter,
    memory_used: Gauge,
    memory_refused: Counter,
    backend_running: Family<BackendLabel, Gauge>,
    backend_waiting: Family<BackendLabel, Gauge>,
    backend_refused: Family<BackendLabel, Counter>,
}

impl OverloadMetrics {
    /// Registers the families with the registry of the service.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, gauge) in [
            ("requests_running", "Requests that run", &metrics.running),
            ("requests_waiting", "Requests that wait for a place", &metrics.waiting),
            ("memory_used_bytes", "Bytes held by request bodies and whole answers", &metrics.memory_used),
        ] {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, counter) in [
            ("requests_overloaded", "Requests refused for want of a place", &metrics.refused),
            ("memory_refusals", "Bodies and answers refused for want of memory", &metrics.memory_refused),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, gauges) in [
            ("backend_running", "Requests that run at a backend with a bound", &metrics.backend_running),
            ("backend_waiting", "Requests that wait for a place at a backend", &metrics.backend_waiting),
        ] {
            registry.register(name, help, gauges.clone());
        }
        registry.register(
            "backend_overloaded",
            "Requests that found no place at a backend in time",
            metrics.backend_refused.clone(),
        );
        metrics
    }

    /// Sets the metrics to the current state.
    pub fn set(&self, now: &OverloadSnapshot) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.running.set(count(now.requests.running));
        self.waiting.set(count(now.requests.waiting));
        set(&self.refused, now.requests.refused);
        self.memory_used.set(i64::try_from(now.memory.used_bytes).unwrap_or(i64::MAX));
        set(&self.memory_refused, now.memory.refused);
        self.backend_running.clear();
        self.backend_waiting.clear();
        self.backend_refused.clear();
        for load in &now.backends {
            let label = BackendLabel { backend: Arc::clone(&load.backend) };
            self.backend_running.get_or_create(&label).set(count(load.requests.running));
            self.backend_waiting.get_or_create(&label).set(count(load.requests.waiting));
            set(&self.backend_refused.get_or_create(&label), load.requests.refused);
        }
    }
}
