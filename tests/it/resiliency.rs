//! Targets that fail or are slow, and clients that go, change neither answers nor bills.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_schemas::usage::{Outcome, UsageEvent, UsageSource};
use tollgate_tests::harness::gateway::{GatewayConfig, chat, chat_stream};
use tollgate_tests::harness::wait;
use tollgate_tests::sim::Options;
use tollgate_tests::sim::faults::{Faults, StatusFault};

use crate::support::{Bed, CHAT, bed, bed_on_kafka, records_at_the_end, refused};

const FIRST: &str = "sim-small:first";
const SECOND: &str = "sim-small:second";

/// An alias `chat` of two targets, the first one preferred, with more settings.
fn two_targets(config: GatewayConfig, more: Value) -> GatewayConfig {
    let mut model = json!({ "targets": [
        { "backend": "sim", "model": FIRST, "priority": 1 },
        { "backend": "sim", "model": SECOND, "priority": 2 },
    ] });
    if let (Value::Object(model), Value::Object(more)) = (&mut model, more) {
        model.extend(more);
    }
    config.set("models.chat", model)
}

fn broken(code: u16) -> Faults {
    Faults { status: Some(StatusFault::code(code)), ..Faults::default() }
}

fn slow() -> Faults {
    Faults { latency_ms: 600_000, ..Faults::default() }
}

