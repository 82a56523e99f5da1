//! Circuits, probes and committed capacity: values that their types allow and their meaning does not.

use std::time::Duration;

use tollgate_settings::Mistakes;

use super::circuits::{CapacityConfig, CircuitConfig, ProbeConfig, RatioConfig};
use super::{BackendConfig, Config};

/// Most further rules of a circuit: each failure is held against all of them.
const MAX_RULES: usize = 8;
/// Longest window of a share, and longest anything stays open.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Checks what a backend's circuits, probe and capacity say.
pub(super) fn check(config: &Config, name: &str, backend: &BackendConfig, mistakes: &mut Mistakes) {
    let path = format!("backends.{name}");
    if name.contains('|') {
        mistakes.add(path.clone(), "must not have a `|` in its name: that separates it from its models");
    }
    check_circuit(&format!("{path}.circuit"), &backend.circuit, mistakes);
    if let Some(probe) = &backend.probe {
        check_probe(&format!("{path}.probe"), &backend.url, probe, mistakes);
    }
    if let Some(capacity) = &backend.capacity {
        check_capacity(&format!("{path}.capacity"), capacity, mistakes);
    }
    for (model, deployment) in &backend.deployments {
        let path = format!("{path}.deployments.{model}");
        let targets = config.models.values().flat_map(|alias| &alias.targets);
        if !targets.into_iter().any(|target| &*target.backend == name && target.model == *model) {
            mistakes.add(path.clone(), format!("no target of any model is `{model}` at `{name}`"));
        }
        if let Some(circuit) = &deployment.circuit {
            check_circuit(&format!("{path}.circuit"), circuit, mistakes);
        }
        if let Some(capacity) = &deployment.capacity {
            check_capacity(&format!("{path}.capacity"), capacity, mistakes);
        }
    }
}

fn check_circuit(path: &str, circuit: &CircuitConfig, mistakes: &mut Mistakes) {
    if let Some(ratio) = circuit.ratio {
        check_ratio(&format!("{path}.ratio"), ratio, mistakes);
    }
    if circuit.rules.len() > MAX_RULES {
        mistakes.add(format!("{path}.rules"), format!("has more than {MAX_RULES} rules"));
    }
    for (index, rule) in circuit.rules.iter().enumerate() {
        let path = format!("{path}.rules[{index}]");
        if let Some(ratio) = rule.ratio {
            check_ratio(&format!("{path}.ratio"), ratio, mistakes);
        }
        if rule.consecutive_failures == Some(0) {
            mistakes.add(format!("{path}.consecutive_failures"), "must be above 0; leave the rule out");
        }
        if rule.ratio.is_some() == rule.consecutive_failures.is_some() {
            mistakes.add(path, "needs either `consecutive_failures` or `ratio`");
        }
    }
    for (name, time) in [
        ("open_for", Some(circuit.open_for)),
        ("max_open", Some(circuit.max_open)),
        ("max_retry_after", circuit.max_retry_after),
        ("probe_timeout", Some(circuit.probe_timeout)),
    ] {
        if time.is_some_and(|time| time.0.is_zero() || time.0 > DAY) {
            mistakes.add(format!("{path}.{name}"), "must be above 0 and up to 1d");
        }
    }
    if circuit.open_for > circuit.max_open {
        mistakes.add(format!("{path}.open_for"), "must not be longer than `max_open`");
    }
}

fn check_ratio(path: &str, ratio: RatioConfig, mistakes: &mut Mistakes) {
    if !(1..=100).contains(&ratio.percent) {
        mistakes.add(format!("{path}.percent"), "must be 1 to 100");
    }
    if ratio.min_volume == 0 {
        mistakes.add(format!("{path}.min_volume"), "must be above 0");
    }
    if ratio.window.0 < Duration::from_secs(1) || ratio.window.0 > DAY {
        mistakes.add(format!("{path}.window"), "must be 1s to 1d");
    }
}

