//! Chat completions in front of backends of other formats.

use serde_json::{Value, json};
use tollgate_tests::harness::gateway::{chat, chat_stream};
use tollgate_tests::harness::sse;

use super::{FOREIGN, bed_of_every_format, every_format};
use crate::support::{CHAT, bed, refused, text_of};

#[tokio::test(flavor = "multi_thread")]
async fn every_backend_says_the_same_plain_and_streamed_and_reports_its_usage() {
    let bed = bed_of_every_format().await;
    let client = bed.gateway.client("checkout");
    for alias in FOREIGN {
        let plain = client.post(CHAT, &chat(alias, "How do refunds work?")).await.unwrap();
        let text = text_of(&plain);
        let answer = plain.json();
        assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!(alias)));
        assert!(answer["usage"]["prompt_tokens"].as_u64().unwrap() > 0, "{alias}: {answer}");
        let mut body = chat_stream(alias, "How do refunds work?");
        body["stream_options"] = json!({ "include_usage": true });
        let mut stream = client.stream(CHAT, &body).await.unwrap();
        let events = stream.rest().await.unwrap();
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{alias}");
        assert_eq!(sse::text_of(&events), text, "{alias}");
        let usage: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
        assert_eq!(usage["usage"]["completion_tokens"], answer["usage"]["completion_tokens"], "{alias}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_tools_come_in_the_form_in_which_they_were_asked_for() {
    let bed = bed_of_every_format().await;
    let client = bed.gateway.client("checkout");
    let weather = json!({ "name": "weather", "parameters": { "type": "object",
        "properties": { "place": { "type": "string" } }, "required": ["place"] } });
    for alias in FOREIGN {
        let mut body = chat(alias, "Please use the tool.");
        body["tools"] = json!([{ "type": "function", "function": weather }]);
        let answer = client.post(CHAT, &body).await.unwrap().json();
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls", "{alias}: {answer}");
        assert_eq!(choice["message"]["tool_calls"][0]["function"]["name"], "weather", "{answer}");

        let mut body = chat(alias, "Please use the tool.");
        body["functions"] = json!([weather]);
        let answer = client.post(CHAT, &body).await.unwrap().json();
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "function_call", "{alias}: {answer}");
        assert_eq!(choice["message"]["function_call"]["name"], "weather", "{answer}");
        assert!(choice["message"].get("tool_calls").is_none(), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_format_cannot_carry_is_refused_or_dropped_and_named() {
    let lenient = |config| {
        every_format(config)
            .alias("lenient", "anthropic", "claude-sonnet-4-5")
            .set("models.lenient.on_unmappable", json!("drop"))
            .product("gold", &["claude", "lenient"])
    };
    let bed = bed(Default::default(), lenient).await;
    let client = bed.gateway.client("checkout");
    let mut body = chat("claude", "Hello");
    body["seed"] = json!(7);
    body["logit_bias"] = json!({ "50256": -100 });
    let reply = client.post(CHAT, &body).await.unwrap();
    refused(&reply, 400, "unsupported_parameter");
    assert_eq!(reply.json()["error"]["param"], "seed");
    assert_eq!(bed.sim.state().stats().requests, 0);
    body["model"] = json!("lenient");
    let reply = client.post(CHAT, &body).await.unwrap();
    text_of(&reply);
    let mut dropped: Vec<&str> = reply.header("x-tollgate-dropped-parameters").split(", ").collect();
    dropped.sort_unstable();
    assert_eq!(dropped, ["logit_bias", "seed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_of_another_format_takes_over_and_one_that_cannot_carry_the_request_is_passed_over() {
    let mixed = |config| {
        every_format(config).set(
            "models.chat",
            json!({ "targets": [
                { "backend": "anthropic", "model": "claude-sonnet-4-5", "priority": 1 },
                { "backend": "sim", "model": "sim-small", "priority": 2 },
            ] }),
        )
    };
    let bed = bed(Default::default(), mixed).await;
    let client = bed.gateway.client("checkout");
    let mut body = chat("chat", "Hello");
    body["seed"] = json!(7);
    let reply = client.post(CHAT, &body).await.unwrap();
    text_of(&reply);
    assert_eq!((reply.header("x-tollgate-backend"), reply.header("x-tollgate-attempts")), ("sim", "1"));
    let overloaded = tollgate_tests::sim::faults::StatusFault::code(529);
    let fault = tollgate_tests::sim::faults::Faults { status: Some(overloaded), ..Default::default() };
    bed.sim.state().set_fault("claude-sonnet-4-5", fault);
    let reply = client.post(CHAT, &chat("chat", "Hello")).await.unwrap();
    text_of(&reply);
    assert_eq!((reply.header("x-tollgate-backend"), reply.header("x-tollgate-attempts")), ("sim", "2"));
}
