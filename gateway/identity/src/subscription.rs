//! Subscriptions and products, resolved once per configuration so that requests only look up.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use subtle::ConstantTimeEq;
use tollgate_config::validate::{key_hash, key_id};
use tollgate_config::{CacheScope, Config, SubscriptionConfig};
use tollgate_limits::Limit;
use tollgate_schemas::usage::Payer;

use super::limits;

/// Tags that are columns of their own in events and reports.
const COST_CENTER: &str = "cost_center";
const TEAM: &str = "team";
const APP: &str = "app";

/// What a gateway key stands for.
#[derive(Debug)]
pub struct Caller {
    /// The product its subscription is made for.
    pub product: Arc<Product>,
    /// Who pays; copied into every event.
    pub payer: Payer,
    /// The limits on its use, with their counter keys worked out.
    pub limits: Box<[Limit]>,
}

/// A bundle of models.
#[derive(Debug)]
pub struct Product {
    /// Aliases that may be used.
    pub models: HashSet<Arc<str>>,
    /// APIs that may be called.
    pub apis: HashSet<Arc<str>>,
    /// Whose requests go first when capacity is short: the lowest tier number.
    pub tier: u8,
}

/// Gateway keys by hash.
#[derive(Debug, Default)]
pub struct KeyTable {
    callers: HashMap<[u8; 32], Arc<Caller>, ahash::RandomState>,
}

impl KeyTable {
    /// The caller whose key has this hash.
    #[must_use]
    pub fn find(&self, hash: &[u8; 32]) -> Option<Arc<Caller>> {
        let (known, caller) = self.callers.get_key_value(hash)?;
        bool::from(known.ct_eq(hash)).then(|| Arc::clone(caller))
    }

    /// The caller of the key with this id; if the key is gone, of another key of the subscription. Linear in the keys.
    #[must_use]
    pub fn of_payer(&self, subscription: &str, key_id: &str) -> Option<Arc<Caller>> {
        let mut own = self.callers.values().filter(|caller| *caller.payer.subscription == *subscription);
        let any = own.clone().min_by(|a, b| a.payer.key_id.cmp(&b.payer.key_id));
        own.find(|caller| *caller.payer.key_id == *key_id).or(any).map(Arc::clone)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.callers.len()
    }

    /// Whether there is no key at all, so that nobody can call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.callers.is_empty()
    }

    /// The keys of a validated configuration.
    #[must_use]
    pub fn build(config: &Config) -> Self {
        let products: HashMap<&str, _> = config
            .products
            .iter()
            .map(|(name, product)| {
                let rules = limits::rules(&product.limits);
                let product = Product {
                    models: product.models.iter().cloned().collect(),
                    apis: product.apis.iter().cloned().collect(),
                    tier: product.tier,
                };
                (&**name, (Arc::new(product), rules))
            })
            .collect();
        let mut table = Self::default();
        for (name, subscription) in &config.subscriptions {
            let Some((product, rules)) = products.get(&*subscription.product) else { continue };
            for key in &subscription.keys {
                let Some(hash) = key_hash(key) else { continue };
                let payer = payer(name, subscription, key_id(key, &hash));
                let limits = limits::of_payer(rules, &payer);
                let caller = Caller { product: Arc::clone(product), payer, limits };
                table.callers.insert(hash, Arc::new(caller));
            }
        }
        table
    }
}

impl Caller {
    /// Whether the caller's product includes this API.
    #[must_use]
    pub fn may_call(&self, api: &str) -> bool {
        self.product.apis.contains(api)
    }

    /// The owner of cached answers under a scope, within the tenant. Two owners never have the same text: a kind with
    /// two names puts the length of the first one in front of it.
    #[must_use]
    pub fn cache_scope(&self, scope: CacheScope) -> Arc<str> {
        match scope {
            CacheScope::Key => {
                let (subscription, key_id) = (&self.payer.subscription, &self.payer.key_id);
                format!("key:{}:{subscription}:{key_id}", subscription.len()).into()
            }
            CacheScope::Subscription => format!("subscription:{}", self.payer.subscription).into(),
            CacheScope::Team => format!("team:{}", self.payer.team).into(),
            CacheScope::Tenant => "tenant".into(),
        }
    }
}

