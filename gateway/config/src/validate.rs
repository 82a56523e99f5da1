//! What a type cannot say: references that lead nowhere, values out of range. Every mistake at once.

use std::collections::HashMap;
use std::sync::Arc;

use tollgate_settings::Mistakes;

use super::references::refer;
use super::{
    BackendConfig, CacheConfig, Config, CounterScope, KeyConfig, LimitConfig, ModelConfig, SubscriptionConfig,
};

/// Most tags of a subscription, and their longest keys and values in bytes (they travel in every event).
const MAX_TAGS: usize = 32;
const MAX_TAG_KEY_BYTES: usize = 64;
const MAX_TAG_VALUE_BYTES: usize = 256;

/// Checks how the parts of the configuration fit together.
///
/// # Errors
/// Every mistake found.
pub fn validate(config: &Config) -> Result<(), Mistakes> {
    let mut mistakes = Mistakes::default();
    check_server(config, &mut mistakes);
    super::validate_aliases::check_overload(config, &mut mistakes);
    super::cors::check(&config.cors, &mut mistakes);
    mistakes.add_section("events", config.events.mistakes());
    if !config.allow_plain_secrets {
        mistakes.append(tollgate_settings::plain_secrets(config));
    }
    for (name, backend) in &config.backends {
        check_backend(name, backend, &mut mistakes);
        super::validate_resiliency::check_retries(
            &format!("backends.{name}"),
            backend.retries,
            &mut mistakes,
        );
        super::validate_formats::check(name, backend, &mut mistakes);
        super::validate_circuits::check(config, name, backend, &mut mistakes);
    }
    for (alias, model) in &config.models {
        check_model(config, alias, model, &mut mistakes);
        super::validate_aliases::check(alias, model, &mut mistakes);
        super::validate_resiliency::check(config, alias, model, &mut mistakes);
    }
    for (name, product) in &config.products {
        for (index, alias) in product.models.iter().enumerate() {
            refer(
                &mut mistakes,
                format!("products.{name}.models[{index}]"),
                "model",
                alias,
                config.models.keys(),
            );
        }
        check_limits(name, &product.limits, &mut mistakes);
    }
    super::validate_families::check(config, &mut mistakes);
    super::apis::check(config, &mut mistakes);
    if let Some(cache_service) = &config.cache_service {
        mistakes.add_section("cache_service", cache_service.mistakes());
    }
    check_subscriptions(config, &mut mistakes);
    super::validate_kept::check(config, &mut mistakes);
    mistakes.into_result()
}

fn check_server(config: &Config, mistakes: &mut Mistakes) {
    if !config.base_path.starts_with('/')
        || config.base_path.ends_with('/')
        || config.base_path.contains(['{', '}'])
    {
        mistakes.add("base_path", "must start with `/` and not end with it, like /llm/v1");
    }
    if config.workers == Some(0) {
        mistakes.add("workers", "must be at least 1; leave it out for one per core");
    }
    let server = &config.server;
    let sizes = [
        ("max_body", Some(server.max_body)),
        ("max_answer", server.max_answer),
        ("max_event", Some(server.max_event)),
    ];
    for (name, size) in sizes {
        if size.is_some_and(|size| size.0 == 0) {
            mistakes.add(format!("server.{name}"), "must be above 0");
        }
    }
    if config.gateway_id.is_empty() || config.gateway_id.len() > MAX_TAG_KEY_BYTES {
        mistakes.add("gateway_id", "must have 1 to 64 bytes");
    }
}

fn check_backend(name: &str, backend: &BackendConfig, mistakes: &mut Mistakes) {
    let path = format!("backends.{name}.url");
    match backend.url.parse::<http::Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => {
            if uri.query().is_some() {
                mistakes.add(path, "must not have a query");
            }
        }
        _ => mistakes.add(path, format!("`{}` is not an http or https URL", backend.url)),
    }
    if let Some(credentials) = &backend.credentials {
        mistakes.add_section(&format!("backends.{name}.credentials"), credentials.mistakes());
    }
    mistakes.add_section(&format!("backends.{name}.tls"), backend.tls.mistakes(&backend.url));
}

