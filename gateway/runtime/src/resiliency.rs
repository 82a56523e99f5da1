//! What an alias does when a target is slow or fails, or when its client goes: its settings, resolved.

use std::time::Duration;

use tollgate_backends::Deployment;
use tollgate_backends::drains::Drains;
use tollgate_backends::hedge_budget::HedgeBudget;
use tollgate_backends::routing::affinity::{Affinity, AffinityError};
use tollgate_config::resiliency::HedgeAfter;
use tollgate_config::{FailoverConfig, HedgeConfig, ModelConfig, OnDisconnectConfig};

/// The resiliency of one alias.
#[derive(Debug)]
pub struct Resiliency {
    /// Where the sessions of its requests are found; none where they are not looked for.
    pub affinity: Option<Affinity>,
    /// How far a request goes.
    pub failover: FailoverConfig,
    /// Second calls; none where there are none.
    pub hedging: Option<Hedging>,
    /// Answers that are read without a client; none where they are broken off.
    pub drains: Option<Drains>,
}

/// When a second call is made, and how often at most.
#[derive(Debug)]
pub struct Hedging {
    after: HedgeAfter,
    /// How many there may be.
    pub budget: HedgeBudget,
}

impl Resiliency {
    /// Resolves the settings of an alias.
    ///
    /// # Errors
    /// When its affinity cannot be resolved.
    pub fn resolve(config: &ModelConfig) -> Result<Self, AffinityError> {
        Ok(Self {
            affinity: config.pool.affinity.as_ref().map(Affinity::resolve).transpose()?,
            failover: config.failover,
            hedging: config.hedge.map(Hedging::new),
            drains: match config.on_disconnect {
                OnDisconnectConfig::Cancel => None,
                OnDisconnectConfig::Drain(rules) => Some(Drains::new(rules)),
            },
        })
    }
}

impl Hedging {
    fn new(config: HedgeConfig) -> Self {
        Self { after: config.after, budget: HedgeBudget::new(config.max_percent) }
    }

    /// How long a call may wait before it counts as slow; `None` while that is not known.
    #[must_use]
    pub fn patience(&self, deployment: &Deployment) -> Option<Duration> {
        match self.after {
            HedgeAfter::P95 => deployment.first_byte_p95(),
            HedgeAfter::Fixed(time) => Some(time.0),
        }
    }
}
