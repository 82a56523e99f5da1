//! More is asked than can be served: a short fair queue, then quick refusals.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_tests::harness::gateway::{GatewayConfig, chat};
use tollgate_tests::harness::wait;
use tollgate_tests::sim::Options;
use tollgate_tests::sim::faults::Faults;

use super::{anthropic, refused_in_anthropics_form};
use crate::support::{Bed, CHAT, bed, refused, team, text_of};

/// A gateway whose model `large` does not answer for a long time.
async fn stuck(change: impl FnOnce(GatewayConfig) -> GatewayConfig) -> Bed {
    let bed = bed(Options::default(), change).await;
    bed.sim.state().set_fault("sim-large", Faults { latency_ms: 600_000, ..Faults::default() });
    bed
}

/// Takes a place and keeps it until it is aborted.
async fn occupy(bed: &Bed) -> tokio::task::JoinHandle<()> {
    let client = bed.gateway.client("checkout");
    let task = tokio::spawn(async move {
        let _ = client.post(CHAT, &chat("large", "Hello")).await;
    });
    let begun = || std::future::ready((bed.sim.state().stats().traffic.under_way == 1).then_some(()));
    wait::until("the place is taken", wait::EFFECT, begun).await.unwrap();
    task
}

async fn load(bed: &Bed) -> Value {
    bed.gateway.admin().get("/admin/overload").await.unwrap().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backend_refuses_after_a_short_wait_and_says_so_everywhere() {
    let bed = stuck(|config| {
        config.set("backends.sim.max_running", json!(1)).set("overload", json!({ "max_wait": "50ms" }))
    })
    .await;
    let occupant = occupy(&bed).await;
    let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hello")).await.unwrap();
    refused(&reply, 503, "overloaded");
    assert_eq!(reply.header("retry-after"), "1");
    let message = json!({ "model": "chat", "max_tokens": 9,
        "messages": [{ "role": "user", "content": "Hello" }] });
    let reply = anthropic(&bed).post("/v1/messages", &message).await.unwrap();
    refused_in_anthropics_form(&reply, 503, "overloaded_error", "overloaded");
    let seen = load(&bed).await;
    let expected = json!([{ "backend": "sim", "running": 1, "max_running": 1, "waiting": 0,
        "max_waiting": 1_000, "refused": 2 }]);
    assert_eq!(seen["backends"], expected, "{seen}");
    let metrics = bed.gateway.admin().get("/metrics").await.unwrap().text();
    assert!(metrics.contains(r#"tollgate_backend_overloaded_total{backend="sim"} 2"#), "{metrics}");
    occupant.abort();
    let free = || async { (load(&bed).await["backends"][0]["running"] == 0).then_some(()) };
    wait::until("the place is free again", wait::EFFECT, free).await.unwrap();
    text_of(&bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hello")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backend_is_passed_over_while_another_target_has_room() {
    let bed = stuck(|config| {
        let url = config.value["backends"]["sim"]["url"].as_str().unwrap().to_owned();
        config.set("backends.sim.max_running", json!(1)).backend("second", &url).set(
            "models.chat",
            json!({ "targets": [
                { "backend": "sim", "model": "sim-small", "priority": 1 },
                { "backend": "second", "model": "sim-small", "priority": 2 },
            ] }),
        )
    })
    .await;
    let occupant = occupy(&bed).await;
    let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hello")).await.unwrap();
    text_of(&reply);
    assert_eq!((reply.header("x-tollgate-backend"), reply.header("x-tollgate-attempts")), ("second", "1"));
    occupant.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_pay_more_are_served_first() {
    let bed = stuck(|config| {
        config
            .set("overload", json!({ "max_running": 1, "max_wait": "60s" }))
            .product("trial", &["chat"])
            .set("products.trial.tier", json!(2))
            .subscription(&team("guest", "trial", "4712"))
    })
    .await;
    let occupant = occupy(&bed).await;
    let mut waiting = Vec::new();
    for (name, text) in [("guest", "late"), ("checkout", "early")] {
        let client = bed.gateway.client(name);
        waiting.push(tokio::spawn(async move { client.post(CHAT, &chat("chat", text)).await.unwrap() }));
        let joined = || async { (load(&bed).await["requests"]["waiting"] == waiting.len()).then_some(()) };
        wait::until("the request waits", wait::EFFECT, joined).await.unwrap();
    }
    occupant.abort();
    for reply in waiting {
        text_of(&reply.await.unwrap());
    }
    let order: Vec<Value> = bed.sim.state().seen()[1..]
        .iter()
        .map(|seen| {
            let body: Value = serde_json::from_str(&seen.body).unwrap();
            body["messages"][0]["content"].clone()
        })
        .collect();
    assert_eq!(order, ["early", "late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_beyond_the_memory_budget_are_refused_until_it_is_free() {
    let bed = stuck(|config| {
        config
            .set("server", json!({ "max_body": "64KiB" }))
            .set("overload", json!({ "max_memory": "128KiB" }))
    })
    .await;
    let large = |model: &str| chat(model, &"x".repeat(40 << 10));
    let client = bed.gateway.client("checkout");
    let occupant = {
        let (client, body) = (client.clone(), large("large"));
        tokio::spawn(async move { client.post(CHAT, &body).await })
    };
    let begun = || std::future::ready((bed.sim.state().stats().traffic.under_way == 1).then_some(()));
    wait::until("the memory is held", wait::EFFECT, begun).await.unwrap();
    let reply = client.post(CHAT, &large("chat")).await.unwrap();
    refused(&reply, 503, "overloaded");
    assert!(load(&bed).await["memory"]["used_bytes"].as_u64().unwrap() > 40 << 10);
    assert_eq!(load(&bed).await["memory"]["refused"], 1);
    occupant.abort();
    let free = || async { (load(&bed).await["memory"]["used_bytes"] == 0).then_some(()) };
    wait::until("the memory is free", wait::EFFECT, free).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), client.post(CHAT, &large("chat"))).await.unwrap().unwrap();
}