fn check_model(config: &Config, alias: &str, model: &ModelConfig, mistakes: &mut Mistakes) {
    let path = format!("models.{alias}");
    if model.targets.is_empty() {
        mistakes.add(format!("{path}.targets"), "needs at least one target");
    }
    for (index, target) in model.targets.iter().enumerate() {
        let path = format!("{path}.targets[{index}]");
        refer(mistakes, format!("{path}.backend"), "backend", &target.backend, config.backends.keys());
        if let (Some(api), Some(backend)) = (target.api, config.backends.get(&target.backend)) {
            super::validate_formats::check_api(&format!("{path}.api"), backend, api, mistakes);
        }
        if target.weight == 0 {
            mistakes.add(format!("{path}.weight"), "must be above 0; leave the target out to stop using it");
        }
    }
    if let Some(cache) = &model.cache {
        if config.cache_service.is_none() {
            mistakes.add(format!("{path}.cache"), "needs `cache_service`");
        }
        if let CacheConfig::Semantic(semantic) = cache
            && !(semantic.min_similarity > 0.0 && semantic.min_similarity <= 1.0)
        {
            mistakes.add(format!("{path}.cache.semantic.min_similarity"), "must be above 0 and up to 1");
        }
    }
}

fn check_limits(product: &str, limits: &[LimitConfig], mistakes: &mut Mistakes) {
    let mut scopes: HashMap<CounterScope, usize> = HashMap::new();
    for (index, limit) in limits.iter().enumerate() {
        let path = format!("products.{product}.limits[{index}]");
        if limit.tokens_per_minute.0 == 0 {
            let message = "must be above 0; leave the model out of the product to forbid it";
            mistakes.add(format!("{path}.tokens_per_minute"), message);
        }
        // Both would count on one counter, and each request twice.
        if let Some(other) = scopes.insert(limit.per, index) {
            let message = format!("has a limit already: products.{product}.limits[{other}]");
            mistakes.add(format!("{path}.per"), message);
        }
    }
}

fn check_subscriptions(config: &Config, mistakes: &mut Mistakes) {
    let mut owners: HashMap<[u8; 32], String> = HashMap::new();
    for (name, subscription) in &config.subscriptions {
        let path = format!("subscriptions.{name}");
        refer(mistakes, format!("{path}.product"), "product", &subscription.product, config.products.keys());
        check_tags(&path, subscription, mistakes);
        let mut ids: HashMap<Arc<str>, usize> = HashMap::new();
        for (index, key) in subscription.keys.iter().enumerate() {
            let hash_path = format!("{path}.keys[{index}].sha256");
            let Some(hash) = key_hash(key) else {
                mistakes.add(hash_path, "must be 64 hexadecimal digits: printf %s KEY | sha256sum");
                continue;
            };
            if let Some(other) = owners.insert(hash, hash_path.clone()) {
                mistakes.add(hash_path, format!("is the same key as {other}"));
            } else if let Some(other) = ids.insert(key_id(key, &hash), index) {
                // Limits and cached answers of one key are told from another's by this id.
                let same = format!("is the same id as that of {path}.keys[{other}]");
                mistakes.add(format!("{path}.keys[{index}].id"), same);
            }
        }
    }
}

fn check_tags(path: &str, subscription: &SubscriptionConfig, mistakes: &mut Mistakes) {
    if subscription.tags.len() > MAX_TAGS {
        mistakes.add(format!("{path}.tags"), format!("has more than {MAX_TAGS} tags"));
    }
    for (key, value) in &subscription.tags {
        if key.is_empty() || key.len() > MAX_TAG_KEY_BYTES || value.len() > MAX_TAG_VALUE_BYTES {
            let message =
                format!("keys have 1 to {MAX_TAG_KEY_BYTES} bytes, values up to {MAX_TAG_VALUE_BYTES}");
            mistakes.add(format!("{path}.tags.{key}"), message);
        }
    }
}

/// The hash of a configured key; `None` when it is not 64 hexadecimal digits.
#[must_use]
pub fn key_hash(key: &KeyConfig) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(key.sha256.trim(), &mut hash).ok().map(|()| hash)
}

/// The public name of a key: its id, or one made from its hash.
#[must_use]
pub fn key_id(key: &KeyConfig, hash: &[u8; 32]) -> Arc<str> {
    key.id.clone().unwrap_or_else(|| hex::encode(&hash[..6]).into())
}

