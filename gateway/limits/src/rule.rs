//! A limit of a product: what is counted, over which time, and how much of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Balance;
use super::meter::Meter;
use super::window::Window;

/// What a limit counts apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// Each gateway key.
    Key,
    /// Each subscription.
    Subscription,
    /// Each team of a tenant.
    Team,
    /// Each tenant.
    Tenant,
    /// All use of the product together.
    Product,
}

impl Scope {
    /// Its name in configuration, counter keys and sentences.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Subscription => "subscription",
            Self::Team => "team",
            Self::Tenant => "tenant",
            Self::Product => "product",
        }
    }
}

/// How much may be used. Shown as `limit of 100 tokens per minute for this team`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitRule {
    /// Unique within its product.
    pub name: Arc<str>,
    /// What is counted apart.
    pub scope: Scope,
    /// What is counted.
    pub meter: Meter,
    /// Over which time.
    pub window: Window,
    /// Units of the meter per window; at most [`MAX_AMOUNT`](super::MAX_AMOUNT) counts. When it changes, what a
    /// counter has consumed stays.
    pub amount: u64,
}

impl LimitRule {
    /// The name of a limit that was given none.
    #[must_use]
    pub fn usual_name(meter: Meter, window: Window) -> Arc<str> {
        format!("{}_per_{}", meter.as_str(), window.as_str()).into()
    }

    /// Its balance when so many units are left.
    #[must_use]
    pub const fn balance(&self, remaining: u64, reset: Duration) -> Balance {
        Balance { meter: self.meter, window: self.window, limit: self.amount, remaining, reset }
    }
}

impl fmt::Display for LimitRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, meter, window, amount, .. } = self;
        write!(f, "limit of {amount} {} per {} for this {}", meter.units(), window.as_str(), scope.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limit;
    use super::*;

    #[test]
    fn a_limit_says_in_words_what_it_allows() {
        let said = |meter| Limit::for_test(meter, "checkout", 100).rule.to_string();
        assert_eq!(said(Meter::Tokens), "limit of 100 tokens per minute for this subscription");
        assert_eq!(said(Meter::Requests), "limit of 100 requests per minute for this subscription");
    }
}