fn check_probe(path: &str, url: &str, probe: &ProbeConfig, mistakes: &mut Mistakes) {
    if probe.every.0 < Duration::from_secs(1) || probe.every.0 > DAY {
        mistakes.add(format!("{path}.every"), "must be 1s to 1d");
    }
    if probe.timeout.0.is_zero() || probe.timeout > probe.every {
        mistakes.add(format!("{path}.timeout"), "must be above 0 and not longer than `every`");
    }
    if !probe.path.starts_with('/') || probe.uri(url).is_none() {
        mistakes.add(format!("{path}.path"), "must be a path that starts with `/`");
    }
}

fn check_capacity(path: &str, capacity: &CapacityConfig, mistakes: &mut Mistakes) {
    if capacity.tokens_per_minute.0 == 0 {
        mistakes.add(format!("{path}.tokens_per_minute"), "must be above 0");
    }
    if capacity.burst.0 < Duration::from_secs(1) || capacity.burst.0 > Duration::from_secs(3600) {
        mistakes.add(format!("{path}.burst"), "must be 1s to 1h");
    }
    if capacity.max_busy.0.is_zero() || capacity.max_busy.0 > Duration::from_secs(60) {
        mistakes.add(format!("{path}.max_busy"), "must be above 0 and up to 60s");
    }
}

#[cfg(test)]
mod tests {
    use tollgate_settings::load::parse_yaml;

    use super::super::validate::validate;
    use super::*;

    fn mistakes(backend: &str) -> Vec<String> {
        let text = format!(
            "backends: {{ b: {{ format: openai, url: 'http://h/v1', {backend} }} }}\n\
             models: {{ a: {{ targets: [ {{ backend: b, model: m }} ] }} }}\n"
        );
        let config: Config = parse_yaml("t.yaml".as_ref(), &text).unwrap();
        let found = validate(&config).err().map(|found| found.0).unwrap_or_default();
        found.into_iter().map(|mistake| mistake.path).collect()
    }

    #[test]
    fn what_makes_sense_is_taken() {
        for fine in [
            "circuit: { consecutive_failures: 0, ratio: null, retry_after: ignore }",
            "circuit: { rules: [ { consecutive_failures: 2, count: { statuses: [429] } } ] }",
            "probe: {}, capacity: { tokens_per_minute: 2M }",
            "probe: { every: 10s, path: '/health?deep=1', expect_status: 204 }",
            "deployments: { m: { circuit: { open_for: 1s }, capacity: { tokens_per_minute: 1 } } }",
        ] {
            assert_eq!(mistakes(fine), Vec::<String>::new(), "{fine}");
        }
    }

    #[test]
    fn what_cannot_work_is_a_mistake_of_its_field() {
        for (wrong, path) in [
            ("circuit: { open_for: 0s }", "circuit.open_for"),
            ("circuit: { open_for: 10m }", "circuit.open_for"),
            ("circuit: { ratio: { percent: 0 } }", "circuit.ratio.percent"),
            ("circuit: { ratio: { percent: 101 } }", "circuit.ratio.percent"),
            ("circuit: { ratio: { window: 2d } }", "circuit.ratio.window"),
            ("circuit: { rules: [ {} ] }", "circuit.rules[0]"),
            ("circuit: { rules: [ { consecutive_failures: 1, ratio: {} } ] }", "circuit.rules[0]"),
            ("circuit: { max_retry_after: 2d }", "circuit.max_retry_after"),
            ("probe: { every: 10ms, timeout: 1ms }", "probe.every"),
            ("probe: { every: 2s }", "probe.timeout"),
            ("probe: { path: models }", "probe.path"),
            ("probe: { path: '/a b' }", "probe.path"),
            ("capacity: { tokens_per_minute: 0 }", "capacity.tokens_per_minute"),
            ("capacity: { tokens_per_minute: 1, burst: 0s }", "capacity.burst"),
            ("deployments: { x: {} }", "deployments.x"),
            (
                "deployments: { m: { circuit: { max_open: 0s, open_for: 0s } } }",
                "deployments.m.circuit.open_for",
            ),
        ] {
            assert!(
                mistakes(wrong).contains(&format!("backends.b.{path}")),
                "{wrong}: {:?}",
                mistakes(wrong)
            );
        }
    }
}
