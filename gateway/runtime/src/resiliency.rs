//! What an alias does when a target is slow or fails, or when its client goes: its settings, resolved.

use std::time::Duration;

use tollgate_backends::Deployment;
use tollgate_backends::drains::Drains;
use tollgate_backends::hedge_budget::HedgeBudget;
use tollgate_backends::routing::affinity::Affinity;
use tollgate_config::resiliency::HedgeAfter;
use tollgate_config::{FailoverConfig, ModelConfig, OnDisconnectConfig};

use crate::kept::AliasState;

/// The resiliency of one alias.
#[derive(Debug)]
pub struct Resiliency {
    /// Where the sessions of its requests are found; `None` if they are not looked for.
    pub affinity: Option<Affinity>,
    /// How far a request goes.
    pub failover: FailoverConfig,
    /// Second calls; `None` if there are none.
    pub hedging: Option<Hedging>,
    /// Answers that are read without a client; `None` if they are broken off.
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
    /// The settings of an alias, with what it has counted so far.
    pub(crate) fn new(config: &ModelConfig, affinity: Option<Affinity>, state: &AliasState) -> Self {
        Self {
            affinity,
            failover: config.failover,
            hedging: config.hedge.map(|hedge| Hedging {
                after: hedge.after,
                budget: state.hedges.with_percent(hedge.max_percent),
            }),
            drains: match config.on_disconnect {
                OnDisconnectConfig::Cancel => None,
                OnDisconnectConfig::Drain(rules) => Some(state.drains.with_rules(rules)),
            },
        }
    }
}

impl Hedging {
    /// How long a call may wait before it counts as slow; `None` while that is not known.
    #[must_use]
    pub fn patience(&self, deployment: &Deployment) -> Option<Duration> {
        match self.after {
            HedgeAfter::P95 => deployment.first_byte_p95(),
            HedgeAfter::Fixed(time) => Some(time.0),
        }
    }
}
