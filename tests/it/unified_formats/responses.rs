//! OpenAI Responses in front of a backend that has only chat completions.

use serde_json::{Value, json};

use super::parsed;
use crate::support::{refused, usual};

const PATH: &str = "/v1/responses";

fn response(input: &str) -> Value {
    json!({ "model": "chat", "instructions": "Be brief.", "input": input, "store": false })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_answered_as_openai_does() {
    let bed = usual().await;
    let reply = bed.gateway.client("checkout").post(PATH, &response("How do refunds work?")).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(body["model"], "chat");
    let message = body["output"].as_array().unwrap().iter().find(|item| item["type"] == "message").unwrap();
    assert_eq!(message["content"][0]["type"], "output_text");
    assert!(message["content"][0]["text"].as_str().unwrap().contains("refunds"), "{body}");
    assert!(body["usage"]["output_tokens"].as_u64().unwrap() > 0);
    let seen = bed.sim.state().seen().pop().unwrap();
    assert_eq!(seen.path, "/v1/chat/completions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_created_and_ends_with_completed() {
    let bed = usual().await;
    let client = bed.gateway.client("checkout");
    let plain = client.post(PATH, &response("What is a spool?")).await.unwrap().json();
    let mut body = response("What is a spool?");
    body["stream"] = json!(true);
    let mut stream = client.stream(PATH, &body).await.unwrap();
    let events = parsed(&stream.rest().await.unwrap());
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events[0]["type"], "response.created");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
    let text: String = deltas.map(|event| event["delta"].as_str().unwrap()).collect();
    let message =
        |body: &Value| body["output"].as_array().unwrap().last().unwrap()["content"][0]["text"].clone();
    assert_eq!(message(&last["response"]), text);
    assert_eq!(message(&plain), text);
    assert_eq!(last["response"]["usage"], plain["usage"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_keeps_cannot_be_continued_or_read() {
    let bed = usual().await;
    let client = bed.gateway.client("checkout");
    let first = client.post(PATH, &response("Hello")).await.unwrap().json();
    let id = first["id"].as_str().unwrap();
    for id in [id, "resp_68a1", "nonsense"] {
        let mut next = response("And then?");
        next["previous_response_id"] = json!(id);
        refused(&client.post(PATH, &next).await.unwrap(), 404, "response_not_found");
        refused(&client.get(&format!("{PATH}/{id}")).await.unwrap(), 404, "response_not_found");
    }
    assert_eq!(bed.sim.state().stats().requests, 1, "only the first one was asked of the backend");
}
