//! Deployments with living actors, on a clock that the tests move.

use std::time::Duration;

use smallvec::smallvec;

use super::super::capacity::CapacityRules;
use super::super::circuit::{Cause, CircuitRules};
use super::super::circuit::{CountedFailures, Rule, Threshold, TripRule};
use super::super::deployment::InFlight;
use super::super::outcome::{AttemptClass, AttemptOutcome, FailureKind};
use super::super::snapshot::CircuitState;
use super::super::transition::{Change, RemoteChange};
use super::*;
use crate::deployment::backend_actor::{Barrier, Crash};

fn id(backend: &str) -> DeploymentId {
    DeploymentId { backend: backend.into(), model: "m".into() }
}

fn spec(backend: &str) -> DeploymentSpec {
    let rules = CircuitRules {
        rules: smallvec![Rule { threshold: Threshold::Consecutive(2), counted: CountedFailures::default() }],
        open_for: Duration::from_secs(10),
        probe_timeout: Duration::from_secs(5),
        ..CircuitRules::default()
    };
    DeploymentSpec { id: id(backend), rules, capacity: None }
}

fn one() -> (Backends, Deployment, Clock) {
    let clock = Clock::manual();
    let backends = Backends::start_in(&Arbiter::current(), clock.clone(), vec![spec("b")]);
    let deployment = backends.get(&id("b")).unwrap();
    (backends, deployment, clock)
}

fn end(attempt: InFlight, class: AttemptClass, retry_after: Option<Duration>) {
    let latency = Duration::from_millis(20);
    let first_byte = Some(latency / 2);
    attempt.report(AttemptOutcome { class, latency, first_byte, retry_after, tokens: None });
}

const FAILED: AttemptClass = AttemptClass::Failure(FailureKind::Connect);

impl Deployment {
    /// Waits until the actor has seen everything that was reported before.
    async fn settled(&self) {
        self.actor().send(Barrier).await.unwrap();
    }

    async fn fail(&self) {
        end(self.admit().unwrap(), FAILED, None);
        self.settled().await;
    }

    async fn crash(&self) {
        assert!(self.actor().send(Crash).await.is_err());
    }
}

#[actix_rt::test]
async fn failures_open_the_circuit_and_a_good_probe_closes_it() {
    let (_backends, deployment, clock) = one();
    deployment.fail().await;
    deployment.fail().await;
    assert_eq!(deployment.admit().unwrap_err().retry_after, Duration::from_secs(10));
    let seen = deployment.snapshot();
    assert_eq!((seen.circuit, seen.cause.unwrap().rule), (CircuitState::Open, TripRule::ConsecutiveFailures));
    clock.advance(Duration::from_secs(10));
    assert!(deployment.is_ready());
    let probe = deployment.admit().unwrap();
    assert!(probe.is_probe() && deployment.admit().is_err());
    assert_eq!(deployment.snapshot().circuit, CircuitState::HalfOpen);
    end(probe, AttemptClass::Success, None);
    deployment.settled().await;
    let seen = deployment.snapshot();
    assert_eq!((seen.circuit, seen.cause, seen.trips), (CircuitState::Closed, None, 1));
    assert_eq!((seen.succeeded, seen.failed, seen.in_flight), (1, 2, 0));
}

#[actix_rt::test]
async fn successes_are_seen_without_a_message_each() {
    let (_backends, deployment, _clock) = one();
    deployment.fail().await;
    end(deployment.admit().unwrap(), AttemptClass::Success, None);
    deployment.fail().await;
    assert!(deployment.is_ready(), "not two failures in a row");
    deployment.fail().await;
    assert!(!deployment.is_ready());
}

#[actix_rt::test]
async fn a_backend_that_asks_to_be_left_alone_is() {
    let (_backends, deployment, clock) = one();
    let wait = Duration::from_millis(1_700);
    end(deployment.admit().unwrap(), AttemptClass::Failure(FailureKind::Status(429)), Some(wait));
    deployment.settled().await;
    assert_eq!(deployment.recovers_in(), Some(wait));
    clock.advance(wait - Duration::from_millis(1));
    assert!(deployment.admit().is_err());
    clock.advance(Duration::from_millis(1));
    assert!(deployment.admit().is_ok());
}

#[actix_rt::test]
async fn a_probe_dropped_unreported_frees_its_place_at_once() {
    let (_backends, deployment, clock) = one();
    deployment.fail().await;
    deployment.fail().await;
    clock.advance(Duration::from_secs(10));
    drop(deployment.admit().unwrap());
    assert!(deployment.admit().unwrap().is_probe());
}

