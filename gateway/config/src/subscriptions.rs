//! Subscriptions: who may call with which key, and who pays.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Who may call, and who pays.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SubscriptionConfig {
    /// The product it is made for.
    pub product: Arc<str>,
    /// The company or business unit that pays.
    #[serde(default = "super::defaults::tenant")]
    pub tenant: Arc<str>,
    /// `cost_center`, `team` and `app` are columns of every report; further tags are kept beside them.
    #[serde(default)]
    pub tags: IndexMap<Arc<str>, Arc<str>>,
    /// The gateway keys that belong to it.
    #[serde(default)]
    pub keys: Vec<KeyConfig>,
}

/// A gateway key, as its hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// Public name of the key in events and reports; made from its hash when absent.
    #[serde(default)]
    pub id: Option<Arc<str>>,
    /// SHA-256 of the key in hexadecimal digits (`printf %s KEY | sha256sum`).
    pub sha256: String,
}
