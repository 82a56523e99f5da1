//! A client-facing model name, joined with the deployments that serve it.

use std::time::Duration;

use super::balance::{Member, Order, order};
use crate::backends::Deployment;

/// One way to serve an alias.
#[derive(Debug, Clone)]
pub struct AliasTarget {
    /// Its live state.
    pub deployment: Deployment,
    /// Lower numbers are tried first.
    pub priority: u32,
    /// Share of the traffic within its priority group.
    pub weight: u32,
}

/// The targets of an alias. Immutable; their deployments change underneath.
#[derive(Debug, Clone)]
pub struct Alias {
    /// Sorted by priority.
    targets: Vec<Sorted>,
    /// Parallel to `targets`.
    members: Vec<Member>,
}

#[derive(Debug, Clone)]
struct Sorted {
    /// Where the target stood in the configuration.
    index: usize,
    deployment: Deployment,
}

impl Alias {
    /// An alias of these targets, in any order.
    #[must_use]
    pub fn new(targets: Vec<AliasTarget>) -> Self {
        let mut targets: Vec<_> = targets.into_iter().enumerate().collect();
        targets.sort_by_key(|(_, target)| target.priority);
        let member =
            |(_, target): &(usize, AliasTarget)| Member { priority: target.priority, weight: target.weight };
        Self {
            members: targets.iter().map(member).collect(),
            targets: targets
                .into_iter()
                .map(|(index, target)| Sorted { index, deployment: target.deployment })
                .collect(),
        }
    }
}

/// Targets of an alias in the order to be tried, as indexes into what [`Alias::new`] was given. Those whose
/// circuit is open come last; admission decides when their turn comes. `pick` is a random number or a
/// counter.
#[must_use]
pub fn candidates(alias: &Alias, pick: u64) -> Order {
    let targets = &alias.targets;
    let mut order = order(&alias.members, |place| targets[place].deployment.is_ready(), pick);
    for place in &mut order {
        *place = targets[*place].index;
    }
    order
}

/// When the first target of an alias may be called again; none when one may be called now.
#[must_use]
pub fn earliest_recovery(alias: &Alias) -> Option<Duration> {
    let waits = alias.targets.iter().map(|target| target.deployment.recovers_in().unwrap_or_default());
    waits.min().filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::{
        AttemptClass, AttemptOutcome, Backends, DeploymentId, DeploymentSpec, FailureKind, ManualAction,
        circuit::CircuitRules,
    };
    use crate::telemetry::clock::Clock;

    fn id(name: &str) -> DeploymentId {
        DeploymentId { backend: name.into(), model: "m".into() }
    }

    /// An alias of `a` (priority 2), `b` and `c` (priority 1), in this order.
    fn alias(clock: &Clock) -> (Backends, Alias) {
        let specs = ["a", "b", "c"].map(|name| DeploymentSpec {
            id: id(name),
            rules: CircuitRules::default(),
            capacity: None,
        });
        let backends = Backends::start_in(&actix_rt::Arbiter::current(), clock.clone(), specs.to_vec());
        let targets = [("a", 2), ("b", 1), ("c", 1)].map(|(name, priority)| AliasTarget {
            deployment: backends.get(&id(name)).unwrap(),
            priority,
            weight: 1,
        });
        (backends, Alias::new(targets.to_vec()))
    }

    async fn trip(backends: &Backends, name: &str, wait: Duration) {
        let deployment = backends.get(&id(name)).unwrap();
        deployment.admit().unwrap().report(AttemptOutcome {
            class: AttemptClass::Failure(FailureKind::Status(429)),
            latency: Duration::ZERO,
            first_byte: None,
            retry_after: Some(wait),
            tokens: None,
        });
        while deployment.is_ready() {
            tokio::task::yield_now().await;
        }
    }

    #[actix_rt::test]
    async fn lower_priorities_are_tried_first_by_their_configured_index() {
        let (_backends, alias) = alias(&Clock::manual());
        for pick in 0..100 {
            let order = candidates(&alias, pick);
            assert_eq!(order[2], 0);
            assert!(order[..2] == [1, 2] || order[..2] == [2, 1]);
        }
    }

    #[actix_rt::test]
    async fn a_tripped_target_goes_behind_and_comes_back_by_itself() {
        let clock = Clock::manual();
        let (backends, alias) = alias(&clock);
        trip(&backends, "b", Duration::from_secs(3)).await;
        assert_eq!(candidates(&alias, 1).as_slice(), [2, 0, 1]);
        clock.advance(Duration::from_secs(3));
        assert_eq!(candidates(&alias, 1)[2], 0);
    }

    #[actix_rt::test]
    async fn when_all_are_down_the_earliest_recovery_counts() {
        let (backends, alias) = alias(&Clock::manual());
        for (name, wait) in [("a", 7), ("b", 3)] {
            trip(&backends, name, Duration::from_secs(wait)).await;
        }
        assert_eq!(earliest_recovery(&alias), None);
        backends.set_manual(&id("c"), ManualAction::Open).await.unwrap();
        assert_eq!(earliest_recovery(&alias), Some(Duration::from_secs(3)));
    }

    #[test]
    fn an_alias_without_targets_has_no_candidates() {
        let empty = Alias::new(Vec::new());
        assert!(candidates(&empty, 0).is_empty());
        assert_eq!(earliest_recovery(&empty), None);
    }
}
