//! A client-facing model name, joined with the deployments that serve it.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tollgate_config::Strategy;

use super::balance::{CandidateOrder, Member, Standing, order};
use super::rendezvous::{self, stable_hash};
use super::strategy::{self, Loads};
use crate::{Deployment, FailureKind};

/// One way to serve an alias.
#[derive(Debug, Clone)]
pub struct AliasTarget {
    /// Its live state.
    pub deployment: Deployment,
    /// Lower numbers are tried first.
    pub priority: u32,
    /// Share of the traffic within its priority group.
    pub weight: u32,
    /// Whether it comes before the others of its priority, because it is in the gateway's region.
    pub preferred: bool,
}

/// The targets of an alias. Immutable; their deployments change underneath.
#[derive(Debug)]
pub struct Alias {
    strategy: Strategy,
    /// Sorted by group.
    targets: Vec<Sorted>,
    /// Parallel to `targets`.
    members: Vec<Member>,
    turn: Turn,
}

/// Counts the picks of an alias whose targets take turns; clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Turn(Arc<AtomicU64>);

impl Turn {
    /// Whether the count is shared with another clone.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

#[derive(Debug)]
struct Sorted {
    /// Where the target stood in the configuration.
    index: usize,
    deployment: Deployment,
}

/// What one request brings to the choice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pick {
    /// A random number.
    pub random: u64,
    /// The hash of its session; `None` if no session keeps it on a target.
    pub session: Option<u64>,
    /// Tokens that it is expected to use.
    pub tokens: u64,
}

impl Alias {
    /// An alias of these targets, in any order.
    #[must_use]
    pub fn new(targets: Vec<AliasTarget>, strategy: Strategy) -> Self {
        Self::with_turn(targets, strategy, Turn::default())
    }

    /// As [`Alias::new`], with a count that goes on from `turn`.
    #[must_use]
    pub fn with_turn(targets: Vec<AliasTarget>, strategy: Strategy, turn: Turn) -> Self {
        let place = |target: &AliasTarget| (target.priority, !target.preferred);
        let mut targets: Vec<_> = targets.into_iter().enumerate().collect();
        targets.sort_by_key(|(_, target)| place(target));
        let mut group = 0;
        let mut members: Vec<Member> = Vec::with_capacity(targets.len());
        for (at, (_, target)) in targets.iter().enumerate() {
            if at > 0 && place(&targets[at - 1].1) != place(target) {
                group += 1;
            }
            let identity = stable_hash(target.deployment.id().to_string().as_bytes());
            members.push(Member { group, weight: target.weight, identity });
        }
        let sorted = |(index, target): (usize, AliasTarget)| Sorted { index, deployment: target.deployment };
        let targets = targets.into_iter().map(sorted).collect();
        Self { strategy, targets, members, turn }
    }

    fn standing(&self, place: usize, tokens: u64) -> Standing {
        let Sorted { deployment, .. } = &self.targets[place];
        if !deployment.is_ready() {
            Standing::Down
        } else if !deployment.fits(tokens) {
            Standing::Full
        } else {
            Standing::Ready
        }
    }
}

/// Loads of an alias's targets; the clock is read once for all of them, and only if it is needed.
struct Live<'a> {
    alias: &'a Alias,
    now_ms: OnceCell<u64>,
}

impl Loads for Live<'_> {
    fn in_flight(&self, place: usize) -> u32 {
        self.alias.targets[place].deployment.in_flight()
    }

    fn first_byte_us(&self, place: usize) -> u64 {
        let deployment = &self.alias.targets[place].deployment;
        deployment.latency_score(*self.now_ms.get_or_init(|| deployment.now_ms()))
    }
}

/// Targets of an alias in the order to be tried, as indexes into what [`Alias::new`] was given. Those whose
/// committed capacity the request does not fit come behind, those whose circuit is open come last; admission
/// decides when their turn comes.
#[must_use]
pub fn candidates(alias: &Alias, pick: Pick) -> CandidateOrder {
    let Alias { strategy, targets, members, turn } = alias;
    let number = match strategy {
        Strategy::RoundRobin if pick.session.is_none() => turn.0.fetch_add(1, Ordering::Relaxed),
        _ => pick.random,
    };
    let live = Live { alias, now_ms: OnceCell::new() };
    let mut order = order(
        members,
        |place| alias.standing(place, pick.tokens),
        |group| match pick.session {
            Some(session) => rendezvous::arrange(group, members, session),
            None => strategy::arrange(*strategy, group, members, &live, number),
        },
    );
    for place in &mut order {
        *place = targets[*place].index;
    }
    order
}

/// How long until the first target of an alias may be called again; `None` if one may be called now.
#[must_use]
pub fn earliest_recovery(alias: &Alias) -> Option<Duration> {
    let waits = alias.targets.iter().map(|target| target.deployment.recovers_in().unwrap_or_default());
    waits.min().filter(|wait| !wait.is_zero())
}

