//! Random schedules of requests, endings, waits, operators and other replicas against circuits with living
//! actors and the order in which an alias tries its targets, under a virtual clock.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use smallvec::smallvec;

use super::super::circuit::{CircuitRules, CountedFailures, Rule, Threshold};
use super::super::deployment::InFlight;
use super::super::outcome::{AttemptClass, AttemptOutcome, FailureKind};
use super::super::snapshot::CircuitState;
use super::super::transition::RemoteChange;
use super::*;
use crate::deployment::backend_actor::Barrier;
use crate::routing::{Alias, AliasTarget, Pick, Strategy as Choice, candidates};

const SCHEDULES: u32 = 10_000;
const PRIORITIES: [u32; 3] = [1, 1, 2];
const PROBE_TIMEOUT_MS: u64 = 500;
const MAX_OPEN_MS: u64 = 5_000;

#[derive(Debug, Clone)]
enum Step {
    Request(u64),
    Succeed(usize),
    Fail { which: usize, status: u16, retry_after_ms: Option<u64> },
    Abort(usize),
    Wait(u64),
    Operator { target: usize, open: bool },
    Probed { target: usize, healthy: bool },
    Heard { target: usize, change: RemoteChange },
}

fn step() -> impl Strategy<Value = Step> {
    let retry_after = prop_oneof![3 => Just(None), 1 => (0_u64..9_000).prop_map(Some)];
    let status = prop_oneof![Just(500_u16), Just(429), Just(401)];
    let heard = prop_oneof![
        3 => (0_u64..9_000).prop_map(|ms| RemoteChange::Opened { left: Duration::from_millis(ms) }),
        2 => any::<bool>().prop_map(|by_operator| RemoteChange::Closed { by_operator }),
        1 => Just(RemoteChange::Held),
    ];
    prop_oneof![
        8 => any::<u64>().prop_map(Step::Request),
        3 => any::<usize>().prop_map(Step::Succeed),
        6 => (any::<usize>(), status, retry_after)
            .prop_map(|(which, status, retry_after_ms)| Step::Fail { which, status, retry_after_ms }),
        1 => any::<usize>().prop_map(Step::Abort),
        4 => prop_oneof![Just(1_u64), 1_u64..3_000].prop_map(Step::Wait),
        1 => (0..3_usize, any::<bool>()).prop_map(|(target, open)| Step::Operator { target, open }),
        1 => (0..3_usize, any::<bool>()).prop_map(|(target, healthy)| Step::Probed { target, healthy }),
        1 => (0..3_usize, heard).prop_map(|(target, change)| Step::Heard { target, change }),
    ]
}

struct Attempt {
    number: usize,
    target: usize,
    in_flight: InFlight,
}

/// Three targets of one alias and the attempts under way.
struct World {
    clock: Clock,
    backends: Backends,
    targets: Vec<Deployment>,
    alias: Alias,
    attempts: Vec<Attempt>,
    /// The probe of each target that is under way: its number, and when it counts as lost.
    probes: [Option<(usize, u64)>; 3],
    started: usize,
    /// Times each circuit has opened so far.
    trips: [u64; 3],
}

fn id(target: usize) -> DeploymentId {
    DeploymentId { backend: format!("b{target}").into(), model: "m".into() }
}

impl World {
    fn new() -> Self {
        let rules = CircuitRules {
            rules: smallvec![Rule {
                threshold: Threshold::Consecutive(2),
                counted: CountedFailures::default()
            }],
            open_for: Duration::from_secs(1),
            max_open: Duration::from_millis(MAX_OPEN_MS),
            max_retry_after: Duration::from_millis(MAX_OPEN_MS),
            probe_timeout: Duration::from_millis(PROBE_TIMEOUT_MS),
            ..CircuitRules::default()
        };
        let spec = |target| DeploymentSpec { id: id(target), rules: rules.clone(), capacity: None };
        let clock = Clock::manual();
        let specs = (0..3).map(spec).collect();
        let backends = Backends::start_in(&Arbiter::current(), clock.clone(), specs);
        let targets: Vec<_> = (0..3).map(|target| backends.get(&id(target)).unwrap()).collect();
        let route = |(target, priority): (&Deployment, u32)| AliasTarget {
            deployment: target.clone(),
            priority,
            weight: 1,
            preferred: false,
        };
        let routes = targets.iter().zip(PRIORITIES).map(route).collect();
        Self {
            clock,
            backends,
            targets,
            alias: Alias::new(routes, Choice::Weighted),
            attempts: Vec::new(),
            probes: [None; 3],
            started: 0,
            trips: [0; 3],
        }
    }

