//! Which answers are used again, for whom, and where the cache service is.

use serde::{Deserialize, Serialize};
use tollgate_settings::units::{Bytes, Time};
use tollgate_settings::{Mistakes, SecretTemplate};

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
    /// Lowest cosine similarity of two questions, above 0 and up to 1; higher is stricter. Recommended: 0.95.
    ///
    /// Whatever the similarity, two questions share an answer only when the cache service's guard finds the same
    /// numbers, names, opposites, question words and order of arguments in them. With the model all-MiniLM-L6-v2,
    /// measured over 212 pairs that mean the same and 470 look-alikes (`cache-service/tests/data`):
    ///
    /// | threshold | hits | false hits |
    /// |---|---|---|
    /// | 0.80 | 81.1 % | 0.6 % |
    /// | 0.85 | 80.7 % | 0.2 % |
    /// | 0.90 | 77.4 % | 0.2 % |
    /// | 0.92 | 71.7 % | 0.0 % |
    /// | 0.95 | 59.9 % | 0.0 % |
    /// | 0.97 | 45.8 % | 0.0 % |
    /// | 0.98 | 29.2 % | 0.0 % |
    ///
    /// The guard's rules were extended by these pairs, so they flatter it: of look-alikes that it had not met, 1.5 %
    /// to 4 % still hit at 0.95. Those are swaps in sentences of an unknown form, which no threshold tells apart.
    /// Another embedding model needs a threshold of its own.
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
    /// Its `token`, sent as `Authorization: Bearer …`; left out when the service has none.
    #[serde(default)]
    pub token: Option<SecretTemplate>,
    /// A lookup that takes longer is a miss.
    #[serde(default = "super::defaults::cache_deadline")]
    pub deadline: Time,
    /// Longer answers are not stored.
    #[serde(default = "super::defaults::cache_max_answer")]
    pub max_answer: Bytes,
}

impl CacheServiceConfig {
    /// What is wrong with it, below `cache_service`.
    #[must_use]
    pub fn mistakes(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        if let Some(Err(error)) = self.token.as_ref().map(SecretTemplate::resolve) {
            mistakes.add("token", error.to_string());
        }
        mistakes
    }
}
