//! Anthropic Messages in front of an OpenAI backend.

use serde_json::{Value, json};
use tollgate_tests::harness::gateway::chat;
use tollgate_tests::sim::faults::{Faults, StatusFault};

use super::{anthropic, kinds, parsed, refused_in_anthropics_form};
use crate::support::usual;

const PATH: &str = "/v1/messages";

fn message(text: &str) -> Value {
    json!({ "model": "chat", "max_tokens": 500, "system": "Be brief.",
        "messages": [{ "role": "user", "content": text }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_as_anthropic_does() {
    let bed = usual().await;
    let reply = anthropic(&bed).post(PATH, &message("How do refunds work?")).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!((&body["type"], &body["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!((&body["model"], &body["stop_reason"]), (&json!("chat"), &json!("end_turn")));
    assert!(body["id"].as_str().unwrap().starts_with("msg_"));
    assert!(body["content"][0]["text"].as_str().unwrap().contains("refunds"), "{body}");
    assert!(body["usage"]["input_tokens"].as_u64().unwrap() > 0);
    let seen = bed.sim.state().seen().pop().unwrap();
    let sent: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!((&*seen.path, &sent["model"]), ("/v1/chat/completions", &json!("sim-small")));
    assert_eq!(sent["messages"][0], json!({ "role": "system", "content": "Be brief." }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_messages_has_the_events_of_anthropic_in_their_order() {
    let bed = usual().await;
    let client = anthropic(&bed);
    let plain = client.post(PATH, &message("What is a spool?")).await.unwrap().json();
    let mut body = message("What is a spool?");
    body["stream"] = json!(true);
    let mut stream = client.stream(PATH, &body).await.unwrap();
    assert_eq!(stream.status, 200);
    let events = parsed(&stream.rest().await.unwrap());
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    let without_pings: Vec<Value> = events.into_iter().filter(|event| event["type"] != "ping").collect();
    assert_eq!(kinds(&without_pings), expected);
    let text: String = without_pings.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(plain["content"][0]["text"], text);
    let delta = without_pings.iter().find(|event| event["type"] == "message_delta").unwrap();
    assert_eq!(delta["delta"]["stop_reason"], "end_turn");
    assert_eq!(delta["usage"]["output_tokens"], plain["usage"]["output_tokens"]);
    assert!(String::from_utf8_lossy(stream.raw()).starts_with("event: message_start\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_form_and_the_types_of_anthropic() {
    let bed = usual().await;
    let client = anthropic(&bed);
    let nobody = bed.gateway.anyone().post(PATH, &message("Hello")).await.unwrap();
    refused_in_anthropics_form(&nobody, 401, "authentication_error", "missing_api_key");
    let mut unknown = message("Hello");
    unknown["model"] = json!("chatt");
    let reply = client.post(PATH, &unknown).await.unwrap();
    refused_in_anthropics_form(&reply, 404, "not_found_error", "model_not_found");
    let mut wrong = message("Hello");
    wrong["messages"] = json!(7);
    let reply = client.post(PATH, &wrong).await.unwrap();
    refused_in_anthropics_form(&reply, 400, "invalid_request_error", "invalid_body");
    let busy = StatusFault { retry_after_s: Some(60), ..StatusFault::code(429) };
    bed.sim.state().set_fault("sim-small", Faults { status: Some(busy), ..Faults::default() });
    let reply = client.post(PATH, &message("Hello")).await.unwrap();
    refused_in_anthropics_form(&reply, 429, "rate_limit_error", "rate_limit_exceeded");
    assert!((1..=60).contains(&reply.header("retry-after").parse::<u64>().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_refuses_the_request_is_quoted_in_anthropics_form() {
    let bed = usual().await;
    let status = StatusFault::code(400);
    bed.sim.state().set_fault("sim-small", Faults { status: Some(status), ..Faults::default() });
    let reply = anthropic(&bed).post(PATH, &message("Hello")).await.unwrap();
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(reply.json()["type"], "error");
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_its_backend_breaks_ends_with_anthropics_error_event() {
    let bed = usual().await;
    bed.sim.state().set_fault("sim-small", Faults { reset_after_chunks: Some(2), ..Faults::default() });
    let mut body = message("Hello");
    body["stream"] = json!(true);
    let mut stream = anthropic(&bed).stream(PATH, &body).await.unwrap();
    let events = parsed(&stream.rest().await.unwrap());
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!("api_error")), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_have_anthropics_shape_for_anthropics_clients() {
    let bed = usual().await;
    let list = anthropic(&bed).get("/v1/models").await.unwrap().json();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["chat", "large"]);
    assert_eq!((&list["has_more"], &list["first_id"]), (&json!(false), &json!("chat")));
    let one = anthropic(&bed).get("/v1/models/chat").await.unwrap().json();
    assert_eq!((&one["type"], &one["display_name"]), (&json!("model"), &json!("chat")));
    let none = anthropic(&bed).get("/v1/models/gpt-9").await.unwrap();
    refused_in_anthropics_form(&none, 404, "not_found_error", "model_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_without_asking_anybody() {
    let bed = usual().await;
    let count = async |text: &str| {
        let reply = anthropic(&bed).post("/v1/messages/count_tokens", &message(text)).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("x-tollgate-token-count"), "estimate");
        reply.json()["input_tokens"].as_u64().unwrap()
    };
    let (short, long) = (count("Hello").await, count(&"Hello there. ".repeat(100)).await);
    assert!(short > 0 && long > short + 200, "{short} {long}");
    assert_eq!(bed.sim.state().stats().requests, 0);
    let reply = anthropic(&bed).post("/v1/messages/count_tokens", &chat("none", "Hello")).await.unwrap();
    refused_in_anthropics_form(&reply, 404, "not_found_error", "model_not_found");
}
