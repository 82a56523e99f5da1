//! What one replica learns of a backend, the others know too, through the event log and nothing else.

use serde_json::json;
use tollgate_tests::harness::gateway::{Gateway, GatewayConfig, chat};
use tollgate_tests::harness::{leaks, wait};
use tollgate_tests::sim::faults::{Faults, StatusFault};
use tollgate_tests::sim::{Options, Sim};

use crate::support::{CHAT, bed, shared_kafka, sim, text_of};

/// A replica named `id` whose alias prefers the backend at `first`.
fn replica(id: &str, first: &Sim, second: &Sim, folder: &std::path::Path) -> GatewayConfig {
    let targets = json!({ "targets": [
        { "backend": "sim", "model": "sim-small", "priority": 1 },
        { "backend": "second", "model": "sim-small", "priority": 2 },
    ] });
    GatewayConfig::usual(folder, &first.url())
        .unwrap()
        .backend("second", &second.url())
        .set("gateway_id", json!(id))
        .set("models.chat", targets)
}

async fn ask(gateway: &Gateway) {
    text_of(&gateway.client("checkout").post(CHAT, &chat("chat", "Hello")).await.unwrap());
}

async fn open_circuits(gateway: &Gateway) -> u64 {
    leaks::sum(&gateway.admin().get("/metrics").await.unwrap().text(), "tollgate_circuit_open")
}

fn busy(sim: &Sim) {
    let status = StatusFault { retry_after_s: Some(600), ..StatusFault::code(429) };
    sim.state().set_fault("sim-small", Faults { status: Some(status), ..Faults::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replica_does_not_call_what_the_first_was_told_to_leave_alone() {
    let Some(kafka) = shared_kafka().await else { return };
    let (first, second) = (sim(Options::default()).await, sim(Options::default()).await);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let start = async |id: &str, folder: &tempfile::TempDir| {
        let config = replica(id, &first, &second, folder.path()).events(kafka.events("replicas."));
        config.start().await.unwrap()
    };
    let (one, other) = (start("gw-1", &folders[0]).await, start("gw-2", &folders[1]).await);
    busy(&first);
    ask(&one).await;
    let heard = || async { (open_circuits(&other).await == 1).then_some(()) };
    wait::until("the other replica has heard of it", wait::EFFECT, heard).await.unwrap();
    for _ in 0..20 {
        ask(&other).await;
    }
    assert_eq!((first.state().stats().requests, second.state().stats().requests), (1, 21));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_event_log_a_replica_relies_on_what_it_sees_itself() {
    let second = sim(Options::default()).await;
    let url = second.url();
    let change = |config: GatewayConfig| {
        let targets = json!({ "targets": [
            { "backend": "sim", "model": "sim-small", "priority": 1 },
            { "backend": "second", "model": "sim-small", "priority": 2 },
        ] });
        let nobody_listens = json!({ "kafka": { "brokers": ["127.0.0.1:9"] } });
        config.backend("second", &url).set("models.chat", targets).events(nobody_listens)
    };
    let bed = bed(Options::default(), change).await;
    busy(&bed.sim);
    ask(&bed.gateway).await;
    let open = || async { (open_circuits(&bed.gateway).await == 1).then_some(()) };
    wait::until("the circuit is open", wait::EFFECT, open).await.unwrap();
    for _ in 0..20 {
        ask(&bed.gateway).await;
    }
    assert_eq!((bed.sim.state().stats().requests, second.state().stats().requests), (1, 21));
}