fn payer(name: &Arc<str>, subscription: &SubscriptionConfig, key_id: Arc<str>) -> Payer {
    let tag = |key: &str| subscription.tags.get(key).cloned().unwrap_or_default();
    let columns = [COST_CENTER, TEAM, APP];
    let other_tags: BTreeMap<Arc<str>, Arc<str>> = subscription
        .tags
        .iter()
        .filter(|(key, _)| !columns.contains(&&***key))
        .map(|(key, value)| (Arc::clone(key), Arc::clone(value)))
        .collect();
    Payer {
        tenant: Arc::clone(&subscription.tenant),
        cost_center: tag(COST_CENTER),
        team: tag(TEAM),
        app: tag(APP),
        product: Arc::clone(&subscription.product),
        subscription: Arc::clone(name),
        key_id,
        subject: None,
        tags: other_tags,
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};
    use tollgate_settings::load::parse_yaml;

    use super::*;

    fn table() -> KeyTable {
        let hash = |key: &str| hex::encode(Sha256::digest(key));
        let text = format!(
            "products: {{ gold: {{ models: [m], limits: [ {{ per: team, tokens_per_minute: 10 }} ] }} }}\n\
             subscriptions:\n  \
             s: {{ product: gold, tenant: acme, tags: {{ cost_center: '4711', team: t, env: prod }}, keys: [ {{ id: k, sha256: {} }}, {{ sha256: {} }} ] }}\n",
            hash("one"),
            hash("two")
        );
        KeyTable::build(&parse_yaml("t.yaml".as_ref(), &text).unwrap())
    }

    #[test]
    fn a_key_leads_to_its_payer() {
        let caller = table().find(&Sha256::digest("one").into()).unwrap();
        assert_eq!(
            (&*caller.payer.cost_center, &*caller.payer.team, &*caller.payer.key_id),
            ("4711", "t", "k")
        );
        assert_eq!(caller.payer.tags.len(), 1);
        assert_eq!(caller.limits[0].rule.to_string(), "limit of 10 tokens per minute for this team");
    }

    #[test]
    fn a_key_without_id_is_named_after_its_hash() {
        let hash: [u8; 32] = Sha256::digest("two").into();
        assert_eq!(&*table().find(&hash).unwrap().payer.key_id, &hex::encode(&hash[..6]));
    }

    #[test]
    fn an_unknown_key_leads_nowhere() {
        assert!(table().find(&[7; 32]).is_none());
    }

    #[test]
    fn two_callers_never_own_the_same_cached_answers_unless_their_scope_is_the_same() {
        let table = table();
        let hash: [u8; 32] = Sha256::digest("one").into();
        let owner = |subscription: &str, key_id: &str, scope| {
            let found = table.find(&hash).unwrap();
            let (subscription, key_id) = (subscription.into(), key_id.into());
            let payer = Payer { subscription, key_id, ..found.payer.clone() };
            Caller { product: Arc::clone(&found.product), payer, limits: Box::default() }.cache_scope(scope)
        };
        let names = ["", "a", "b", "a:b", "a:1", "1:a", "1:a:b", ":", "team:t", "tenant"];
        let pairs = names.iter().flat_map(|one| names.iter().map(move |other| (*one, *other)));
        let owners = |scope| pairs.clone().map(move |(one, other)| (one, other, scope));
        let keys: HashSet<_> =
            owners(CacheScope::Key).map(|(one, other, scope)| owner(one, other, scope)).collect();
        assert_eq!(keys.len(), names.len() * names.len());
        for scope in [CacheScope::Subscription, CacheScope::Team, CacheScope::Tenant] {
            assert!(owners(scope).all(|(one, other, scope)| !keys.contains(&owner(one, other, scope))));
        }
    }
}
