//! The deployments of the process: made from the configuration, kept over reloads.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_rt::{Arbiter, ArbiterHandle};
use ahash::RandomState;
use arc_swap::ArcSwap;

use super::backend_actor::{ManualAction, Retire, SetRules};
use super::circuit::CircuitRules;
use super::deployment::{Deployment, DeploymentId, DeploymentSnapshot};
use crate::telemetry::clock::Clock;

/// What the configuration says about one deployment.
#[derive(Debug, Clone)]
pub struct DeploymentSpec {
    /// Which one.
    pub id: DeploymentId,
    /// When its circuit opens.
    pub rules: CircuitRules,
}

/// All deployments; clones are the same ones.
#[derive(Debug, Clone)]
pub struct Backends(Arc<Registry>);

/// Why a circuit could not be moved by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManualError {
    /// There is no such deployment.
    #[error("there is no deployment {0}")]
    Unknown(DeploymentId),
    /// Its actor died with the request waiting; trying again is safe.
    #[error("the circuit of {0} cannot be moved now")]
    Unavailable(DeploymentId),
}

type Deployments = HashMap<DeploymentId, Deployment, RandomState>;

#[derive(Debug)]
struct Registry {
    deployments: ArcSwap<Deployments>,
    arbiter: ArbiterHandle,
    clock: Clock,
}

impl Backends {
    /// Starts the deployments on a thread of their own. Must be called inside an actix system.
    #[must_use]
    pub fn start(specs: Vec<DeploymentSpec>) -> Self {
        Self::start_in(&Arbiter::new().handle(), Clock::system(), specs)
    }

    /// Starts the deployments with actors in `arbiter` that live by `clock`.
    #[must_use]
    pub fn start_in(arbiter: &ArbiterHandle, clock: Clock, specs: Vec<DeploymentSpec>) -> Self {
        let deployments = ArcSwap::default();
        let backends = Self(Arc::new(Registry { deployments, arbiter: arbiter.clone(), clock }));
        backends.reload(specs);
        backends
    }

    /// Makes the deployments those of `specs`. One that stays keeps its state, also when its rules change.
    /// Not to be called from two threads at once.
    pub fn reload(&self, specs: Vec<DeploymentSpec>) {
        let current = self.0.deployments.load_full();
        let mut next = Deployments::default();
        for DeploymentSpec { id, rules } in specs {
            let deployment = match current.get(&id) {
                Some(known) => {
                    if *known.cell().checkpoint.lock().rules() != rules {
                        known.actor().do_send(SetRules(rules));
                    }
                    known.clone()
                }
                None => Deployment::new(id.clone(), rules, &self.0.arbiter, &self.0.clock),
            };
            next.insert(id, deployment);
        }
        for (_, dropped) in current.iter().filter(|(id, _)| !next.contains_key(id)) {
            dropped.cell().retired.store(true, Ordering::Relaxed);
            dropped.actor().do_send(Retire);
        }
        self.0.deployments.store(Arc::new(next));
    }

    /// The deployment of that name.
    #[must_use]
    pub fn get(&self, id: &DeploymentId) -> Option<Deployment> {
        self.0.deployments.load().get(id).cloned()
    }

    /// All deployments as operators see them, sorted by name.
    #[must_use]
    pub fn observe(&self) -> Vec<DeploymentSnapshot> {
        let deployments = self.0.deployments.load();
        let mut seen: Vec<_> =
            deployments.values().map(|deployment| Arc::unwrap_or_clone(deployment.snapshot())).collect();
        seen.sort_by(|a, b| (&a.id.backend, &a.id.model).cmp(&(&b.id.backend, &b.id.model)));
        seen
    }

    /// Opens or closes a circuit by hand and answers what came of it.
    ///
    /// # Errors
    /// When there is no such deployment, or its actor dies while it is asked.
    pub async fn set_manual(
        &self,
        id: &DeploymentId,
        action: ManualAction,
    ) -> Result<Arc<DeploymentSnapshot>, ManualError> {
        let deployment = self.get(id).ok_or_else(|| ManualError::Unknown(id.clone()))?;
        let moved = deployment.actor().send(action).await;
        moved.map_err(|_| ManualError::Unavailable(id.clone()))?;
        Ok(deployment.snapshot())
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
