//! Every API format in front of every kind of backend, without an SDK: what crosses, what is refused, and in
//! whose words.

use serde_json::{Value, json};
use tollgate_tests::harness::gateway::{BACKEND_KEY_ENV, GatewayConfig};
use tollgate_tests::harness::http::{Client, Reply};
use tollgate_tests::sim::providers::ACCESS_KEY_ID;

use crate::support::Bed;

mod aliases;
mod bad_input;
mod crossings;
mod embeddings;
mod gemini;
mod messages;
mod openai_paths;
mod overload;
mod responses;
mod responses_backends;

/// Aliases of chat models at backends of other formats.
const FOREIGN: [&str; 4] = ["claude", "nova", "gemini", "by-responses"];

/// The usual gateway with backends of three more formats, all of them the simulated one, and an alias of each.
fn every_format(config: GatewayConfig) -> GatewayConfig {
    let host = config.value["backends"]["sim"]["url"].as_str().unwrap().trim_end_matches("/v1").to_owned();
    let secret = format!("${{secret:env:{BACKEND_KEY_ENV}}}");
    let header = |name: &str| json!({ "header": { "name": name, "value": secret } });
    let signing = json!({ "aws_sigv4": { "region": "eu-central-1", "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": secret } });
    let backend = |format: &str, credentials: Value| json!({ "format": format, "provider": "sim", "url": host, "credentials": credentials });
    config
        .set("backends.anthropic", backend("anthropic", header("x-api-key")))
        .set("backends.bedrock", backend("bedrock", signing))
        .set("backends.google", backend("gemini", header("x-goog-api-key")))
        .alias("claude", "anthropic", "claude-sonnet-4-5")
        .alias("nova", "bedrock", "amazon.nova-pro-v1:0")
        .alias("gemini", "google", "gemini-2.5-flash-lite")
        .alias("titan", "bedrock", "amazon.titan-embed-text-v2:0")
        .alias("cohere", "bedrock", "cohere.embed-multilingual-v3")
        .alias("gemini-embed", "google", "gemini-embedding-001")
        .alias("instruct", "sim", "gpt-3.5-turbo-instruct")
        .set(
            "models.by-responses",
            json!({ "targets": [{ "backend": "sim", "model": "gpt-4.1-mini", "api": "responses" }] }),
        )
        .product(
            "gold",
            &[
                "chat",
                "large",
                "claude",
                "nova",
                "gemini",
                "titan",
                "cohere",
                "gemini-embed",
                "instruct",
                "by-responses",
            ],
        )
}

async fn bed_of_every_format() -> Bed {
    crate::support::bed(Default::default(), every_format).await
}

/// A client as Anthropic's SDK is one.
fn anthropic(bed: &Bed) -> Client {
    let key = tollgate_tests::harness::keys::text("checkout");
    bed.gateway.anyone().with("x-api-key", &key).with("anthropic-version", "2023-06-01")
}

/// Asserts an error in Anthropic's form.
fn refused_in_anthropics_form(reply: &Reply, status: u16, kind: &str, code: &str) {
    let body = reply.json();
    assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(kind)), "{}", reply.text());
    assert_eq!(body["error"]["code"], code, "{}", reply.text());
    assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{}", reply.text());
    assert_eq!(body["request_id"], reply.header("x-request-id"));
}

/// The parsed events of a stream, without `[DONE]`.
fn parsed(events: &[String]) -> Vec<Value> {
    crate::support::chunks(events)
}

/// The `type` of each event, repetitions in a row once.
fn kinds(events: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.dedup();
    kinds
}
