//! Products: which models, under which limits.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_settings::units::Tokens;

/// A bundle of models and limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProductConfig {
    /// Aliases that its subscriptions may use.
    pub models: Vec<Arc<str>>,
    /// APIs that its subscriptions may call.
    #[serde(default)]
    pub apis: Vec<Arc<str>>,
    /// Who goes first when capacity is short: lower numbers before higher ones.
    #[serde(default = "super::defaults::tier")]
    pub tier: u8,
    /// Limits on their use.
    #[serde(default)]
    pub limits: Vec<LimitConfig>,
}

/// A limit on tokens, counted apart for each value of its counter key.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// The counter key.
    pub per: CounterScope,
    /// Tokens per minute: prompt and completion together.
    pub tokens_per_minute: Tokens,
}

/// What a limit counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CounterScope {
    /// Each gateway key.
    Key,
    /// Each subscription.
    Subscription,
    /// Each team of a tenant.
    Team,
    /// Each tenant.
    Tenant,
    /// All subscriptions of the product together.
    Product,
}
