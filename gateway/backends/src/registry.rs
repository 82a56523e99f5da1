//! The deployments of the process: made from the configuration, kept over reloads.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_rt::{Arbiter, ArbiterHandle};
use ahash::RandomState;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tollgate_base::clock::Clock;

use super::capacity::Capacity;
use super::deployment::Deployment;
use super::deployment_id::DeploymentId;
use super::snapshot::DeploymentSnapshot;
use super::spec::{CapacitySpec, DeploymentSpec};
use super::transition::{Listener, Listening, Remote};
use crate::deployment::backend_actor::{Heard, ManualAction, Retire, SetRules};

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
/// Committed capacity by backend, and by model if the model has its own.
type Capacities = HashMap<(Arc<str>, Option<Arc<str>>), Arc<Capacity>, RandomState>;

#[derive(Debug)]
struct Registry {
    deployments: ArcSwap<Deployments>,
    /// Used by reloads only.
    capacities: Mutex<Capacities>,
    /// Deployments made so far.
    made: AtomicU64,
    listening: Arc<Listening>,
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
        let backends = Self(Arc::new(Registry {
            deployments: ArcSwap::default(),
            capacities: Mutex::default(),
            made: AtomicU64::new(0),
            listening: Arc::default(),
            arbiter: arbiter.clone(),
            clock,
        }));
        backends.reload(specs);
        backends
    }

    /// Makes the deployments those of `specs`, which may name one several times, and answers them in the order of
    /// `specs`. One that stays keeps its state, also when its rules change. Not to be called from two threads at
    /// once.
    pub fn reload(&self, specs: Vec<DeploymentSpec>) -> Vec<Deployment> {
        let mut answer = Vec::with_capacity(specs.len());
        let mut made = 0;
        let current = self.0.deployments.load_full();
        let mut next = Deployments::default();
        let mut capacities = Capacities::default();
        for DeploymentSpec { id, rules, capacity } in specs {
            if let Some(known) = next.get(&id) {
                answer.push(known.clone());
                continue;
            }
            let deployment = match current.get(&id) {
                Some(known) => {
                    if *known.cell().checkpoint.lock().rules() != rules {
                        known.actor().do_send(SetRules(rules));
                    }
                    known.clone()
                }
                None => {
                    made += 1;
                    let listening = Arc::clone(&self.0.listening);
                    Deployment::new(id.clone(), rules, &self.0.arbiter, &self.0.clock, listening)
                }
            };
            let capacity = capacity.map(|capacity| self.capacity(&mut capacities, &id, capacity));
            deployment.cell().capacity.store(capacity);
            answer.push(deployment.clone());
            next.insert(id, deployment);
        }
        for (_, dropped) in current.iter().filter(|(id, _)| !next.contains_key(id)) {
            dropped.cell().retired.store(true, Ordering::Relaxed);
            dropped.actor().do_send(Retire);
        }
        *self.0.capacities.lock() = capacities;
        self.0.deployments.store(Arc::new(next));
        self.0.made.fetch_add(made, Ordering::Release);
        answer
    }

    /// The deployment's committed capacity: what other models of its backend share with it, else what it had
    /// before, else a new one.
    fn capacity(&self, next: &mut Capacities, id: &DeploymentId, spec: CapacitySpec) -> Arc<Capacity> {
        let key = (Arc::clone(&id.backend), (!spec.shared).then(|| Arc::clone(&id.model)));
        let known = next.get(&key).cloned().or_else(|| self.0.capacities.lock().get(&key).cloned());
        let capacity = known.unwrap_or_else(|| Arc::new(Capacity::new(spec.rules)));
        capacity.set_rules(spec.rules);
        next.insert(key, Arc::clone(&capacity));
        capacity
    }

    /// Deployments made so far. When the number grows, some have not yet been told the state at other replicas.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.0.made.load(Ordering::Acquire)
    }

    /// Sets the listener that is told when a circuit moves; only the first call counts.
    pub fn listen(&self, listener: Listener) {
        self.0.listening.set(listener);
    }

    /// Applies what another replica reports of its circuit; false if there is no such deployment here.
    pub fn hear(&self, id: &DeploymentId, remote: Remote) -> bool {
        let Some(deployment) = self.get(id) else { return false };
        deployment.actor().do_send(Heard(remote));
        true
    }

    /// The deployments of one backend.
    #[must_use]
    pub fn of_backend(&self, backend: &str) -> Vec<Deployment> {
        let deployments = self.0.deployments.load();
        deployments.values().filter(|deployment| &*deployment.id().backend == backend).cloned().collect()
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

    /// Opens or closes a circuit by hand and answers its new state.
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
#[path = "schedule_tests.rs"]
mod schedules;
#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
