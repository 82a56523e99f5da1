//! Checks the resiliency settings of an alias.

use tollgate_settings::Mistakes;

use super::{AffinityConfig, Config, ModelConfig, OnDisconnectConfig, RetryConfig};
use crate::resiliency::HedgeAfter;

/// Most attempts of one request.
const MAX_ATTEMPTS: u8 = 20;

/// Most further calls of one target.
const MAX_RETRIES: u8 = 10;

/// Checks what is said of further calls, below `path`.
pub(super) fn check_retries(path: &str, retries: Option<RetryConfig>, mistakes: &mut Mistakes) {
    let Some(RetryConfig { count, backoff, max_backoff }) = retries else { return };
    if count > MAX_RETRIES {
        mistakes.add(format!("{path}.retries.count"), format!("must be up to {MAX_RETRIES}"));
    }
    if backoff.0.is_zero() {
        mistakes.add(format!("{path}.retries.backoff"), "must be above 0");
    }
    if max_backoff.0 < backoff.0 {
        mistakes.add(format!("{path}.retries.max_backoff"), "must not be shorter than `backoff`");
    }
}

/// Checks pool, failover, hedging and what happens when a client goes.
pub(super) fn check(config: &Config, alias: &str, model: &ModelConfig, mistakes: &mut Mistakes) {
    let path = format!("models.{alias}");
    if model.pool.prefer_region && config.region.is_none() {
        mistakes.add(format!("{path}.pool.prefer_region"), "needs the gateway's own `region`");
    }
    if let Some(affinity) = &model.pool.affinity {
        check_affinity(&format!("{path}.pool.affinity"), affinity, mistakes);
    }
    if !(1..=MAX_ATTEMPTS).contains(&model.failover.max_attempts) {
        mistakes.add(format!("{path}.failover.max_attempts"), format!("must be from 1 to {MAX_ATTEMPTS}"));
    }
    check_retries(&path, model.retries, mistakes);
    let overrides = model.timeouts;
    let times = [
        ("failover.deadline", Some(model.failover.deadline)),
        ("timeouts.connect", overrides.connect),
        ("timeouts.first_byte", overrides.first_byte),
        ("timeouts.idle", overrides.idle),
        ("timeouts.total", overrides.total),
    ];
    for (name, _) in times.iter().filter(|(_, time)| time.is_some_and(|time| time.0.is_zero())) {
        mistakes.add(format!("{path}.{name}"), "must be above 0");
    }
    if let Some(hedge) = &model.hedge {
        if !(1..=100).contains(&hedge.max_percent) {
            mistakes.add(format!("{path}.hedge.max_percent"), "must be from 1 to 100");
        }
        if model.targets.len() < 2 {
            mistakes.add(format!("{path}.hedge"), "needs a second target to send the hedge to");
        }
        if matches!(hedge.after, HedgeAfter::Fixed(time) if time.0.is_zero()) {
            mistakes.add(format!("{path}.hedge.after"), "must be above 0");
        }
    }
    if let OnDisconnectConfig::Drain(drain) = model.on_disconnect
        && (drain.max.0.is_zero() || drain.max_bytes.0 == 0 || drain.max_concurrent == 0)
    {
        mistakes.add(format!("{path}.on_disconnect.drain"), "its bounds must be above 0; use `cancel`");
    }
}

/// Whether pointer and expression can be read shows when they are compiled.
fn check_affinity(path: &str, affinity: &AffinityConfig, mistakes: &mut Mistakes) {
    let AffinityConfig { cookie, header, body, expression, ttl } = affinity;
    if [cookie, header, body, expression].into_iter().flatten().count() != 1 {
        mistakes.add(path, "needs exactly one of `cookie`, `header`, `body` and `expression`");
    }
    if ttl.is_some() && cookie.is_none() {
        mistakes.add(format!("{path}.ttl"), "is the time that a client keeps the cookie; it needs `cookie`");
    }
    if let Some(name) = cookie
        && !is_cookie_name(name)
    {
        mistakes.add(format!("{path}.cookie"), format!("`{name}` is not a cookie name"));
    }
    if let Some(name) = header
        && name.parse::<http::HeaderName>().is_err()
    {
        mistakes.add(format!("{path}.header"), format!("`{name}` is not a header name"));
    }
}

/// A token of RFC 9110 §5.6.2, which RFC 6265 asks of cookie names.
fn is_cookie_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use tollgate_settings::load::parse_yaml;

    use super::*;
    use crate::validate::validate;

    fn mistakes(model: &str) -> Vec<String> {
        let text = format!(
            "backends: {{ b: {{ format: openai, url: 'http://h/v1' }}, c: {{ format: openai, url: 'http://i/v1' }} }}\n\
             models: {{ m: {{ targets: [ {{ backend: b, model: x }}, {{ backend: c, model: x }} ], {model} }} }}\n"
        );
        let config: Config = parse_yaml("t.yaml".as_ref(), &text).unwrap();
        match validate(&config) {
            Ok(()) => Vec::new(),
            Err(found) => found.0.into_iter().map(|m| format!("{}: {}", m.path, m.message)).collect(),
        }
    }

    #[test]
    fn every_form_of_a_good_setting_is_taken() {
        for good in [
            "pool: { strategy: round_robin }",
            "pool: { strategy: least_busy, affinity: { cookie: tollgate, ttl: 1h } }",
            "pool: { strategy: latency, affinity: { header: x-session-id } }",
            "pool: { affinity: { body: /metadata/session } }",
            "pool: { affinity: { expression: \"tenant + request.headers['x-user']\" } }",
            "failover: { max_attempts: 1, deadline: 10s }, timeouts: { first_byte: 5s }",
            "retries: {}, hedge: {}",
            "retries: { count: 3, backoff: 100ms, max_backoff: 2s }",
            "retries: { count: 0 }",
            "on_disconnect: cancel, hedge: {}",
            "on_disconnect: { drain: {} }, hedge: { after: p95, max_percent: 10 }",
            "on_disconnect: { drain: { max: 5s } }, hedge: { after: 300ms }",
        ] {
            assert_eq!(mistakes(good), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn every_mistake_is_named_with_its_path() {
        for (bad, path) in [
            ("pool: { prefer_region: true }", "pool.prefer_region"),
            ("pool: { affinity: {} }", "pool.affinity"),
            ("pool: { affinity: { cookie: a, header: b } }", "pool.affinity"),
            ("pool: { affinity: { cookie: 'a b' } }", "pool.affinity.cookie"),
            ("pool: { affinity: { header: 'a b' } }", "pool.affinity.header"),
            ("pool: { affinity: { header: a, ttl: 1h } }", "pool.affinity.ttl"),
            ("failover: { max_attempts: 0 }", "failover.max_attempts"),
            ("failover: { deadline: 0s }", "failover.deadline"),
            ("timeouts: { idle: 0s }", "timeouts.idle"),
            ("retries: { count: 11 }", "retries.count"),
            ("retries: { backoff: 0s }", "retries.backoff"),
            ("retries: { backoff: 6s }", "retries.max_backoff"),
            ("hedge: { max_percent: 0 }", "hedge.max_percent"),
            ("hedge: { after: 0s }", "hedge.after"),
            ("on_disconnect: { drain: { max: 0s } }", "on_disconnect.drain"),
        ] {
            let found = mistakes(bad);
            assert!(found.len() == 1 && found[0].starts_with(&format!("models.m.{path}: ")), "{found:?}");
        }
    }
}