#[cfg(test)]
mod tests {
    use tollgate_settings::load::parse_yaml;

    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let config: Config = parse_yaml("t.yaml".as_ref(), text).unwrap();
        match validate(&config) {
            Ok(()) => Vec::new(),
            Err(found) => found.0.into_iter().map(|m| format!("{}: {}", m.path, m.message)).collect(),
        }
    }

    #[test]
    fn every_mistake_is_reported_with_its_path() {
        let found = mistakes(
            "backends: { openai: { format: openai, url: 'ftp://x' } }\n\
             models: { gpt: { targets: [ { backend: opneai, model: m } ] } }\n\
             products: { gold: { models: [gtp] } }\n\
             subscriptions: { s: { product: gold, keys: [ { sha256: zz } ] } }\n",
        );
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(
            found[1].contains(
                "models.gpt.targets[0].backend: there is no backend `opneai`; did you mean `openai`?"
            )
        );
    }

    #[test]
    fn one_key_cannot_belong_to_two_subscriptions() {
        let hash = "a".repeat(64);
        let found = mistakes(&format!(
            "products: {{ p: {{ models: [] }} }}\n\
             subscriptions:\n  a: {{ product: p, keys: [ {{ sha256: {hash} }} ] }}\n  \
             b: {{ product: p, keys: [ {{ sha256: {hash} }} ] }}\n"
        ));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("is the same key as subscriptions.a.keys[0].sha256"));
    }

    #[test]
    fn a_key_id_is_unique_within_its_subscription_also_one_made_from_a_hash() {
        let hash = |digit: &str| digit.repeat(64);
        let (a, b, c, d) = (hash("a"), hash("b"), hash("c"), hash("d"));
        let found = mistakes(&format!(
            "products: {{ p: {{ models: [] }} }}\n\
             subscriptions:\n  \
             s: {{ product: p, keys: [ {{ id: primary, sha256: {a} }}, {{ id: primary, sha256: {b} }}, {{ sha256: {c} }}, {{ id: cccccccccccc, sha256: {d} }} ] }}\n"
        ));
        assert_eq!(
            found,
            [
                "subscriptions.s.keys[1].id: is the same id as that of subscriptions.s.keys[0]",
                "subscriptions.s.keys[3].id: is the same id as that of subscriptions.s.keys[2]",
            ]
        );
        let of_two = mistakes(&format!(
            "products: {{ p: {{ models: [] }} }}\n\
             subscriptions:\n  s: {{ product: p, keys: [ {{ id: primary, sha256: {a} }} ] }}\n  \
             t: {{ product: p, keys: [ {{ id: primary, sha256: {b} }} ] }}\n"
        ));
        assert_eq!(of_two, Vec::<String>::new());
    }

    #[test]
    fn a_product_cannot_limit_the_same_scope_twice() {
        let found = mistakes(
            "products: { p: { models: [], limits: [ { per: team, tokens_per_minute: 5 }, { per: key, tokens_per_minute: 5 }, { per: team, tokens_per_minute: 9 } ] } }",
        );
        assert_eq!(found, ["products.p.limits[2].per: has a limit already: products.p.limits[0]"]);
    }

    #[test]
    fn a_missing_secret_of_the_event_log_is_a_mistake_of_its_property() {
        let found = mistakes(
            "events: { kafka: { brokers: ['k:9092'], properties: { sasl.password: '${secret:env:TOLLGATE_NOT_SET}' } } }",
        );
        let expected = "events.kafka.properties.sasl.password: environment variable TOLLGATE_NOT_SET";
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    }

    #[test]
    fn a_bound_of_nothing_is_a_mistake() {
        let found = mistakes("server: { max_body: 0 B, max_answer: 0 B, max_event: 0 B }");
        let paths = found.iter().filter_map(|mistake| mistake.strip_suffix(": must be above 0"));
        assert_eq!(paths.collect::<Vec<_>>(), ["server.max_body", "server.max_answer", "server.max_event"]);
    }

    #[test]
    fn an_empty_mapping_is_a_complete_configuration() {
        assert_eq!(mistakes("{}"), Vec::<String>::new());
    }

    #[test]
    fn a_missing_secret_is_a_mistake_of_its_backend() {
        let found = mistakes(
            "backends: { b: { format: openai, url: 'http://h/v1', credentials: { header: { name: api-key, value: '${secret:env:TOLLGATE_NOT_SET}' } } } }",
        );
        assert!(
            found[0]
                .starts_with("backends.b.credentials.header.value: environment variable TOLLGATE_NOT_SET")
        );
    }
}
