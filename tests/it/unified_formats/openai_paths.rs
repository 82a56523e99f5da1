//! OpenAI's older API and Azure's paths.

use serde_json::json;
use tollgate_tests::harness::gateway::chat;
use tollgate_tests::harness::keys;

use super::bed_of_every_format;
use crate::support::{refused, text_of, usual};

#[tokio::test(flavor = "multi_thread")]
async fn legacy_completions_pass_where_a_backend_has_them_and_are_translated_elsewhere() {
    let bed = bed_of_every_format().await;
    let client = bed.gateway.client("checkout");
    for alias in ["instruct", "claude", "nova", "gemini"] {
        let body = json!({ "model": alias, "prompt": "Once upon a time", "max_tokens": 100 });
        let reply = client.post("/v1/completions", &body).await.unwrap();
        assert_eq!(reply.status, 200, "{alias}: {}", reply.text());
        let answer = reply.json();
        assert_eq!(answer["object"], "text_completion", "{alias}");
        assert!(answer["choices"][0]["text"].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
        assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn azures_clients_name_the_alias_in_the_path() {
    let bed = usual().await;
    let client = bed.gateway.anyone().with("api-key", &keys::text("checkout"));
    let at = |alias: &str| format!("/openai/deployments/{alias}/chat/completions?api-version=2024-10-21");
    let mut body = chat("ignored", "How do refunds work?");
    let named = client.post(&at("chat"), &body).await.unwrap();
    body.as_object_mut().unwrap().remove("model");
    let unnamed = client.post(&at("chat"), &body).await.unwrap();
    assert_eq!(text_of(&named), text_of(&unnamed));
    let seen = bed.sim.state().seen();
    assert!(seen.iter().all(|request| request.body.contains(r#""model":"sim-small""#)), "{seen:?}");
    refused(&client.post(&at("nothing"), &body).await.unwrap(), 404, "model_not_found");
    text_of(&client.post("/openai/v1/chat/completions", &chat("chat", "Hello")).await.unwrap());
    let listed = client.get("/openai/v1/models").await.unwrap().json();
    assert_eq!(listed["data"][0]["id"], "chat");
}
