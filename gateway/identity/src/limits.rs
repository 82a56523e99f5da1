//! From the limits of a product's configuration to the limits that apply to one caller. Pure.

use std::sync::Arc;

use tollgate_config::{CounterScope, LimitConfig};
use tollgate_limits::{
    CounterKey, KeySource, Limit, LimitRule, MAX_AMOUNT, Meter, Scope, Span, Subject, Window,
};
use tollgate_schemas::usage::Payer;

/// The rules of a product, once for all its callers.
pub(super) fn rules(limits: &[LimitConfig]) -> Vec<Arc<LimitRule>> {
    limits.iter().map(|limit| Arc::new(rule(limit))).collect()
}

/// The rules as they apply to one payer, with the counter keys worked out.
pub(super) fn of_payer(rules: &[Arc<LimitRule>], payer: &Payer) -> Box<[Limit]> {
    let limit = |rule: &Arc<LimitRule>| {
        let key = CounterKey::new(&payer.product, rule, subject(rule.scope, payer));
        Limit { rule: Arc::clone(rule), key: KeySource::Fixed(key) }
    };
    rules.iter().map(limit).collect()
}

fn rule(limit: &LimitConfig) -> LimitRule {
    let (meter, window) = (Meter::Tokens, Window::Sliding(Span::Minute));
    let amount = limit.tokens_per_minute.0.min(MAX_AMOUNT);
    LimitRule { name: LimitRule::usual_name(meter, window), scope: scope(limit.per), meter, window, amount }
}

const fn scope(per: CounterScope) -> Scope {
    match per {
        CounterScope::Key => Scope::Key,
        CounterScope::Subscription => Scope::Subscription,
        CounterScope::Team => Scope::Team,
        CounterScope::Tenant => Scope::Tenant,
        CounterScope::Product => Scope::Product,
    }
}

fn subject(scope: Scope, payer: &Payer) -> Subject {
    let subscription = Arc::clone(&payer.subscription);
    let tenant = Arc::clone(&payer.tenant);
    match scope {
        Scope::Key => Subject::Key { subscription, key_id: Arc::clone(&payer.key_id) },
        Scope::Subscription => Subject::Subscription { subscription },
        Scope::Team => Subject::Team { tenant, team: Arc::clone(&payer.team) },
        Scope::Tenant => Subject::Tenant { tenant },
        Scope::Product => Subject::Product,
    }
}

#[cfg(test)]
mod tests {
    use tollgate_settings::units::Tokens;

    use super::*;

    const SCOPES: [CounterScope; 5] = [
        CounterScope::Key,
        CounterScope::Subscription,
        CounterScope::Team,
        CounterScope::Tenant,
        CounterScope::Product,
    ];

    fn payer(tenant: &str, team: &str, subscription: &str) -> Payer {
        Payer {
            tenant: tenant.into(),
            cost_center: "".into(),
            team: team.into(),
            app: "".into(),
            product: "gold".into(),
            subscription: subscription.into(),
            key_id: "primary".into(),
            subject: None,
            tags: std::collections::BTreeMap::new(),
        }
    }

    fn limits(payer: &Payer) -> Vec<(String, LimitRule)> {
        let configured = SCOPES.map(|per| LimitConfig { per, tokens_per_minute: Tokens(100) });
        let limits = of_payer(&rules(&configured), payer);
        limits
            .iter()
            .map(|Limit { rule, key: KeySource::Fixed(key) }| (key.to_string(), (**rule).clone()))
            .collect()
    }

    #[test]
    fn every_scope_names_whoever_it_counts_apart() {
        let keys: Vec<String> = limits(&payer("acme", "t", "s")).into_iter().map(|(key, _)| key).collect();
        let named = |rest: &str| format!("gold/tokens_per_minute/{rest}");
        let rest = ["key/s/primary", "subscription/s", "team/acme/t", "tenant/acme", "product"];
        assert_eq!(keys, rest.map(named));
    }

    #[test]
    fn only_wider_scopes_are_shared_by_subscriptions_with_equal_key_ids() {
        let (one, other) = (limits(&payer("acme", "t", "a")), limits(&payer("acme", "t", "b")));
        let shared: Vec<_> =
            one.iter().zip(&other).filter(|(a, b)| a == b).map(|((_, rule), _)| rule.scope).collect();
        assert_eq!(shared, [Scope::Team, Scope::Tenant, Scope::Product]);
    }

    #[test]
    fn a_limit_of_the_configuration_is_tokens_per_minute() {
        let said: Vec<String> =
            limits(&payer("acme", "t", "s")).iter().map(|(_, rule)| rule.to_string()).collect();
        assert_eq!(said[2], "limit of 100 tokens per minute for this team");
    }
}
