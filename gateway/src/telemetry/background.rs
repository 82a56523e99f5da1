//! Metrics of what the gateway does beside requests: health probes, talk between replicas, answers that are worked on
//! after their requests.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Seconds; a probe's timeout is at most a few of them.
const DURATION_BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProbeLabels {
    backend: Arc<str>,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabel {
    backend: Arc<str>,
}

/// Health probes of backends.
#[derive(Debug, Clone)]
pub struct ProbeMetrics {
    results: Family<ProbeLabels, Counter>,
    durations: Family<BackendLabel, Histogram, fn() -> Histogram>,
}

impl ProbeMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let durations: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS);
        let metrics = Self { results: Family::default(), durations: Family::new_with_constructor(durations) };
        registry.register(
            "probes",
            "Health probes by backend and result, `healthy` or what was wrong",
            metrics.results.clone(),
        );
        registry.register_with_unit(
            "probe_duration",
            "Start of a health probe to the head of its answer",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        metrics
    }

    /// A probe of the backend ended.
    pub fn ended(&self, backend: &Arc<str>, result: &'static str, took: Duration) {
        let labels = ProbeLabels { backend: Arc::clone(backend), result };
        self.results.get_or_create_owned(&labels).inc();
        let label = BackendLabel { backend: Arc::clone(backend) };
        self.durations.get_or_create_owned(&label).observe(took.as_secs_f64());
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabel {
    how: &'static str,
}

/// Answers that are worked on after their requests.
#[derive(Debug, Clone, Default)]
pub struct PendingMetrics {
    pending: Gauge,
    ended: Family<EndLabel, Counter>,
}

impl PendingMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "background_pending",
            "Answers that are worked on after their requests",
            metrics.pending.clone(),
        );
        registry.register(
            "background_ended",
            "Those of them that were settled, by how they ended; `deadline` and `lost` were given up",
            metrics.ended.clone(),
        );
        metrics
    }

    /// So many are worked on.
    pub fn set(&self, pending: usize) {
        self.pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
    }

    /// One was settled.
    pub fn ended(&self, how: &'static str) {
        self.ended.get_or_create_owned(&EndLabel { how }).inc();
    }
}

/// Circuits that replicas tell each other of.
#[derive(Debug, Clone, Default)]
pub struct ReplicaMetrics {
    published: Counter,
    heard: Counter,
    dropped: Counter,
}

impl ReplicaMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in [
            (
                "replica_circuits_published",
                "Circuit transitions that the event log confirmed",
                &metrics.published,
            ),
            (
                "replica_circuits_heard",
                "Circuit transitions of other replicas that were heeded",
                &metrics.heard,
            ),
            (
                "replica_circuits_dropped",
                "Circuit transitions that other replicas were not told of",
                &metrics.dropped,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        metrics
    }

    pub(crate) fn published(&self) {
        self.published.inc();
    }

    pub(crate) fn heard(&self) {
        self.heard.inc();
    }

    pub(crate) fn dropped(&self) {
        self.dropped.inc();
    }
}
