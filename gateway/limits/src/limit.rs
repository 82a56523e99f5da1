//! A limit as it applies to one caller.

use std::borrow::Cow;
use std::sync::Arc;

use super::key::CounterKey;
use super::rule::LimitRule;

/// A limit as it applies to one caller.
#[derive(Clone, Debug)]
pub struct Limit {
    /// How much, shared by all callers of the product.
    pub rule: Arc<LimitRule>,
    /// Where a request's counter key comes from.
    pub key: KeySource,
}

/// Where the counter key of a request comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The caller alone decides: worked out when the configuration is read, so that requests only borrow it.
    Fixed(CounterKey),
}

impl KeySource {
    /// The counter key of one request.
    pub(super) fn key(&self) -> Cow<'_, CounterKey> {
        match self {
            Self::Fixed(key) => Cow::Borrowed(key),
        }
    }
}

#[cfg(test)]
impl Limit {
    /// A limit per minute on one subscription of the product `gold`.
    pub(super) fn for_test(meter: super::Meter, subscription: &str, amount: u64) -> Self {
        let window = super::Window::Sliding(super::Span::Minute);
        let name = LimitRule::usual_name(meter, window);
        let rule = LimitRule { name, scope: super::Scope::Subscription, meter, window, amount };
        let subject = super::Subject::Subscription { subscription: subscription.into() };
        Self { key: KeySource::Fixed(CounterKey::new(&"gold".into(), &rule, subject)), rule: Arc::new(rule) }
    }
}
