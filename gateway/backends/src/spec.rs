//! What the configuration says about a deployment, in the types of circuits and capacity.

use smallvec::SmallVec;
use tollgate_config::circuits::{CountConfig, RatioConfig, RetryAfterConfig};
use tollgate_config::{BackendConfig, CapacityConfig, CircuitConfig};

use super::capacity::CapacityRules;
use super::circuit::{CircuitRules, CountedFailures, RatioRule, Rule, Threshold};
use super::deployment_id::DeploymentId;

/// What the configuration says about one deployment.
#[derive(Debug, Clone)]
pub struct DeploymentSpec {
    /// Which one.
    pub id: DeploymentId,
    /// When its circuit opens.
    pub rules: CircuitRules,
    /// Committed throughput; `None` if there is none.
    pub capacity: Option<CapacitySpec>,
}

/// Committed throughput.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapacitySpec {
    /// Tokens per minute, burst and longest 429 pause.
    pub rules: CapacityRules,
    /// Whether it is shared by all models of the backend that have none of their own.
    pub shared: bool,
}

impl DeploymentSpec {
    /// A deployment of this backend, or one by the defaults.
    #[must_use]
    pub fn of(id: DeploymentId, backend: Option<&BackendConfig>) -> Self {
        let own = backend.and_then(|backend| backend.deployments.get(&id.model));
        let circuit = own.and_then(|own| own.circuit.as_ref()).or(backend.map(|backend| &backend.circuit));
        let capacity = |config: CapacityConfig, shared| CapacitySpec { rules: config.into(), shared };
        let own_capacity = own.and_then(|own| own.capacity).map(|config| capacity(config, false));
        let all = || backend.and_then(|backend| backend.capacity).map(|config| capacity(config, true));
        let mut rules = circuit.map(CircuitRules::from).unwrap_or_default();
        if let Some(timeouts) = backend.map(|backend| &backend.timeouts) {
            // A probe cannot count as lost while it may still be answered in time.
            rules.probe_timeout = rules.probe_timeout.max(timeouts.connect.0 + timeouts.first_byte.0);
        }
        Self { id, rules, capacity: own_capacity.or_else(all) }
    }
}

impl From<&CircuitConfig> for CircuitRules {
    fn from(config: &CircuitConfig) -> Self {
        let counted = CountedFailures::from(&config.count);
        let rule = |threshold| Rule { threshold, counted: counted.clone() };
        let in_a_row = Some(config.consecutive_failures).filter(|limit| *limit > 0);
        let mut rules = SmallVec::new();
        rules.extend(in_a_row.map(Threshold::Consecutive).map(rule));
        rules.extend(config.ratio.map(ratio).map(rule));
        for further in &config.rules {
            let counted = CountedFailures::from(&further.count);
            let threshold = further.consecutive_failures.map(Threshold::Consecutive);
            let threshold = threshold.or(further.ratio.map(ratio));
            rules.extend(threshold.map(|threshold| Rule { threshold, counted }));
        }
        Self {
            rules,
            obey_retry_after: config.retry_after == RetryAfterConfig::Obey,
            max_retry_after: config.max_retry_after.unwrap_or(config.max_open).0,
            open_for: config.open_for.0,
            max_open: config.max_open.0,
            probe_timeout: config.probe_timeout.0,
        }
    }
}

fn ratio(config: RatioConfig) -> Threshold {
    let RatioConfig { percent, min_volume, window } = config;
    Threshold::Ratio(RatioRule { percent, min_volume, window: window.0 })
}

impl From<&CountConfig> for CountedFailures {
    fn from(config: &CountConfig) -> Self {
        Self {
            connect: config.connect,
            timeout: config.timeout,
            stalled: config.stalled,
            broken: config.broken,
            statuses: config.statuses.iter().map(|statuses| statuses.range()).collect(),
        }
    }
}

impl From<CapacityConfig> for CapacityRules {
    fn from(config: CapacityConfig) -> Self {
        Self {
            tokens_per_minute: config.tokens_per_minute.0,
            burst: config.burst.0,
            max_busy: config.max_busy.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_settings::load::parse_yaml;

    use super::*;

    fn spec(backend: &str, model: &str) -> DeploymentSpec {
        let text = format!("format: openai\nurl: 'http://h/v1'\n{backend}");
        let config: BackendConfig = parse_yaml("t.yaml".as_ref(), &text).unwrap();
        DeploymentSpec::of(DeploymentId { backend: "b".into(), model: model.into() }, Some(&config))
    }

    #[test]
    fn the_defaults_of_configuration_and_circuit_are_the_same() {
        let config = CircuitConfig::default();
        assert_eq!(CircuitRules::from(&config), CircuitRules::default());
        assert_eq!(spec("", "m").capacity, None);
    }

    #[test]
    fn rules_are_those_of_the_backend_unless_the_model_has_its_own() {
        let backend = "circuit: { consecutive_failures: 0, ratio: null, rules: [ { consecutive_failures: 2 } ] }\n\
                       deployments: { own: { circuit: { max_open: 7m, retry_after: ignore } } }";
        let rules = spec(backend, "other").rules.rules;
        assert_eq!((rules.len(), rules[0].threshold), (1, Threshold::Consecutive(2)));
        let own = spec(backend, "own").rules;
        assert_eq!((own.rules.len(), own.max_retry_after.as_secs(), own.obey_retry_after), (2, 420, false));
    }

    #[test]
    fn a_probe_may_take_as_long_as_any_call_to_be_answered() {
        let probe_timeout = |backend| spec(backend, "m").rules.probe_timeout.as_secs();
        assert_eq!(probe_timeout("timeouts: { connect: 5s, first_byte: 300s }"), 305);
        assert_eq!(probe_timeout("timeouts: { first_byte: 2s }\ncircuit: { probe_timeout: 20s }"), 20);
        assert_eq!(probe_timeout("timeouts: { first_byte: 40s }\ncircuit: { probe_timeout: 20s }"), 45);
    }

    #[test]
    fn capacity_is_shared_by_the_models_that_have_none_of_their_own() {
        let backend = "capacity: { tokens_per_minute: 100k }\n\
                       deployments: { own: { capacity: { tokens_per_minute: 5k, burst: 10s } } }";
        let seen = |model| spec(backend, model).capacity.map(|c| (c.rules.tokens_per_minute, c.shared));
        assert_eq!((seen("other"), seen("own")), (Some((100_000, true)), Some((5_000, false))));
    }
}
