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

    /// What names are made of, joined by `/`.
    const ATOMS: [&str; 8] = ["a", "b", "", "%2F", "a:tokens_per_minute", "tokens_per_minute", "key", "team"];
    const WORDS: usize = 5;

    /// The same words cut into four names in one of the ways that there are.
    fn names(words: &[&str], cut: usize) -> [Arc<str>; 4] {
        const CUTS: [[usize; 3]; 4] = [[1, 2, 3], [1, 2, 4], [1, 3, 4], [2, 3, 4]];
        let [first, second, third] = CUTS[cut % CUTS.len()];
        [&words[..first], &words[first..second], &words[second..third], &words[third..]]
            .map(|name| name.join("/").into())
    }

    fn made(words: &[&str], (cut, kind, requests, hour): (usize, usize, bool, bool)) -> Tuple {
        let [product, limit, one, two] = names(words, cut);
        let subject = match kind {
            0 => Subject::Key { subscription: one, key_id: two },
            1 => Subject::Team { tenant: one, team: two },
            2 => Subject::Subscription { subscription: one },
            3 => Subject::Tenant { tenant: one },
            _ => Subject::Product,
        };
        let meter = if requests { Meter::Requests } else { Meter::Tokens };
        let span = if hour { Span::Hour } else { Span::Minute };
        (product, limit, meter, Window::Sliding(span), subject)
    }

    /// Two tuples, most often of the same words, so that they would be one when they are joined.
    fn pair() -> impl Strategy<Value = (Tuple, Tuple)> {
        let words = || proptest::collection::vec(proptest::sample::select(&ATOMS[..]), WORDS);
        let others = prop_oneof![3 => Just(None), 1 => words().prop_map(Some)];
        let shape = || (0_usize..4, 0_usize..5, proptest::bool::weighted(0.2), proptest::bool::weighted(0.2));
        (words(), others, shape(), shape()).prop_map(|(words, others, one, other)| {
            (made(&words, one), made(others.as_ref().unwrap_or(&words), other))
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
