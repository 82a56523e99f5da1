//! Deployments with living actors, on a clock that the tests move.

use std::time::Duration;

use super::super::backend_actor::Crash;
use super::super::circuit::TripRule;
use super::super::deployment::{CircuitState, InFlight};
use super::super::outcome::{AttemptClass, AttemptOutcome, FailureKind};
use super::*;

fn id(backend: &str) -> DeploymentId {
    DeploymentId { backend: backend.into(), model: "m".into() }
}

fn spec(backend: &str) -> DeploymentSpec {
    let rules = CircuitRules {
        consecutive_failures: 2,
        open_for: Duration::from_secs(10),
        probe_timeout: Duration::from_secs(5),
        ..CircuitRules::default()
    };
    DeploymentSpec { id: id(backend), rules }
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
        let rules = self.cell().checkpoint.lock().rules().clone();
        self.actor().send(SetRules(rules)).await.unwrap();
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