    /// Goes to the first target that admits the request, as a request does.
    fn request(&mut self, random: u64) {
        let now_ms = self.clock.now_ms();
        let before: Vec<_> = self.targets.iter().map(Deployment::snapshot).collect();
        let order = candidates(&self.alias, Pick { random, ..Pick::default() });
        let ready: Vec<bool> = self.targets.iter().map(Deployment::is_ready).collect();
        let rank = |target: &usize| (!ready[*target], PRIORITIES[*target]);
        assert!(order.is_sorted_by_key(rank), "{order:?} with {ready:?} ready");
        for target in order {
            let Ok(attempt) = self.targets[target].admit() else {
                assert!(!ready[target], "a ready target refuses");
                continue;
            };
            match before[target].circuit {
                CircuitState::Closed => assert!(!attempt.is_probe()),
                CircuitState::HalfOpen => {
                    assert!(attempt.is_probe(), "a half-open circuit lets probes pass alone");
                    assert!(
                        self.probes[target].is_none_or(|(_, lost_ms)| now_ms >= lost_ms),
                        "two probes at once"
                    );
                    self.probes[target] = Some((self.started, now_ms + PROBE_TIMEOUT_MS));
                }
                CircuitState::Open | CircuitState::Held => panic!("a request passed {:?}", before[target]),
            }
            self.attempts.push(Attempt { number: self.started, target, in_flight: attempt });
            self.started += 1;
            return;
        }
        assert!(ready.iter().all(|ready| !ready));
    }

    /// Ends an attempt and answers at which target.
    fn end(&mut self, which: usize, class: AttemptClass, retry_after_ms: Option<u64>) -> Option<usize> {
        if self.attempts.is_empty() {
            return None;
        }
        let Attempt { number, target, in_flight } = self.attempts.swap_remove(which % self.attempts.len());
        // A probe that was given up ends too, and says nothing about the one that took its place.
        self.probes[target] = self.probes[target].filter(|(probe, _)| *probe != number);
        in_flight.report(AttemptOutcome {
            class,
            latency: Duration::from_millis(5),
            first_byte: None,
            retry_after: retry_after_ms.map(Duration::from_millis),
            tokens: None,
        });
        Some(target)
    }

    /// Takes a step and answers which target's actor may have heard of it.
    fn apply(&mut self, step: Step) -> Option<usize> {
        match step {
            Step::Request(random) => {
                self.request(random);
                None
            }
            Step::Succeed(which) => self.end(which, AttemptClass::Success, None),
            Step::Fail { which, status, retry_after_ms } => {
                self.end(which, AttemptClass::Failure(FailureKind::Status(status)), retry_after_ms)
            }
            Step::Abort(which) => self.end(which, AttemptClass::Neutral, None),
            Step::Wait(ms) => {
                self.clock.advance(Duration::from_millis(ms));
                None
            }
            Step::Operator { target, open } => {
                let action = if open { ManualAction::Open } else { ManualAction::Close };
                self.targets[target].actor().do_send(action);
                Some(target)
            }
            Step::Probed { target, healthy } => {
                self.targets[target].probed(healthy);
                Some(target)
            }
            Step::Heard { target, change } => {
                assert!(self.backends.hear(&id(target), Remote { replica: "other".into(), change }));
                Some(target)
            }
        }
    }

    /// Waits for a target's actor, then holds its circuit against what must always be true.
    async fn check(&mut self, target: usize) {
        let deployment = &self.targets[target];
        deployment.actor().send(Barrier).await.unwrap();
        let seen = deployment.snapshot();
        assert_eq!(seen.cause.is_some(), seen.circuit != CircuitState::Closed, "{seen:?}");
        assert!(seen.trips >= self.trips[target]);
        if seen.circuit == CircuitState::Open {
            assert!(seen.retry_in_ms.is_some_and(|left| left <= MAX_OPEN_MS), "{seen:?}");
        }
        if seen.circuit != CircuitState::HalfOpen {
            self.probes[target] = None;
        }
        self.trips[target] = seen.trips;
    }
}

#[test]
fn no_schedule_breaks_what_circuits_and_pools_promise() {
    let system = actix_rt::System::new();
    let config = ProptestConfig { cases: SCHEDULES, failure_persistence: None, ..ProptestConfig::default() };
    let steps = proptest::collection::vec(step(), 1..30);
    let run = |steps: Vec<Step>| {
        system.block_on(async {
            let mut world = World::new();
            for step in steps {
                if let Some(target) = world.apply(step) {
                    world.check(target).await;
                }
            }
            world.attempts.clear();
            world.backends.reload(Vec::new());
        });
        Ok(())
    };
    TestRunner::new(config).run(&steps, run).unwrap();
}
