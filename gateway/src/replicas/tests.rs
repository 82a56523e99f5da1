//! Two gateways' circuits over one log.

use std::time::Duration;

use tollgate_backends::circuit::{CircuitRules, TripRule};
use tollgate_backends::{
    AttemptClass, AttemptOutcome, CircuitState, Deployment, DeploymentId, DeploymentSnapshot, DeploymentSpec,
    FailureKind, ManualAction,
};
use tollgate_base::clock::Clock;
use tollgate_eventlog::config::EmbeddedConfig;
use tollgate_eventlog::embedded::EmbeddedLog;
use tollgate_eventlog::segment::fake::FakeFiles;
use tollgate_eventlog::{Consumer, LogError, Producer, Tail, Topic, TopicSpec};

use super::*;

fn id() -> DeploymentId {
    DeploymentId { backend: "b".into(), model: "vendor/m:free".into() }
}

/// One gateway's circuits, joined with the others through `log`.
struct Gateway {
    backends: Backends,
    _replicas: Replicas,
}

fn spec() -> DeploymentSpec {
    let rules = CircuitRules { max_open: Duration::from_secs(3_600), ..CircuitRules::default() };
    let rules = CircuitRules { max_retry_after: rules.max_open, ..rules };
    DeploymentSpec { id: id(), rules, capacity: None }
}

fn gateway(name: &str, log: &Arc<dyn EventLog>) -> Gateway {
    let backends = Backends::start_in(&actix_rt::Arbiter::current(), Clock::system(), vec![spec()]);
    let me = Replica { gateway_id: name.into(), boot_id: BootId::now() };
    let replicas = Replicas::start(Arc::clone(log), &backends, me, &ReplicaMetrics::default()).unwrap();
    Gateway { backends, _replicas: replicas }
}

impl Gateway {
    fn deployment(&self) -> Deployment {
        self.backends.get(&id()).unwrap()
    }

    fn asked_to_wait(&self, wait: Duration) {
        self.deployment().admit().unwrap().report(AttemptOutcome {
            class: AttemptClass::Failure(FailureKind::Status(429)),
            latency: Duration::ZERO,
            first_byte: None,
            retry_after: Some(wait),
            tokens: None,
        });
    }

    async fn until(&self, state: CircuitState) -> Arc<DeploymentSnapshot> {
        let reached = async {
            loop {
                let seen = self.deployment().snapshot();
                if seen.circuit == state {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.unwrap()
    }
}

fn embedded() -> Arc<dyn EventLog> {
    let config = EmbeddedConfig { path: "/log".into(), segment_bytes: 1 << 20 };
    Arc::new(EmbeddedLog::open_with(Arc::new(FakeFiles::new()), &config).unwrap())
}

#[actix_rt::test]
async fn a_circuit_that_opens_at_one_replica_opens_at_the_other_for_the_same_time() {
    let log = embedded();
    let (one, other) = (gateway("gw-1", &log), gateway("gw-2", &log));
    one.asked_to_wait(Duration::from_secs(1_800));
    let seen = other.until(CircuitState::Open).await;
    assert_eq!((seen.heard_from.as_deref(), seen.cause.unwrap().rule), (Some("gw-1"), TripRule::Replica));
    assert!((1_700_000..=1_800_000).contains(&seen.retry_in_ms.unwrap()), "{seen:?}");
    let own = one.deployment().snapshot();
    assert_eq!((own.heard_from.as_deref(), own.cause.unwrap().rule), (None, TripRule::RetryAfter));
    one.backends.set_manual(&id(), ManualAction::Close).await.unwrap();
    other.until(CircuitState::Closed).await;
}

#[actix_rt::test]
async fn a_replica_that_starts_later_knows_what_is_open_and_what_an_operator_holds() {
    let log = embedded();
    let one = gateway("gw-1", &log);
    one.asked_to_wait(Duration::from_secs(1_800));
    one.until(CircuitState::Open).await;
    gateway("gw-2", &log).until(CircuitState::Open).await;
    one.backends.set_manual(&id(), ManualAction::Open).await.unwrap();
    let late = gateway("gw-1", &log);
    late.until(CircuitState::Held).await;
    late.backends.set_manual(&id(), ManualAction::Close).await.unwrap();
    one.until(CircuitState::Closed).await;
}

#[actix_rt::test]
async fn a_deployment_that_comes_with_a_new_configuration_knows_what_is_open_elsewhere() {
    let log = embedded();
    let (one, other) = (gateway("gw-1", &log), gateway("gw-2", &log));
    other.backends.reload(Vec::new());
    one.asked_to_wait(Duration::from_secs(1_800));
    one.until(CircuitState::Open).await;
    // The third one has read what the second one passed over.
    gateway("gw-3", &log).until(CircuitState::Open).await;
    other.backends.reload(vec![spec()]);
    other.until(CircuitState::Open).await;
}

/// A log that nobody reaches.
#[derive(Debug)]
struct Away;

impl EventLog for Away {
    fn ensure_topics(&self, _: &[TopicSpec]) -> Result<(), LogError> {
        Err(LogError::Unreachable("away".to_owned()))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Err(LogError::Unreachable("away".to_owned()))
    }

    fn consumer(&self, _: &str, _: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        Err(LogError::Unreachable("away".to_owned()))
    }

    fn tail(&self, _: Topic) -> Result<Box<dyn Tail>, LogError> {
        Err(LogError::Unreachable("away".to_owned()))
    }
}

#[actix_rt::test]
async fn without_the_log_circuits_open_by_what_their_own_replica_sees() {
    let log: Arc<dyn EventLog> = Arc::new(Away);
    let one = gateway("gw-1", &log);
    one.asked_to_wait(Duration::from_secs(1_800));
    one.until(CircuitState::Open).await;
    for _ in 0..1_000 {
        one.backends.set_manual(&id(), ManualAction::Close).await.unwrap();
        one.backends.set_manual(&id(), ManualAction::Open).await.unwrap();
    }
    one.until(CircuitState::Held).await;
}
