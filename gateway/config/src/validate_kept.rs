//! What providers keep: accounts that belong to one tenant, the secret that binds kept answers to their owners, and how
//! long one is worked on.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tollgate_eventlog::config::EventLogConfig;
use tollgate_settings::Mistakes;

use super::references::refer;
use super::{Config, ProductConfig};

/// Shortest secret that ids are sealed with, bytes.
const MIN_KEY_BYTES: usize = 32;

/// Longest that an answer is asked for.
const MAX_DEADLINE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Most answers that are worked on at the same time: each takes some KiB of memory.
const MAX_PENDING: u32 = 100_000;

/// Checks all of it.
pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
    check_tenants(config, mistakes);
    check_key(config, mistakes);
    check_background(config, mistakes);
}

fn check_background(config: &Config, mistakes: &mut Mistakes) {
    let background = &config.responses.background;
    if background.deadline.0.is_zero() || background.deadline.0 > MAX_DEADLINE {
        mistakes.add("responses.background.deadline", "must be more than 0 and at most 30 days");
    }
    if !(1..=MAX_PENDING).contains(&background.max_pending) {
        mistakes.add("responses.background.max_pending", format!("must be 1 to {MAX_PENDING}"));
    }
}

/// Replicas must share one secret: what one of them has shown to a client would not exist at the others.
fn check_key(config: &Config, mistakes: &mut Mistakes) {
    let path = "responses.signing_key";
    let keeps = config.backends.iter().find(|(_, backend)| backend.serves_responses());
    match config.responses.signing_key.as_ref().map(|template| template.resolve()) {
        Some(Err(error)) => mistakes.add(path, error.to_string()),
        Some(Ok(key)) if key.expose_secret().len() < MIN_KEY_BYTES => {
            let message =
                format!("must have at least {MIN_KEY_BYTES} bytes; make one with `openssl rand -hex 32`");
            mistakes.add(path, message);
        }
        Some(Ok(_)) => {}
        None => {
            let is_cluster = matches!(config.events, EventLogConfig::Kafka(_));
            if let Some((name, _)) = keeps.filter(|_| is_cluster) {
                let message = format!(
                    "is missing: backends.{name} keeps responses, and with `events: kafka` there may be several \
                     replicas, which must share one secret"
                );
                mistakes.add(path, message);
            }
        }
    }
}

/// Checks that nobody but its tenant reaches an account of its own.
fn check_tenants(config: &Config, mistakes: &mut Mistakes) {
    let tenants = config.subscriptions.values().map(|subscription| &subscription.tenant);
    for (name, backend) in &config.backends {
        let Some(tenant) = &backend.tenant else { continue };
        refer(mistakes, format!("backends.{name}.tenant"), "tenant", tenant, tenants.clone());
        for (subscription, other) in &config.subscriptions {
            let product = config.products.get(&other.product).filter(|_| other.tenant != *tenant);
            if let Some(way) = product.and_then(|product| way_to(config, product, name)) {
                let message = format!(
                    "reaches backends.{name} by {way}, whose account belongs to the tenant `{tenant}`"
                );
                mistakes.add(format!("subscriptions.{subscription}.product"), message);
            }
        }
    }
}

/// By which model or API a product reaches a backend.
fn way_to(config: &Config, product: &ProductConfig, backend: &Arc<str>) -> Option<String> {
    let model = product.models.iter().find(|alias| {
        let model = config.models.get(*alias);
        model.is_some_and(|model| model.targets.iter().any(|target| target.backend == *backend))
    });
    let api = || {
        let reaches = |api: &&Arc<str>| config.apis.get(*api).is_some_and(|api| api.backend == *backend);
        product.apis.iter().find(reaches).map(|api| format!("apis.{api}"))
    };
    model.map(|alias| format!("models.{alias}")).or_else(api)
}

#[cfg(test)]
mod tests {
    use tollgate_settings::load::parse_yaml;

    use super::super::validate::validate;
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let config: Config = parse_yaml("t.yaml".as_ref(), text).unwrap();
        let found = validate(&config).err().map(|mistakes| mistakes.0).unwrap_or_default();
        found.into_iter().map(|mistake| format!("{}: {}", mistake.path, mistake.message)).collect()
    }

    fn config(tenant: &str, others_product: &str) -> String {
        format!(
            "backends: {{ own: {{ format: openai, url: 'http://h/v1', tenant: {tenant} }}, all: {{ format: openai, url: 'http://h/v1' }} }}\n\
             models: {{ a: {{ targets: [ {{ backend: own, model: m }} ] }}, b: {{ targets: [ {{ backend: all, model: m }} ] }} }}\n\
             apis: {{ raw: {{ path: /raw, backend: own }} }}\n\
             products: {{ one: {{ models: [a, b] }}, two: {{ models: [b] }}, three: {{ models: [], apis: [raw] }} }}\n\
             subscriptions: {{ s: {{ product: one, tenant: acme }}, t: {{ product: {others_product}, tenant: globex }} }}\n"
        )
    }

    #[test]
    fn an_account_of_one_tenant_is_reached_by_nobody_else() {
        assert_eq!(mistakes(&config("acme", "two")), Vec::<String>::new());
        for (product, way) in [("one", "models.a"), ("three", "apis.raw")] {
            let expected = format!(
                "subscriptions.t.product: reaches backends.own by {way}, whose account belongs to the tenant `acme`"
            );
            assert_eq!(mistakes(&config("acme", product)), [expected]);
        }
    }

    #[test]
    fn a_tenant_that_nobody_is_of_is_a_mistake() {
        let found = mistakes(&config("acmee", "two"));
        assert_eq!(found[0], "backends.own.tenant: there is no tenant `acmee`; did you mean `acme`?");
    }

    #[test]
    fn replicas_of_a_cluster_share_the_secret_of_what_providers_keep() {
        let kafka = "events: { kafka: { brokers: ['k:9092'] } }\n";
        let backend = |serves: bool| {
            format!(
                "backends: {{ b: {{ format: openai, url: 'http://h/v1', serves_responses: {serves} }} }}\n"
            )
        };
        let found = mistakes(&format!("{kafka}{}", backend(true)));
        assert!(
            found.len() == 1 && found[0].starts_with("responses.signing_key: is missing: backends.b"),
            "{found:?}"
        );
        let openai = "backends: { b: { format: openai, url: 'https://api.openai.com/v1' } }\n";
        assert_eq!(mistakes(&format!("{kafka}{openai}")).len(), 1, "a backend that does by itself");
        let long = "k".repeat(MIN_KEY_BYTES);
        let key = format!("allow_plain_secrets: true\nresponses: {{ signing_key: {long} }}\n");
        for fine in
            [backend(true), format!("{kafka}{}", backend(false)), format!("{kafka}{}{key}", backend(true))]
        {
            assert_eq!(mistakes(&fine), Vec::<String>::new(), "{fine}");
        }
    }

    #[test]
    fn a_secret_that_could_be_guessed_is_a_mistake() {
        let found = mistakes("allow_plain_secrets: true\nresponses: { signing_key: short }");
        assert!(
            found.len() == 1 && found[0].starts_with("responses.signing_key: must have at least 32 bytes"),
            "{found:?}"
        );
        let found = mistakes("responses: { signing_key: '${secret:env:TOLLGATE_NOT_SET}' }");
        assert!(
            found[0].starts_with("responses.signing_key: environment variable TOLLGATE_NOT_SET"),
            "{found:?}"
        );
    }
}
