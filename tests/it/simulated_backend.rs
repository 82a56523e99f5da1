//! The simulated backend does what its knobs say: what else rests on it must be able to.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::json;
use tollgate_tests::harness::gateway::{chat, chat_stream};
use tollgate_tests::harness::http::{Client, raw};
use tollgate_tests::harness::{ports, wait};
use tollgate_tests::sim::faults::{Faults, StatusFault};
use tollgate_tests::sim::raw::{Part, Place, RawFault};
use tollgate_tests::sim::{Options, Port, Sim};

use crate::support::{CHAT, any_port};

const QUIET: Duration = Duration::from_millis(300);

async fn start() -> Sim {
    Sim::start(any_port(), Options::default()).await.unwrap()
}

/// Everything that comes for one request until the connection ends or nothing comes for a moment.
async fn bytes_of(sim: &Sim, fault: RawFault, stream: bool) -> String {
    sim.state().set_fault("sim-small", Faults { raw: Some(fault), ..Faults::default() });
    let body =
        if stream { chat_stream("sim-small", "Hello") } else { chat("sim-small", "Hello") }.to_string();
    let request = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    String::from_utf8_lossy(&raw(sim.addr(), request.as_bytes(), QUIET).await.unwrap()).into_owned()
}

#[tokio::test]
async fn raw_faults_reach_the_wire() {
    let sim = start().await;
    assert_eq!(bytes_of(&sim, RawFault::Stall(Place::BeforeHead), false).await, "");
    assert!(bytes_of(&sim, RawFault::Finish(Place::AfterHead), true).await.ends_with("chunked\r\n\r\n"));
    assert!(bytes_of(&sim, RawFault::GarbageHead, false).await.starts_with("ICY"));
    assert!(bytes_of(&sim, RawFault::Interim, false).await.starts_with("HTTP/1.1 103 "));
    assert!(bytes_of(&sim, RawFault::Gzip, false).await.contains("content-encoding: gzip"));
    let drip = RawFault::Drip { from: Part::Body, pause_ms: 1 };
    assert!(bytes_of(&sim, drip, false).await.contains("finish_reason"));
    let gone = || std::future::ready((sim.state().stats().traffic.open == 0).then_some(()));
    wait::until("no connection is left", wait::EFFECT, gone).await.unwrap();
    assert_eq!(sim.state().stats().traffic.under_way, 0);
}

#[tokio::test]
async fn a_reset_is_no_end_in_good_order() {
    let sim = start().await;
    let fault = Faults { raw: Some(RawFault::Reset(Place::InBody)), ..Faults::default() };
    sim.state().set_fault("sim-small", fault);
    let failed = Client::new(sim.addr()).post(CHAT, &chat("sim-small", "Hello")).await.unwrap_err();
    assert!(format!("{failed:?}").to_lowercase().contains("reset"), "{failed:?}");
}

#[tokio::test]
async fn faults_of_a_name_of_ones_own_hit_nobody_else() {
    let sim = start().await;
    let fault = Faults { status: Some(StatusFault::code(503)), ..Faults::default() };
    sim.state().set_fault("sim-small:mine", fault);
    let client = Client::new(sim.addr());
    let status = async |model: &str| client.post(CHAT, &chat(model, "Hello")).await.unwrap().status.as_u16();
    assert_eq!((status("sim-small:mine").await, status("sim-small").await), (503, 200));
}

#[tokio::test]
async fn the_port_closes_and_opens_through_the_control_address() {
    let control = ports::free().unwrap();
    let options = Options { control: Some(control), ..Options::default() };
    let sim = Sim::start(ports::free().unwrap(), options).await.unwrap();
    let (client, control) = (Client::new(sim.addr()), Client::new(control));
    let set = async |port: &str| {
        let set = control.send(Method::PUT, "/sim/port", Bytes::from(json!(port).to_string())).await;
        assert_eq!(set.unwrap().status, 200);
    };
    set("closed").await;
    let refused = || async { client.get("/v1/models").await.is_err().then_some(()) };
    wait::until("connections are refused", wait::EFFECT, refused).await.unwrap();
    set("open").await;
    let answers = || async { client.get("/v1/models").await.ok() };
    wait::until("the port is open again", wait::EFFECT, answers).await.unwrap();
}

#[tokio::test]
async fn a_deaf_port_accepts_and_says_nothing() {
    let sim = Sim::start(any_port(), Options { port: Port::Deaf, ..Options::default() }).await.unwrap();
    let said = raw(sim.addr(), b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n", QUIET).await.unwrap();
    assert_eq!((said.len(), sim.state().stats().traffic.accepted), (0, 1));
    let gone = || std::future::ready((sim.state().stats().traffic.open == 0).then_some(()));
    wait::until("the caller's end is seen", wait::EFFECT, gone).await.unwrap();
}

#[tokio::test]
async fn the_same_seed_hits_the_same_requests() {
    let mut hits = Vec::new();
    for _ in 0..2 {
        let fault =
            Faults { status: Some(StatusFault::code(500)), probability: Some(0.5), ..Faults::default() };
        let faults = [("sim-small".to_owned(), fault)].into();
        let sim = Sim::start(any_port(), Options { seed: 7, faults, ..Options::default() }).await.unwrap();
        let client = Client::new(sim.addr());
        let mut statuses = Vec::new();
        for _ in 0..12 {
            statuses.push(client.post(CHAT, &chat("sim-small", "Hello")).await.unwrap().status.as_u16());
        }
        hits.push(statuses);
    }
    assert_eq!(hits[0], hits[1]);
    assert!(hits[0].contains(&200) && hits[0].contains(&500));
}