#[actix_rt::test]
async fn a_probe_that_is_lost_expires_and_its_late_report_changes_nothing() {
    let (_backends, deployment, clock) = one();
    deployment.fail().await;
    deployment.fail().await;
    clock.advance(Duration::from_secs(10));
    let lost = deployment.admit().unwrap();
    clock.advance(Duration::from_secs(5));
    let probe = deployment.admit().unwrap();
    end(lost, AttemptClass::Success, None);
    deployment.settled().await;
    assert_eq!(deployment.snapshot().circuit, CircuitState::HalfOpen);
    end(probe, FAILED, None);
    deployment.settled().await;
    assert_eq!(deployment.recovers_in(), Some(Duration::from_secs(20)), "the wait doubles");
}

#[actix_rt::test]
async fn a_probe_closes_the_circuit_with_the_beginning_of_its_answer_however_long_that_takes() {
    let (_backends, deployment, clock) = one();
    deployment.fail().await;
    deployment.fail().await;
    clock.advance(Duration::from_secs(10));
    let mut probe = deployment.admit().unwrap();
    clock.advance(Duration::from_secs(4));
    probe.answers();
    deployment.settled().await;
    assert_eq!(deployment.snapshot().circuit, CircuitState::Closed);
    clock.advance(Duration::from_secs(600));
    end(probe, AttemptClass::Success, None);
    deployment.settled().await;
    assert_eq!(deployment.snapshot().circuit, CircuitState::Closed);
}

#[actix_rt::test]
async fn a_probe_that_breaks_after_it_began_is_a_failure_like_any_other() {
    let (_backends, deployment, clock) = one();
    deployment.fail().await;
    deployment.fail().await;
    clock.advance(Duration::from_secs(10));
    let mut probe = deployment.admit().unwrap();
    probe.answers();
    probe.answers();
    assert!(!probe.is_probe());
    end(probe, FAILED, None);
    deployment.settled().await;
    assert!(deployment.is_ready(), "one failure of two");
    deployment.fail().await;
    assert_eq!(deployment.recovers_in(), Some(Duration::from_secs(10)), "the wait begins anew");
}

#[actix_rt::test]
async fn a_new_actor_goes_on_where_a_dead_one_left_off() {
    let (_backends, deployment, _clock) = one();
    deployment.fail().await;
    deployment.crash().await;
    deployment.fail().await;
    assert!(!deployment.is_ready(), "one failure before and one after the crash");
    deployment.crash().await;
    assert!(!deployment.is_ready());
    deployment.settled().await;
    let seen = deployment.snapshot();
    assert_eq!((seen.circuit, seen.trips, seen.respawned), (CircuitState::Open, 1, 2));
}

#[actix_rt::test]
async fn an_operator_holds_a_circuit_open_until_closing_it() {
    let (backends, deployment, clock) = one();
    let held = backends.set_manual(&id("b"), ManualAction::Open).await.unwrap();
    assert_eq!((held.circuit, held.cause.unwrap().rule), (CircuitState::Held, TripRule::Operator));
    clock.advance(Duration::from_secs(100_000));
    assert!(deployment.admit().is_err());
    backends.set_manual(&id("b"), ManualAction::Close).await.unwrap();
    assert!(deployment.admit().is_ok());
    let unknown = backends.set_manual(&id("x"), ManualAction::Close).await.unwrap_err();
    assert_eq!(unknown, ManualError::Unknown(id("x")));
}

#[actix_rt::test]
async fn a_reload_keeps_the_state_of_what_stays_and_drops_the_rest() {
    let (backends, deployment, _clock) = one();
    deployment.fail().await;
    deployment.fail().await;
    let mut changed = spec("b");
    changed.rules.open_for = Duration::from_secs(99);
    backends.reload(vec![changed, spec("c")]);
    assert!(!backends.get(&id("b")).unwrap().is_ready());
    let names: Vec<_> = backends.observe().iter().map(|seen| seen.id.to_string()).collect();
    assert_eq!(names, ["b/m", "c/m"]);
    backends.reload(vec![spec("c")]);
    assert!(backends.get(&id("b")).is_none());
    let dropped = backends.get(&id("c")).unwrap();
    backends.reload(Vec::new());
    end(dropped.admit().unwrap(), FAILED, None);
    assert_eq!(dropped.snapshot().respawned, 0, "nobody replaces the actor of a dropped deployment");
}

