//! Models as clients see them, and the targets that serve them.

use std::sync::Arc;

use super::{CacheConfig, FailoverConfig, HedgeConfig, OnDisconnectConfig, PoolConfig, TimeoutOverrides};
use serde::{Deserialize, Serialize};

/// A model as clients see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Where requests for it go.
    pub targets: Vec<TargetConfig>,
    /// How one of them is chosen.
    #[serde(default)]
    pub pool: PoolConfig,
    /// How far a request goes to find a target that answers.
    #[serde(default)]
    pub failover: FailoverConfig,
    /// Timeouts that replace those of the backends.
    #[serde(default)]
    pub timeouts: TimeoutOverrides,
    /// What becomes of an answer whose client has gone.
    #[serde(default)]
    pub on_disconnect: OnDisconnectConfig,
    /// A second call to another target when the first is slow; never when absent.
    #[serde(default)]
    pub hedge: Option<HedgeConfig>,
    /// Whether its answers are cached.
    #[serde(default)]
    pub cache: Option<CacheConfig>,
    /// Not listed by `/models`, but usable.
    #[serde(default)]
    pub hidden: bool,
}

/// One way to serve a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// Name of the backend.
    pub backend: Arc<str>,
    /// The model's name there.
    pub model: Arc<str>,
    /// Lower numbers are tried first.
    #[serde(default = "super::defaults::priority")]
    pub priority: u32,
    /// Share of the traffic within the priority group.
    #[serde(default = "super::defaults::weight")]
    pub weight: u32,
}