/// Whether the providers' rate limits keep requests away from every target, so that waiting helps.
#[must_use]
pub fn all_rate_limited(alias: &Alias) -> bool {
    let limited = |target: &Sorted| {
        let cause = target.deployment.snapshot().cause;
        cause.is_some_and(|cause| cause.failure == Some(FailureKind::Status(429)))
    };
    !alias.targets.is_empty() && alias.targets.iter().all(limited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AttemptClass, AttemptOutcome, Backends, DeploymentId, DeploymentSpec, FailureKind, ManualAction,
        circuit::CircuitRules,
    };
    use tollgate_base::clock::Clock;

    fn id(name: &str) -> DeploymentId {
        DeploymentId { backend: name.into(), model: "m".into() }
    }

    fn pick(random: u64) -> Pick {
        Pick { random, ..Pick::default() }
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
            preferred: false,
        });
        (backends, Alias::new(targets.to_vec(), Strategy::Weighted))
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
        for number in 0..100 {
            let order = candidates(&alias, pick(number));
            assert_eq!(order[2], 0);
            assert!(order[..2] == [1, 2] || order[..2] == [2, 1]);
        }
    }

    #[actix_rt::test]
    async fn a_tripped_target_goes_behind_and_comes_back_by_itself() {
        let clock = Clock::manual();
        let (backends, alias) = alias(&clock);
        trip(&backends, "b", Duration::from_secs(3)).await;
        assert_eq!(candidates(&alias, pick(1)).as_slice(), [2, 0, 1]);
        clock.advance(Duration::from_secs(3));
        assert_eq!(candidates(&alias, pick(1))[2], 0);
    }

    #[actix_rt::test]
    async fn targets_of_the_own_region_come_first_within_their_priority() {
        let (backends, _) = alias(&Clock::manual());
        let targets = [("a", 1, false), ("b", 1, true), ("c", 2, true)].map(|(name, priority, preferred)| {
            AliasTarget { deployment: backends.get(&id(name)).unwrap(), priority, weight: 1, preferred }
        });
        let alias = Alias::new(targets.to_vec(), Strategy::RoundRobin);
        for _ in 0..4 {
            assert_eq!(candidates(&alias, pick(0)).as_slice(), [1, 0, 2]);
        }
        trip(&backends, "b", Duration::from_secs(3)).await;
        assert_eq!(candidates(&alias, pick(0)).as_slice(), [0, 2, 1]);
    }

    #[actix_rt::test]
    async fn a_session_keeps_its_target_and_its_target_keeps_its_priority() {
        let (backends, alias) = alias(&Clock::manual());
        let first = |session| {
            candidates(&alias, Pick { random: rand::random(), session: Some(session), tokens: 0 })[0]
        };
        let before: Vec<usize> = (0..50).map(first).collect();
        assert_eq!((0..50).map(first).collect::<Vec<_>>(), before);
        assert!(before.contains(&1) && before.contains(&2) && !before.contains(&0), "{before:?}");
        trip(&backends, "b", Duration::from_secs(3)).await;
        assert!((0..50).map(first).all(|target| target == 2));
    }

    #[actix_rt::test]
    async fn an_idle_target_is_preferred_to_a_busy_one() {
        let (backends, _) = alias(&Clock::manual());
        let targets = ["a", "b", "c"].map(|name| AliasTarget {
            deployment: backends.get(&id(name)).unwrap(),
            priority: 1,
            weight: 1,
            preferred: false,
        });
        let _busy = ["a", "c"].map(|name| backends.get(&id(name)).unwrap().admit().unwrap());
        let alias = Alias::new(targets.to_vec(), Strategy::LeastBusy);
        assert!((0..50).all(|number| candidates(&alias, pick(number))[0] == 1));
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

    #[actix_rt::test]
    async fn turns_go_on_in_an_alias_that_takes_them_over() {
        let (backends, _) = alias(&Clock::manual());
        let turn = Turn::default();
        let made = || {
            let targets = ["a", "b", "c"].map(|name| AliasTarget {
                deployment: backends.get(&id(name)).unwrap(),
                priority: 1,
                weight: 1,
                preferred: false,
            });
            Alias::with_turn(targets.to_vec(), Strategy::RoundRobin, turn.clone())
        };
        let firsts: Vec<usize> = (0..6).map(|_| candidates(&made(), pick(0))[0]).collect();
        assert_eq!(firsts[..3], firsts[3..]);
        assert_eq!(firsts.iter().collect::<std::collections::HashSet<_>>().len(), 3, "{firsts:?}");
    }

    #[actix_rt::test]
    async fn capacity_that_is_committed_later_counts_in_aliases_made_before() {
        let (backends, alias) = alias(&Clock::manual());
        let rules = crate::CapacityRules {
            tokens_per_minute: 60,
            burst: Duration::from_secs(60),
            max_busy: Duration::from_secs(10),
        };
        let spec = |name: &str| DeploymentSpec {
            id: id(name),
            rules: CircuitRules::default(),
            capacity: (name == "b").then_some(crate::CapacitySpec { rules, shared: false }),
        };
        backends.reload(["a", "b", "c"].map(spec).to_vec());
        let large = |random| Pick { random, tokens: 1_000_000, ..Pick::default() };
        assert!((0..50).all(|random| candidates(&alias, large(random))[0] == 2));
    }

    #[test]
    fn an_alias_without_targets_has_no_candidates() {
        let empty = Alias::new(Vec::new(), Strategy::Latency);
        assert!(candidates(&empty, pick(0)).is_empty());
        assert_eq!(earliest_recovery(&empty), None);
    }
}
