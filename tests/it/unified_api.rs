//! One endpoint in the OpenAI format, whatever is behind it.

use http::Method;
use serde_json::json;
use tollgate_tests::harness::gateway::{BACKEND_KEY, chat, chat_stream};
use tollgate_tests::harness::keys;
use tollgate_tests::harness::sse;

use crate::support::{CHAT, refused, team, text_of, usual};

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_answered_as_openai_does() {
    let bed = usual().await;
    let reply =
        bed.gateway.client("checkout").post(CHAT, &chat("chat", "How do refunds work?")).await.unwrap();
    assert!(text_of(&reply).contains("refunds"));
    let body = reply.json();
    assert_eq!(body["object"], "chat.completion");
    assert!(body["id"].is_string() && body["created"].is_u64() && body["model"].is_string());
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let usage = &body["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(count("total_tokens"), count("prompt_tokens") + count("completion_tokens"));
    uuid::Uuid::parse_str(reply.header("x-request-id")).expect("every answer has a request id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_and_a_plain_answer_say_the_same() {
    let bed = usual().await;
    let client = bed.gateway.client("checkout");
    let plain = text_of(&client.post(CHAT, &chat("chat", "What is a spool?")).await.unwrap());
    let mut stream = client.stream(CHAT, &chat_stream("chat", "What is a spool?")).await.unwrap();
    assert_eq!(stream.status, 200);
    let kind = stream.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let events = stream.rest().await.unwrap();
    assert_eq!(events.last().unwrap(), "[DONE]");
    assert_eq!(sse::text_of(&events), plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_taken_from_each_of_four_headers() {
    let bed = usual().await;
    let key = keys::text("checkout");
    for (name, value) in [
        ("authorization", format!("Bearer {key}")),
        ("api-key", key.clone()),
        ("x-api-key", key.clone()),
        ("Ocp-Apim-Subscription-Key", key.clone()),
    ] {
        let reply = bed.gateway.anyone().with(name, &value).post(CHAT, &chat("chat", "Hello")).await.unwrap();
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_api_is_below_the_base_path() {
    let bed = usual().await;
    let client = bed.gateway.client("checkout");
    let reply = client.post("/llm/v1/chat/completions", &chat("chat", "Hello")).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let models = client.get("/llm/v1/models").await.unwrap();
    assert_eq!(models.json(), client.get("/v1/models").await.unwrap().json());
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_the_aliases_that_the_caller_may_use() {
    let bed = crate::support::bed(Default::default(), |config| {
        config.product("small", &["chat"]).subscription(&team("search", "small", "4712"))
    })
    .await;
    let names = |body: serde_json::Value| {
        let data = body["data"].as_array().unwrap().clone();
        let mut names: Vec<String> =
            data.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let all = bed.gateway.client("checkout").get("/v1/models").await.unwrap();
    assert_eq!(all.json()["object"], "list");
    assert_eq!(names(all.json()), ["chat", "large"]);
    let few = bed.gateway.client("search").get("/v1/models").await.unwrap();
    assert_eq!(names(few.json()), ["chat"]);
    let refusal = bed.gateway.client("search").post(CHAT, &chat("large", "Hello")).await.unwrap();
    refused(&refusal, 404, "model_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_sees_its_own_model_name_and_key_and_all_other_fields() {
    let bed = usual().await;
    let mut body = chat("chat", "Hello");
    body["temperature"] = json!(0.25);
    body["a_field_of_next_year"] = json!({ "deep": [1, "two", null] });
    let reply = bed.gateway.client("checkout").post(CHAT, &body).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());

    let seen = bed.sim.state().seen().pop().unwrap();
    let mut expected = body.clone();
    expected["model"] = json!("sim-small");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&seen.body).unwrap(), expected);
    let authorization = seen.headers.iter().find(|(name, _)| name == "authorization").unwrap();
    assert_eq!(authorization.1, format!("Bearer {BACKEND_KEY}"));
    let key = keys::text("checkout");
    assert!(
        !seen.headers.iter().any(|(_, value)| value.contains(&key)),
        "the gateway key went to the backend"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_said_in_the_same_form() {
    let bed = usual().await;
    let client = bed.gateway.client("checkout");
    refused(&client.get("/v1/nothing").await.unwrap(), 404, "unknown_url");
    refused(&client.send(Method::DELETE, CHAT, Default::default()).await.unwrap(), 405, "method_not_allowed");
}
