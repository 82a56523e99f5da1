//! Which answers are used again, for whom, and where the cache service is.

use serde::{Deserialize, Serialize};
use tollgate_settings::units::{Bytes, Time};

/// Caching of a model's answers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CacheConfig {
    /// Answers are used again for the same question.
    Exact(ExactCacheConfig),
    /// Answers are used again for the same question and for questions that mean the same.
    Semantic(SemanticCacheConfig),
}

/// Answers are used again for the same question.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExactCacheConfig {
    /// How long an answer may be used again.
    pub ttl: Time,
    /// Who shares answers.
    #[serde(default)]
    pub scope: CacheScope,
}

/// Answers are used again for questions that mean the same.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SemanticCacheConfig {
    /// Lowest cosine similarity of two questions, above 0 and up to 1; higher is stricter.
    pub min_similarity: f32,
    /// How long an answer may be used again.
    pub ttl: Time,
    /// Who shares answers.
    #[serde(default)]
    pub scope: CacheScope,
}

/// Who shares cached answers; never wider than one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CacheScope {
    /// One gateway key.
    Key,
    /// One subscription.
    #[default]
    Subscription,
    /// One team of a tenant.
    Team,
    /// One tenant.
    Tenant,
}

/// Where the cache service is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CacheServiceConfig {
    /// Its base URL.
    pub url: String,
    /// A lookup that takes longer is a miss.
    #[serde(default = "super::defaults::cache_deadline")]
    pub deadline: Time,
    /// Longer answers are not stored.
    #[serde(default = "super::defaults::cache_max_answer")]
    pub max_answer: Bytes,
}
