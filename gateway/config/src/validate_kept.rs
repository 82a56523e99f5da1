//! What providers keep: accounts that belong to one tenant.

use std::sync::Arc;

use tollgate_settings::Mistakes;

use super::validate::refer;
use super::{Config, ProductConfig};

/// Checks that nobody but its tenant reaches an account of its own.
pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
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
}
