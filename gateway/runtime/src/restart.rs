//! What is read once, when the process starts. A configuration that changes it is refused: it would seem to work and
//! would not.

use serde_json::Value;
use tollgate_config::Config;
use tollgate_settings::Mistakes;

/// The fields, as JSON pointers; all that is below them counts.
const FIXED: [&str; 16] = [
    "/gateway_id",
    "/listen",
    "/admin_listen",
    "/workers",
    "/base_path",
    "/data_dir",
    "/events",
    "/server/header_timeout",
    "/server/keep_alive",
    "/server/max_connections",
    "/server/min_rate",
    "/server/write_timeout",
    "/replicas",
    "/responses",
    "/spool",
    "/telemetry",
];

/// The part of a configuration that cannot change.
pub(crate) fn fixed_part(config: &Config) -> Config {
    let mut fixed = config.clone();
    fixed.backends.clear();
    fixed.models.clear();
    fixed.model_families.clear();
    fixed.apis.clear();
    fixed.products.clear();
    fixed.subscriptions.clear();
    fixed
}

/// Notes every field that would need a restart.
pub(crate) fn check(before: &Config, after: &Config, mistakes: &mut Mistakes) {
    let value = |config| serde_json::to_value(fixed_part(config)).unwrap_or_default();
    let (before, after) = (value(before), value(after));
    for pointer in FIXED {
        let path = pointer.trim_start_matches('/').replace('/', ".");
        compare(&path, before.pointer(pointer), after.pointer(pointer), mistakes);
    }
}

/// Notes the innermost fields that differ.
fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, mistakes: &mut Mistakes) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|name| !before.contains_key(*name));
            for name in before.keys().chain(added) {
                compare(&format!("{path}.{name}"), before.get(name), after.get(name), mistakes);
            }
        }
        _ => mistakes.add(path, "cannot change while the gateway runs; restart it"),
    }
}

#[cfg(test)]
mod tests {
    use tollgate_settings::load::parse_yaml;

    use super::*;

    fn found(before: &str, after: &str) -> Vec<String> {
        let read = |text| parse_yaml::<Config>("t.yaml".as_ref(), text).unwrap();
        let mut mistakes = Mistakes::default();
        check(&read(before), &read(after), &mut mistakes);
        mistakes.0.into_iter().map(|mistake| mistake.path).collect()
    }

    /// What requests see of a new snapshot, or what is adjusted to it.
    const FOLLOWED: [&str; 21] = [
        "/allow_plain_secrets",
        "/cors",
        "/region",
        "/backends",
        "/models",
        "/apis",
        "/products",
        "/subscriptions",
        "/content_events",
        "/cache_service",
        "/overload",
        "/server/max_body",
        "/server/max_answer",
        "/server/max_event",
        "/server/body_timeout",
        "/server/drain",
        "/server/backend_headers",
        "/server/compress_above",
        "/server/upstream_rate_headers",
        "/server/keep_alive_comments",
        "/server/default_completion_tokens",
    ];

    /// Whoever adds a field decides what becomes of it.
    #[test]
    fn every_field_of_the_configuration_is_fixed_or_followed() {
        let config: Config = parse_yaml("t.yaml".as_ref(), "{}").unwrap();
        let value = serde_json::to_value(config).unwrap();
        let mut fields: Vec<String> = Vec::new();
        for (name, field) in value.as_object().unwrap() {
            match field.as_object().filter(|_| name == "server") {
                Some(server) => fields.extend(server.keys().map(|field| format!("/server/{field}"))),
                None => fields.push(format!("/{name}")),
            }
        }
        let undecided: Vec<_> = fields
            .iter()
            .filter(|field| !FIXED.iter().chain(&FOLLOWED).any(|known| known == field))
            .collect();
        assert!(undecided.is_empty(), "{undecided:?}");
        assert!(FIXED.iter().all(|pointer| value.pointer(pointer).is_some()), "a fixed field does not exist");
    }

    #[test]
    fn a_field_that_needs_a_restart_is_named_with_its_whole_path() {
        assert_eq!(found("{}", "server: { keep_alive: 1s }"), ["server.keep_alive"]);
        assert_eq!(found("{}", "spool: { max_size: 1GiB }"), ["spool.max_size"]);
        assert_eq!(found("{}", "listen: 127.0.0.1:1"), ["listen"]);
        let kafka = |brokers| format!("events: {{ kafka: {{ brokers: [{brokers}] }} }}");
        assert_eq!(found(&kafka("a"), &kafka("b")), ["events.kafka.brokers"]);
        assert_eq!(found(&kafka("a"), "{}"), ["events.kafka", "events.embedded"]);
    }

    #[test]
    fn what_a_snapshot_holds_may_change() {
        let after = "region: eu\noverload: { max_running: 1 }\nserver: { max_body: 1MiB, drain: 1s }\n\
                     backends: { b: { format: openai, url: 'http://h/v1' } }\ncache_service: { url: 'http://c' }";
        assert_eq!(found("{}", after), Vec::<String>::new());
    }
}