/// The rows of one alias once the gateway has stopped, by attempt.
async fn rows(
    mut bed: Bed,
    topic: tollgate_tests::harness::topic::UsageTopic,
    count: usize,
) -> Vec<UsageEvent> {
    let records = records_at_the_end(&mut bed, &topic, count).await;
    let mut rows: Vec<UsageEvent> = records.rows().into_iter().cloned().collect();
    rows.sort_by_key(|row| row.attempt);
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_made_up_for_and_the_headers_say_so() {
    let bed = bed(Options::default(), |config| two_targets(config, json!({}))).await;
    bed.sim.state().set_fault(FIRST, broken(500));
    let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hi")).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let told = ["attempts", "backend", "model"].map(|name| reply.header(&format!("x-tollgate-{name}")));
    assert_eq!(told, ["2", "sim", SECOND]);
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_are_named_only_where_that_is_wanted() {
    let quiet = |config| two_targets(config, json!({})).set("server", json!({ "backend_headers": false }));
    let bed = bed(Options::default(), quiet).await;
    let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hi")).await.unwrap();
    assert_eq!(reply.header("x-tollgate-attempts"), "1");
    assert!(!reply.headers.contains_key("x-tollgate-backend"), "{:?}", reply.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn failover_ends_with_the_attempts_that_are_allowed() {
    let one = json!({ "failover": { "max_attempts": 1 } });
    let bed = bed(Options::default(), |config| two_targets(config, one)).await;
    bed.sim.state().set_fault(FIRST, broken(500));
    let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hi")).await.unwrap();
    refused(&reply, 500, "simulated_fault");
    assert_eq!(reply.header("x-tollgate-attempts"), "1");
    assert_eq!(bed.sim.state().model_stats("sim-small").requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_are_busy_the_earliest_recovery_is_told() {
    let bed = bed(Options::default(), |config| two_targets(config, json!({}))).await;
    for (model, wait) in [(FIRST, 90), (SECOND, 40)] {
        let status = StatusFault { retry_after_s: Some(wait), ..StatusFault::code(429) };
        bed.sim.state().set_fault(model, Faults { status: Some(status), ..Faults::default() });
    }
    let client = bed.gateway.client("checkout");
    for round in 0..2 {
        let reply = client.post(CHAT, &chat("chat", "Hi")).await.unwrap();
        // Who was asked is quoted; once the circuits are open nobody is.
        let code = reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply.status, 429, "{}", reply.text());
        assert!(code == "rate_limit_exceeded" || (round > 0 && code == "backend_rate_limited"), "{code}");
        assert!(round > 0 || reply.header("x-tollgate-attempts") == "2", "{:?}", reply.headers);
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=40).contains(&wait), "{wait} s is not the earlier of the two");
    }
}

/// Two targets, the first of which has committed to 2,000 tokens a minute.
fn committed(config: GatewayConfig) -> GatewayConfig {
    let capacity = json!({ "tokens_per_minute": 2_000, "max_busy": "1ms" });
    two_targets(config, json!({})).set("backends.sim.deployments", json!({ FIRST: { "capacity": capacity } }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_committed_capacity_goes_to_the_next_priority() {
    let bed = bed(Options::default(), committed).await;
    bed.sim.state().set_fault(FIRST, slow());
    let mut large = chat("chat", "Hi");
    large["max_tokens"] = json!(1_500);
    let (client, first) = (bed.gateway.client("checkout"), large.clone());
    let under_way = tokio::spawn(async move { client.post(CHAT, &first).await });
    let begun = || std::future::ready((bed.sim.state().stats().traffic.under_way == 1).then_some(()));
    wait::until("the capacity is taken", wait::EFFECT, begun).await.unwrap();
    let second = bed.gateway.client("checkout").post(CHAT, &large).await.unwrap();
    let told = (second.header("x-tollgate-model"), second.header("x-tollgate-attempts"));
    assert_eq!(told, (SECOND, "1"), "{}", second.text());
    under_way.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_committed_capacity_spills_one_request_and_trips_nothing() {
    let bed = bed(Options::default(), committed).await;
    let status = StatusFault { retry_after_s: Some(600), ..StatusFault::code(429) };
    let once = Faults { status: Some(status), first: Some(1), ..Faults::default() };
    bed.sim.state().set_fault(FIRST, once);
    let client = bed.gateway.client("checkout");
    let spilled = client.post(CHAT, &chat("chat", "Hi")).await.unwrap();
    assert_eq!((spilled.header("x-tollgate-model"), spilled.header("x-tollgate-attempts")), (SECOND, "2"));
    let back = || async {
        let reply = client.post(CHAT, &chat("chat", "Hi")).await.unwrap();
        (reply.header("x-tollgate-model") == FIRST).then_some(())
    };
    wait::until("the first target is used again", wait::EFFECT, back).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_stays_with_its_target_by_a_cookie_that_names_none() {
    let bed = bed(Options::default(), |config| {
        let targets: Vec<Value> = (0..6)
            .map(|number| json!({ "backend": "sim", "model": format!("sim-small:t{number}") }))
            .collect();
        let pool = json!({ "strategy": "round_robin", "affinity": { "cookie": "tollgate" } });
        config.set("models.chat", json!({ "targets": targets, "pool": pool }))
    })
    .await;
    let client = bed.gateway.client("checkout");
    let first = client.post(CHAT, &chat("chat", "Hi")).await.unwrap();
    let (target, cookie) = (first.header("x-tollgate-model"), first.header("set-cookie"));
    assert!(cookie.contains("HttpOnly") && !cookie.contains("sim"), "{cookie}");
    let returning = client.clone().with("cookie", cookie.split(';').next().unwrap());
    for _ in 0..6 {
        let reply = returning.post(CHAT, &chat("chat", "Hi")).await.unwrap();
        assert_eq!((reply.header("x-tollgate-model"), reply.header("set-cookie")), (target, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_call_is_overtaken_by_a_hedge_and_both_are_rows() {
    let hedge = json!({ "hedge": { "after": "50ms", "max_percent": 100 } });
    let change = |config| two_targets(config, hedge);
    let Some((bed, topic)) = bed_on_kafka("hedged.", Options::default(), change).await else { return };
    bed.sim.state().set_fault(FIRST, slow());
    let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hi")).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.header("x-tollgate-model")), (200, SECOND));
    let cut = || std::future::ready((bed.sim.state().stats().traffic.under_way == 0).then_some(()));
    wait::until("the slow call is cut", wait::EFFECT, cut).await.unwrap();
    let rows = rows(bed, topic, 2).await;
    let seen: Vec<_> = rows.iter().map(|row| (&*row.call.model, row.outcome)).collect();
    assert_eq!(seen, [(FIRST, Outcome::HedgeLost), (SECOND, Outcome::Ok)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_stream_is_billed_by_the_provider() {
    let options = Options {
        chunks: Some(20),
        answer_bytes: Some(400),
        chunk_delay: Duration::from_millis(50),
        ..Options::default()
    };
    let drain = json!({ "on_disconnect": { "drain": { "max": "30s" } } });
    let change = |config| two_targets(config, drain);
    let Some((bed, topic)) = bed_on_kafka("drained.", options, change).await else { return };
    let client = bed.gateway.client("checkout");
    let mut stream = client.stream(CHAT, &chat_stream("chat", "Hello")).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let whole =
        || std::future::ready((bed.sim.state().model_stats("sim-small").completed == 1).then_some(()));
    wait::until("the answer is read to its end", wait::EFFECT, whole).await.unwrap();
    let rows = rows(bed, topic, 1).await;
    assert_eq!((rows[0].outcome, rows[0].usage_source), (Outcome::ClientAbort, UsageSource::ProviderFinal));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_answer_that_has_not_begun_is_billed_by_the_provider() {
    let drain = json!({ "on_disconnect": { "drain": { "max": "30s" } } });
    let change = |config| two_targets(config, drain);
    let Some((bed, topic)) = bed_on_kafka("unseen.", Options::default(), change).await else { return };
    bed.sim.state().set_fault(FIRST, Faults { latency_ms: 1_000, ..Faults::default() });
    let client = bed.gateway.client("checkout");
    let call = tokio::spawn(async move { client.post(CHAT, &chat("chat", "Hi")).await });
    let begun = || std::future::ready((bed.sim.state().model_stats("sim-small").requests == 1).then_some(()));
    wait::until("the backend is called", wait::EFFECT, begun).await.unwrap();
    call.abort();
    let whole =
        || std::future::ready((bed.sim.state().model_stats("sim-small").completed == 1).then_some(()));
    wait::until("the answer is read to its end", wait::EFFECT, whole).await.unwrap();
    let rows = rows(bed, topic, 1).await;
    assert_eq!((rows[0].outcome, rows[0].usage_source), (Outcome::ClientAbort, UsageSource::ProviderFinal));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_is_kept_open_by_comments() {
    let options = Options { chunks: Some(3), chunk_delay: Duration::from_secs(600), ..Options::default() };
    let often = |config: GatewayConfig| config.set("server", json!({ "keep_alive_comments": "50ms" }));
    let bed = bed(options, often).await;
    let client = bed.gateway.client("checkout");
    let mut stream = client.stream(CHAT, &chat_stream("chat", "Hello")).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let patience = tokio::time::Instant::now() + wait::EFFECT;
    while !String::from_utf8_lossy(stream.raw()).contains("\n\n: keep-alive\n: keep-alive\n") {
        assert!(tokio::time::Instant::now() < patience, "no comment came");
        // No further event will come: what is read meanwhile is what counts.
        let _ = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
    }
}
