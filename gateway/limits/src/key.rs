//! What is counted together. A counter key is a structure, never joined text: names may hold any character.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use ahash::RandomState;

use super::meter::Meter;
use super::rule::{LimitRule, Scope};
use super::window::Window;

/// Whose use is counted. Within a product each value is somebody else.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// One gateway key. Its id is unique within its subscription only.
    Key {
        /// Its subscription.
        subscription: Arc<str>,
        /// Its id.
        key_id: Arc<str>,
    },
    /// One subscription.
    Subscription {
        /// Its name.
        subscription: Arc<str>,
    },
    /// One team. Its name is unique within its tenant only.
    Team {
        /// Its tenant.
        tenant: Arc<str>,
        /// Its name.
        team: Arc<str>,
    },
    /// One tenant.
    Tenant {
        /// Its name.
        tenant: Arc<str>,
    },
    /// Everybody.
    Product,
}

impl Subject {
    const fn scope(&self) -> Scope {
        match self {
            Self::Key { .. } => Scope::Key,
            Self::Subscription { .. } => Scope::Subscription,
            Self::Team { .. } => Scope::Team,
            Self::Tenant { .. } => Scope::Tenant,
            Self::Product => Scope::Product,
        }
    }

    fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        let names = match self {
            Self::Key { subscription, key_id } => [Some(subscription), Some(key_id)],
            Self::Subscription { subscription } => [Some(subscription), None],
            Self::Team { tenant, team } => [Some(tenant), Some(team)],
            Self::Tenant { tenant } => [Some(tenant), None],
            Self::Product => [None, None],
        };
        names.into_iter().flatten()
    }
}

/// What is counted together; clones are cheap. Shown as `PRODUCT/LIMIT/SCOPE/NAME…`, with `%`, `/`, `:` and control
/// characters of names in percent signs, so that two keys never look alike.
#[derive(Clone)]
pub struct CounterKey(Arc<Hashed>);

/// Hashed when it is made: requests look counters up by it.
struct Hashed {
    hash: u64,
    parts: Parts,
}

/// A limit's name alone does not identify it: with another configuration it may count something else.
#[derive(PartialEq, Eq, Hash)]
struct Parts {
    product: Arc<str>,
    limit: Arc<str>,
    meter: Meter,
    window: Window,
    subject: Subject,
}

impl CounterKey {
    /// The key under which a limit of a product counts the use of `subject`.
    #[must_use]
    pub fn new(product: &Arc<str>, rule: &LimitRule, subject: Subject) -> Self {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let LimitRule { name, meter, window, .. } = rule;
        let parts = Parts {
            product: Arc::clone(product),
            limit: Arc::clone(name),
            meter: *meter,
            window: *window,
            subject,
        };
        Self(Arc::new(Hashed { hash: HASHER.hash_one(&parts), parts }))
    }

    pub(super) fn meter(&self) -> Meter {
        self.0.parts.meter
    }

    pub(super) fn window(&self) -> Window {
        self.0.parts.window
    }

    pub(super) fn hashed(&self) -> u64 {
        self.0.hash
    }
}

impl PartialEq for CounterKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.hash == other.0.hash && self.0.parts == other.0.parts)
    }
}

impl Eq for CounterKey {}

impl Hash for CounterKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { product, limit, meter, window, subject } = &self.0.parts;
        write!(f, "{}/{}", Escaped(product), Escaped(limit))?;
        let usual = LimitRule::usual_name(*meter, *window);
        if **limit != *usual {
            write!(f, ":{usual}")?;
        }
        write!(f, "/{}", subject.scope().as_str())?;
        subject.names().try_for_each(|name| write!(f, "/{}", Escaped(name)))
    }
}

