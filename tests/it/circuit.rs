//! A backend that fails is left alone for as long as it asks, and comes back one request at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tollgate_tests::harness::gateway::{Gateway, GatewayConfig, chat};
use tollgate_tests::harness::{keys, leaks, wait};
use tollgate_tests::load::paced::Pace;
use tollgate_tests::load::request::Target;
use tollgate_tests::load::timeline::Timeline;
use tollgate_tests::sim::faults::{Faults, StatusFault};
use tollgate_tests::sim::{Options, Sim};

use crate::support::{Bed, CHAT, bed, sim, text_of};

/// The usual gateway with a second backend that is asked when the first is out of order.
async fn pair(circuit: serde_json::Value) -> (Bed, Sim) {
    let second = sim(Options::default()).await;
    let url = second.url();
    let change = |config: GatewayConfig| {
        let targets = |model: &str| {
            json!({ "targets": [
                { "backend": "sim", "model": model, "priority": 1 },
                { "backend": "second", "model": model, "priority": 2 },
            ] })
        };
        config
            .backend("second", &url)
            .set("backends.sim.circuit", circuit)
            .set("models.chat", targets("sim-small"))
            .set("models.large", targets("sim-large"))
    };
    (bed(Options::default(), change).await, second)
}

fn refuses(status: StatusFault) -> Faults {
    Faults { status: Some(status), ..Faults::default() }
}

async fn ask(gateway: &Gateway) {
    text_of(&gateway.client("checkout").post(CHAT, &chat("chat", "Hello")).await.unwrap());
}

async fn open_circuits(gateway: &Gateway) -> u64 {
    leaks::sum(&gateway.admin().get("/metrics").await.unwrap().text(), "tollgate_circuit_open")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_left_alone_for_as_long_as_it_asks_in_whatever_words() {
    let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let busy = || StatusFault::code(429);
    for wish in [
        StatusFault { retry_after_s: Some(600), ..busy() },
        StatusFault { retry_after_date_s: Some(600), ..busy() },
        StatusFault { headers: header("retry-after-ms", "600000"), ..busy() },
        StatusFault { headers: header("x-ratelimit-reset-requests", "10m0s"), ..busy() },
        StatusFault { retry_after_s: Some(600), ..StatusFault::code(503) },
    ] {
        let (bed, second) = pair(json!({ "max_open": "600 s" })).await;
        bed.sim.state().set_fault("sim-small", refuses(wish.clone()));
        ask(&bed.gateway).await;
        let open = || async { (open_circuits(&bed.gateway).await == 1).then_some(()) };
        wait::until("the circuit is open", wait::EFFECT, open).await.unwrap();
        for _ in 0..20 {
            ask(&bed.gateway).await;
        }
        let asked = (bed.sim.state().stats().requests, second.state().stats().requests);
        assert_eq!(asked, (1, 21), "{wish:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_beyond_the_cap_is_cut() {
    let (bed, _second) = pair(json!({ "open_for": "1 s", "max_open": "1 s" })).await;
    let wish = refuses(StatusFault { retry_after_s: Some(86_400), ..StatusFault::code(429) });
    bed.sim.state().set_fault("sim-small", Faults { first: Some(1), ..wish });
    ask(&bed.gateway).await;
    let used_again = || async {
        ask(&bed.gateway).await;
        (bed.sim.state().stats().requests > 1).then_some(())
    };
    wait::until("the backend is asked again", wait::EFFECT, used_again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_comes_back_one_request_at_a_time() {
    let circuit = json!({ "consecutive_failures": 3, "open_for": "100 ms", "max_open": "200 ms" });
    let (bed, _second) = pair(circuit).await;
    let state = bed.sim.state();
    // A probe takes longer than the time between two requests: a second one would meet it.
    let faults = |status| Faults { latency_ms: 100, status, ..Faults::default() };
    state.set_fault("sim-small", faults(Some(StatusFault::code(500))));
    let body = Bytes::from(chat("chat", "Hello").to_string());
    let target = Target::new(bed.gateway.addr(), &[keys::text("checkout")], body, false);
    let load = Timeline::start(&[target], Pace { rate: 200, connections: 16, duration: Duration::MAX });

    let quiet = || async {
        let under_way = state.stats().traffic.under_way;
        (open_circuits(&bed.gateway).await == 1 && under_way == 0).then_some(())
    };
    wait::until("the circuit is open and nothing is under way", wait::EFFECT, quiet).await.unwrap();
    state.watch_again();
    let probed = || std::future::ready((state.stats().traffic.watch.requests >= 4).then_some(()));
    wait::until("the backend was probed four times", wait::EFFECT, probed).await.unwrap();
    state.set_fault("sim-small", faults(None));
    let closed = || async { (open_circuits(&bed.gateway).await == 0).then_some(()) };
    wait::until("the circuit is closed", wait::EFFECT, closed).await.unwrap();

    let watch = state.stats().traffic.watch;
    assert!(watch.over && watch.most_at_once == 1, "{watch:?}");
    let seen = load.stop().await;
    assert_eq!((seen.refused, seen.error_events, seen.cut), (0, 0, 0));
}
