//! What an alias adds to a request, and weighted trials behind one name.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_schemas::usage::UsageEvent;
use tollgate_tests::harness::gateway::{GatewayConfig, chat};

use super::anthropic;
use crate::support::{CHAT, bed, bed_on_kafka, records_at_the_end, team, text_of};

#[tokio::test(flavor = "multi_thread")]
async fn defaults_fill_what_is_missing_and_caps_lower_what_is_too_much_in_every_format() {
    let change = |config: GatewayConfig| {
        config
            .set("models.chat.defaults", json!({ "temperature": 0.25, "max_output_tokens": 300 }))
            .set("models.chat.caps", json!({ "temperature": 0.5, "max_output_tokens": "400" }))
    };
    let bed = bed(Default::default(), change).await;
    let client = bed.gateway.client("checkout");
    let last = || -> Value { serde_json::from_str(&bed.sim.state().seen().pop().unwrap().body).unwrap() };
    let mut greedy = chat("chat", "Hello");
    text_of(&client.post(CHAT, &greedy).await.unwrap());
    assert_eq!((&last()["temperature"], &last()["max_tokens"]), (&json!(0.25), &json!(300)));
    greedy["temperature"] = json!(1.5);
    greedy["max_tokens"] = json!(9_000);
    text_of(&client.post(CHAT, &greedy).await.unwrap());
    assert_eq!((&last()["temperature"], &last()["max_tokens"]), (&json!(0.5), &json!(400)));
    let message = json!({ "model": "chat", "max_tokens": 9_000, "temperature": 1.0,
        "messages": [{ "role": "user", "content": "Hello" }] });
    assert_eq!(anthropic(&bed).post("/v1/messages", &message).await.unwrap().status, 200);
    let sent = last();
    let most = sent.get("max_completion_tokens").or_else(|| sent.get("max_tokens"));
    assert_eq!((most, &sent["temperature"]), (Some(&json!(400)), &json!(0.5)));
}

/// Two variants, and sixteen subscriptions that each stay with one.
fn trial(config: GatewayConfig) -> GatewayConfig {
    let targets = json!([
        { "backend": "sim", "model": "sim-small:a", "weight": 75, "variant": "control" },
        { "backend": "sim", "model": "sim-small:b", "weight": 25, "variant": "candidate" },
    ]);
    let pool = json!({ "affinity": { "expression": "subscription" } });
    let config = config.set("models.chat", json!({ "targets": targets, "pool": pool }));
    (0..16)
        .fold(config, |config, number| config.subscription(&team(&format!("team-{number}"), "gold", "4711")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_stays_with_its_variant_which_headers_and_rows_name() {
    let Some((mut bed, topic)) = bed_on_kafka("trial.", Default::default(), trial).await else { return };
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..3 {
        for number in 0..16 {
            let name = format!("team-{number}");
            let reply = bed.gateway.client(&name).post(CHAT, &chat("chat", "Hello")).await.unwrap();
            text_of(&reply);
            let variant = reply.header("x-tollgate-variant").to_owned();
            let model = if variant == "control" { "sim-small:a" } else { "sim-small:b" };
            assert_eq!(reply.header("x-tollgate-model"), model);
            let first = told.entry(name).or_insert_with(|| variant.clone());
            assert_eq!(*first, variant, "round {round}");
        }
    }
    let candidates = told.values().filter(|variant| *variant == "candidate").count();
    // Which ones it is depends on their names alone: the split is fixed.
    assert!((1..=8).contains(&candidates), "{told:?}");
    let records = records_at_the_end(&mut bed, &topic, 48).await;
    let rows: Vec<&UsageEvent> = records.rows();
    assert_eq!(rows.len(), 48);
    for row in rows {
        assert_eq!(row.call.variant.as_deref(), Some(&*told[&*row.payer.subscription]), "{row:?}");
    }
}