impl fmt::Debug for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CounterKey({self})")
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(|c: char| c.is_control() || matches!(c, '%' | '/' | ':')) {
            f.write_str(&rest[..at])?;
            let mut chars = rest[at..].chars();
            let mut bytes = [0; 4];
            if let Some(special) = chars.next() {
                special.encode_utf8(&mut bytes).bytes().try_for_each(|byte| write!(f, "%{byte:02X}"))?;
            }
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::window::Span;
    use super::*;

    type Tuple = (Arc<str>, Arc<str>, Meter, Window, Subject);

    fn key((product, name, meter, window, subject): &Tuple) -> CounterKey {
        let scope = subject.scope();
        let rule = LimitRule { name: Arc::clone(name), scope, meter: *meter, window: *window, amount: 1 };
        CounterKey::new(product, &rule, subject.clone())
    }

    fn text(tuple: &Tuple) -> String {
        key(tuple).to_string()
    }

    /// Names that look alike once they are joined.
    const NAMES: [&str; 12] = [
        "",
        "a",
        "b",
        "a/b",
        "b/a",
        "/",
        "a%2Fb",
        "%",
        "a:tokens_per_minute",
        "tokens_per_minute",
        "key/a",
        "a\n",
    ];

    fn name() -> impl Strategy<Value = Arc<str>> {
        proptest::sample::select(&NAMES[..]).prop_map(Arc::from)
    }

    fn subject() -> impl Strategy<Value = Subject> {
        prop_oneof![
            (name(), name()).prop_map(|(subscription, key_id)| Subject::Key { subscription, key_id }),
            name().prop_map(|subscription| Subject::Subscription { subscription }),
            (name(), name()).prop_map(|(tenant, team)| Subject::Team { tenant, team }),
            name().prop_map(|tenant| Subject::Tenant { tenant }),
            Just(Subject::Product),
        ]
    }

    fn tuple() -> impl Strategy<Value = Tuple> {
        let meter = prop_oneof![Just(Meter::Tokens), Just(Meter::Requests)];
        let span = prop_oneof![Just(Span::Minute), Just(Span::Hour)];
        (name(), name(), meter, span.prop_map(Window::Sliding), subject())
    }

    /// A tuple, and one that shares those of its parts that `same` says.
    fn pair() -> impl Strategy<Value = (Tuple, Tuple)> {
        let same = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        (tuple(), tuple(), same).prop_map(|(a, mut b, same)| {
            b.0 = if same.0 { Arc::clone(&a.0) } else { b.0 };
            b.1 = if same.1 { Arc::clone(&a.1) } else { b.1 };
            (b.2, b.3) = if same.2 { (a.2, a.3) } else { (b.2, b.3) };
            b.4 = if same.3 { a.4.clone() } else { b.4 };
            (a, b)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn two_keys_are_equal_and_look_alike_only_when_all_their_parts_are_equal((a, b) in pair()) {
            prop_assert_eq!(key(&a) == key(&b), a == b);
            prop_assert_eq!(text(&a) == text(&b), a == b);
            prop_assert_eq!(key(&a), key(&a.clone()), "however often it is made");
        }
    }

    fn shown(product: &str, limit: &str, subject: Subject) -> String {
        text(&(product.into(), limit.into(), Meter::Tokens, Window::Sliding(Span::Minute), subject))
    }

    #[test]
    fn equal_key_ids_of_two_subscriptions_are_two_keys() {
        let key_of = |subscription: &str| {
            shown(
                "gold",
                "tokens_per_minute",
                Subject::Key { subscription: subscription.into(), key_id: "primary".into() },
            )
        };
        assert_eq!(key_of("a"), "gold/tokens_per_minute/key/a/primary");
        assert_eq!(key_of("b"), "gold/tokens_per_minute/key/b/primary");
    }

    #[test]
    fn a_separator_inside_a_name_is_escaped() {
        let team = Subject::Team { tenant: "b/c".into(), team: "d%\u{85}".into() };
        assert_eq!(shown("a", "nightly", team), "a/nightly:tokens_per_minute/team/b%2Fc/d%25%C2%85");
    }
}