#[actix_rt::test]
async fn more_reports_than_may_wait_are_dropped_and_counted() {
    let (_backends, deployment, _clock) = one();
    deployment.settled().await;
    let attempts: Vec<_> = (0..3_000).map(|_| deployment.admit().unwrap()).collect();
    for attempt in attempts {
        end(attempt, FAILED, None);
    }
    let seen = deployment.snapshot();
    assert_eq!((seen.failed, seen.in_flight), (3_000, 0));
    assert_eq!(seen.outcomes_dropped, 3_000 - 1_024);
    deployment.settled().await;
    assert!(!deployment.is_ready());
}

#[actix_rt::test]
async fn a_snapshot_is_readable_for_operators() {
    let (backends, deployment, _clock) = one();
    end(deployment.admit().unwrap(), AttemptClass::Success, None);
    let json = serde_json::to_value(backends.observe()).unwrap();
    assert_eq!(json[0]["backend"], "b");
    assert_eq!(json[0]["circuit"], "closed");
    assert_eq!(json[0]["latency_us"], 20_000);
    assert!(json[0].get("cause").is_none());
}

fn with_capacity(backend: &str, model: &str, tokens_per_minute: u64, shared: bool) -> DeploymentSpec {
    let rules =
        CapacityRules { tokens_per_minute, burst: Duration::from_secs(60), max_busy: Duration::from_secs(1) };
    let id = DeploymentId { backend: backend.into(), model: model.into() };
    DeploymentSpec { id, capacity: Some(CapacitySpec { rules, shared }), ..spec(backend) }
}

#[actix_rt::test]
async fn committed_capacity_is_taken_at_admission_and_corrected_at_the_end() {
    let (backends, deployment, _clock) = one();
    assert!(deployment.fits(u64::MAX) && !deployment.has_capacity(), "nothing is committed");
    backends.reload(vec![with_capacity("b", "m", 1_000, true)]);
    let free = || deployment.snapshot().capacity.unwrap().free_tokens;
    let attempt = deployment.admit_for(900).unwrap();
    assert!(!deployment.fits(200) && deployment.fits(100));
    let refused = deployment.admit_for(200).unwrap_err();
    assert_eq!((refused.retry_after, deployment.in_flight()), (Duration::from_secs(6), 1));
    let latency = Duration::from_millis(20);
    attempt.report(AttemptOutcome {
        class: AttemptClass::Success,
        latency,
        first_byte: None,
        retry_after: None,
        tokens: Some(300),
    });
    assert_eq!(free(), 700);
    drop(deployment.admit_for(700).unwrap());
    assert_eq!(free(), 700, "an attempt without a report used nothing");
    let mut last_resort = deployment.admit().unwrap();
    last_resort.charge(5_000);
    assert_eq!(free(), 0);
    end(last_resort, AttemptClass::Neutral, None);
    assert_eq!(free(), 700);
}

#[actix_rt::test]
async fn tokens_go_back_to_the_capacity_that_they_were_taken_from() {
    let (backends, deployment, _clock) = one();
    backends.reload(vec![with_capacity("b", "m", 1_000, true)]);
    let attempt = deployment.admit_for(900).unwrap();
    backends.reload(vec![with_capacity("b", "m", 1_000, false)]);
    assert!(deployment.take(500));
    end(attempt, AttemptClass::Neutral, None);
    assert_eq!(deployment.snapshot().capacity.unwrap().free_tokens, 500);
}

#[actix_rt::test]
async fn a_429_of_committed_capacity_spills_for_a_moment_and_opens_no_circuit() {
    let (backends, deployment, clock) = one();
    backends.reload(vec![with_capacity("b", "m", 1_000, true)]);
    let busy = AttemptClass::Failure(FailureKind::Status(429));
    for _ in 0..10 {
        end(deployment.admit().unwrap(), busy, Some(Duration::from_secs(600)));
    }
    deployment.settled().await;
    assert!(deployment.is_ready() && !deployment.fits(1));
    assert_eq!(deployment.snapshot().failed, 10);
    clock.advance(Duration::from_secs(1));
    assert!(deployment.fits(1));
    deployment.fail().await;
    deployment.fail().await;
    assert!(!deployment.is_ready(), "other failures count as ever");
}

#[actix_rt::test]
async fn models_share_a_backends_capacity_unless_they_have_their_own() {
    let (backends, _deployment, _clock) = one();
    let specs = vec![
        with_capacity("b", "m", 100, true),
        with_capacity("b", "n", 100, true),
        with_capacity("b", "own", 100, false),
    ];
    backends.reload(specs.clone());
    let get = |model: &str| backends.get(&DeploymentId { backend: "b".into(), model: model.into() }).unwrap();
    assert!(get("m").take(100));
    assert!(!get("n").fits(1) && get("own").fits(100));
    backends.reload(specs);
    assert!(!get("n").fits(1), "a reload forgets nothing");
}

