//! Metrics of deployments, read from their circuits at each scrape.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tollgate_base::metrics::set;

use crate::{CircuitState, DeploymentSnapshot};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeploymentLabels {
    backend: Arc<str>,
    model: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CircuitLabels {
    backend: Arc<str>,
    model: Arc<str>,
    state: &'static str,
    cause: &'static str,
}

/// Circuits and load of the deployments. A deployment that leaves the configuration loses its series.
#[derive(Default)]
pub struct DeploymentMetrics {
    circuit_open: Family<DeploymentLabels, Gauge>,
    circuit_half_open: Family<DeploymentLabels, Gauge>,
    circuit_state: Family<CircuitLabels, Gauge>,
    circuit_open_until: Family<DeploymentLabels, Gauge<f64, AtomicU64>>,
    circuit_trips: Family<DeploymentLabels, Counter>,
    capacity: Family<DeploymentLabels, Gauge>,
    capacity_free: Family<DeploymentLabels, Gauge>,
    capacity_refusals: Family<DeploymentLabels, Counter>,
    in_flight: Family<DeploymentLabels, Gauge>,
    respawned: Family<DeploymentLabels, Counter>,
    outcomes_dropped: Family<DeploymentLabels, Counter>,
}

impl DeploymentMetrics {
    /// Registers the families with the registry of the service.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "circuit_open",
            "1 while the circuit of a deployment keeps requests away, a probe aside",
            metrics.circuit_open.clone(),
        );
        registry.register(
            "circuit_half_open",
            "1 while a deployment waits for its probe or for the probe's outcome",
            metrics.circuit_half_open.clone(),
        );
        registry.register(
            "circuit_state",
            "1 for the state that a circuit is in and its cause, `none` while it is closed",
            metrics.circuit_state.clone(),
        );
        registry.register_with_unit(
            "circuit_open_until_timestamp",
            "Unix time at which an open circuit may be probed; 0 while it is closed or held",
            Unit::Seconds,
            metrics.circuit_open_until.clone(),
        );
        registry.register(
            "capacity_tokens_per_minute",
            "Tokens per minute that a deployment's backend has committed to",
            metrics.capacity.clone(),
        );
        registry.register(
            "capacity_free_tokens",
            "Tokens of committed capacity that fit now",
            metrics.capacity_free.clone(),
        );
        registry.register(
            "capacity_refusals",
            "Times a backend answered 429 although committed capacity was free",
            metrics.capacity_refusals.clone(),
        );
        registry.register("circuit_trips", "Times the circuit opened", metrics.circuit_trips.clone());
        registry.register(
            "deployment_in_flight",
            "Attempts under way at a deployment",
            metrics.in_flight.clone(),
        );
        registry.register(
            "backend_actor_respawns",
            "Times the actor of a deployment died and was replaced",
            metrics.respawned.clone(),
        );
        registry.register(
            "backend_outcomes_dropped",
            "Outcomes that a deployment's actor was too busy to hear of",
            metrics.outcomes_dropped.clone(),
        );
        metrics
    }

    /// Sets the metrics to the current state.
    pub fn set(&self, deployments: &[DeploymentSnapshot]) {
        self.circuit_open.clear();
        self.circuit_half_open.clear();
        self.circuit_state.clear();
        self.circuit_open_until.clear();
        self.circuit_trips.clear();
        self.capacity.clear();
        self.capacity_free.clear();
        self.capacity_refusals.clear();
        self.in_flight.clear();
        self.respawned.clear();
        self.outcomes_dropped.clear();
        for seen in deployments {
            let labels =
                DeploymentLabels { backend: Arc::clone(&seen.id.backend), model: Arc::clone(&seen.id.model) };
            let half_open = seen.circuit == CircuitState::HalfOpen;
            self.circuit_open.get_or_create(&labels).set(i64::from(seen.is_open()));
            self.circuit_half_open.get_or_create(&labels).set(i64::from(half_open));
            self.in_flight.get_or_create(&labels).set(i64::from(seen.in_flight));
            set(&self.circuit_trips.get_or_create(&labels), seen.trips);
            self.set_circuit(&labels, seen);
            if let Some(capacity) = &seen.capacity {
                let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
                self.capacity.get_or_create(&labels).set(count(capacity.tokens_per_minute));
                self.capacity_free.get_or_create(&labels).set(count(capacity.free_tokens));
                set(&self.capacity_refusals.get_or_create(&labels), capacity.refusals);
            }
            set(&self.respawned.get_or_create(&labels), seen.respawned);
            set(&self.outcomes_dropped.get_or_create(&labels), seen.outcomes_dropped);
        }
    }
}

impl DeploymentMetrics {
    fn set_circuit(&self, labels: &DeploymentLabels, seen: &DeploymentSnapshot) {
        let state = CircuitLabels {
            backend: Arc::clone(&labels.backend),
            model: Arc::clone(&labels.model),
            state: seen.circuit.as_str(),
            cause: seen.cause.map_or("none", |cause| cause.rule.as_str()),
        };
        self.circuit_state.get_or_create(&state).set(1);
        let until = seen.retry_at.map_or(0.0, |at| at.as_millisecond() as f64 / 1_000.0);
        self.circuit_open_until.get_or_create(labels).set(until);
    }
}