#[actix_rt::test]
async fn a_health_probe_counts_failures_and_spares_requests_the_probing() {
    let (_backends, deployment, clock) = one();
    deployment.probed(false);
    deployment.probed(true);
    deployment.probed(false);
    deployment.settled().await;
    assert_eq!(deployment.snapshot().cause.unwrap().failure, Some(FailureKind::Probe));
    deployment.probed(true);
    deployment.settled().await;
    assert_eq!(deployment.snapshot().circuit, CircuitState::Open, "its time is not over");
    clock.advance(Duration::from_secs(10));
    deployment.probed(false);
    deployment.settled().await;
    assert_eq!(deployment.recovers_in(), Some(Duration::from_secs(20)));
    clock.advance(Duration::from_secs(20));
    deployment.probed(true);
    deployment.settled().await;
    let seen = deployment.snapshot();
    assert_eq!((seen.circuit, seen.succeeded, seen.failed), (CircuitState::Closed, 0, 0));
}

/// Everything that the circuits of these backends tell the other replicas.
fn overhear(backends: &Backends) -> Arc<Mutex<Vec<Change>>> {
    let heard = Arc::<Mutex<Vec<Change>>>::default();
    let sink = Arc::clone(&heard);
    backends.listen(Arc::new(move |transition| sink.lock().push(transition.change)));
    heard
}

#[actix_rt::test]
async fn other_replicas_are_told_of_each_transition_once() {
    let (backends, deployment, clock) = one();
    let heard = overhear(&backends);
    let late: Vec<_> = (0..3).map(|_| deployment.admit().unwrap()).collect();
    deployment.fail().await;
    deployment.fail().await;
    let busy = AttemptClass::Failure(FailureKind::Status(429));
    for (attempt, wait) in late.into_iter().zip([10_500, 20_000, 20_900]) {
        end(attempt, busy, Some(Duration::from_millis(wait)));
    }
    deployment.settled().await;
    clock.advance(Duration::from_millis(20_900));
    end(deployment.admit().unwrap(), AttemptClass::Success, None);
    deployment.settled().await;
    backends.set_manual(&id("b"), ManualAction::Open).await.unwrap();
    backends.set_manual(&id("b"), ManualAction::Close).await.unwrap();
    let cause = Cause { rule: TripRule::ConsecutiveFailures, failure: Some(FailureKind::Connect) };
    let opened = |seconds| Change::Opened { left: Duration::from_secs(seconds), cause };
    let expected = [
        opened(10),
        opened(20),
        Change::Closed { by_operator: false },
        Change::Held,
        Change::Closed { by_operator: true },
    ];
    assert_eq!(*heard.lock(), expected);
}

async fn hear(backends: &Backends, change: RemoteChange) {
    assert!(backends.hear(&id("b"), Remote { replica: "gw-2".into(), change }));
    backends.get(&id("b")).unwrap().settled().await;
}

#[actix_rt::test]
async fn what_opened_at_another_replica_is_open_here_and_then_half_open() {
    let (backends, deployment, clock) = one();
    let told = overhear(&backends);
    hear(&backends, RemoteChange::Opened { left: Duration::from_secs(7) }).await;
    let seen = deployment.snapshot();
    assert_eq!((seen.circuit, seen.cause.unwrap().rule), (CircuitState::Open, TripRule::Replica));
    assert_eq!((seen.heard_from.as_deref(), seen.retry_in_ms), (Some("gw-2"), Some(7_000)));
    clock.advance(Duration::from_secs(7));
    assert!(deployment.admit().unwrap().is_probe());
    hear(&backends, RemoteChange::Closed { by_operator: false }).await;
    assert_eq!(deployment.snapshot().circuit, CircuitState::Closed);
    assert!(told.lock().is_empty(), "a remote update is not rebroadcast");
    assert!(!backends.hear(&id("x"), Remote { replica: "gw-2".into(), change: RemoteChange::Held }));
}

#[actix_rt::test]
async fn an_operators_word_holds_on_every_replica() {
    let (backends, deployment, clock) = one();
    hear(&backends, RemoteChange::Held).await;
    hear(&backends, RemoteChange::Opened { left: Duration::from_secs(1) }).await;
    hear(&backends, RemoteChange::Closed { by_operator: false }).await;
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(deployment.snapshot().circuit, CircuitState::Held);
    hear(&backends, RemoteChange::Closed { by_operator: true }).await;
    assert!(deployment.admit().is_ok());
}
