//! OpenAI Embeddings in front of Bedrock and Gemini.

use serde_json::{Value, json};
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::{Outcome, UsageEvent};
use tollgate_tests::sim::faults::{Faults, StatusFault};

use super::{bed_of_every_format, every_format};
use crate::support::{bed, bed_on_kafka, records_at_the_end, refused};

const PATH: &str = "/v1/embeddings";

fn texts(alias: &str, count: usize) -> Value {
    let texts: Vec<String> = (0..count).map(|number| format!("text number {number}")).collect();
    json!({ "model": alias, "input": texts })
}

fn vectors(answer: &Value) -> Vec<&Value> {
    answer["data"].as_array().unwrap().iter().map(|item| &item["embedding"]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_come_back_as_vectors_in_their_order_in_as_many_calls_as_it_takes() {
    let bed = bed_of_every_format().await;
    let client = bed.gateway.client("checkout");
    for (alias, calls) in [("titan", 120), ("cohere", 2), ("gemini-embed", 2)] {
        let before = bed.sim.state().stats().requests;
        let reply = client.post(PATH, &texts(alias, 120)).await.unwrap();
        assert_eq!(reply.status, 200, "{alias}: {}", reply.text());
        assert_eq!(bed.sim.state().stats().requests - before, calls, "{alias}");
        let answer = reply.json();
        assert_eq!((vectors(&answer).len(), &answer["model"]), (120, &json!(alias)));
        assert!(answer["usage"]["prompt_tokens"].as_u64().unwrap() >= 120, "{}", answer["usage"]);
        for number in [0, 7, 119] {
            let alone = json!({ "model": alias, "input": format!("text number {number}") });
            let alone = client.post(PATH, &alone).await.unwrap().json();
            assert_eq!(vectors(&alone)[0], vectors(&answer)[number], "{alias} {number}");
        }
        let packed = json!({ "model": alias, "input": "a", "encoding_format": "base64" });
        assert!(client.post(PATH, &packed).await.unwrap().json()["data"][0]["embedding"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_take_too_many_calls_or_no_backend_serves_is_refused() {
    let bed = bed_of_every_format().await;
    let client = bed.gateway.client("checkout");
    let message = refused(&client.post(PATH, &texts("titan", 257)).await.unwrap(), 400, "invalid_body");
    assert!(message.contains("at most 256"), "{message}");
    refused(&client.post(PATH, &texts("claude", 1)).await.unwrap(), 400, "unsupported_operation");
    let tokens = json!({ "model": "cohere", "input": [1, 2] });
    refused(&client.post(PATH, &tokens).await.unwrap(), 400, "invalid_body");
    assert_eq!(bed.sim.state().stats().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_in_the_middle_makes_the_next_target_embed_all_of_them() {
    let two = |config| {
        every_format(config).set(
            "models.titan",
            json!({ "targets": [
                { "backend": "bedrock", "model": "amazon.titan-embed-text-v2:0", "priority": 1 },
                { "backend": "bedrock", "model": "cohere.embed-multilingual-v3", "priority": 2 },
            ] }),
        )
    };
    let bed = bed(Default::default(), two).await;
    let fault = Faults { status: Some(StatusFault::code(500)), first: Some(1), ..Faults::default() };
    bed.sim.state().set_fault("amazon.titan-embed-text-v2:0", fault);
    let reply = bed.gateway.client("checkout").post(PATH, &texts("titan", 20)).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.header("x-tollgate-attempts")), (200, "2"), "{}", reply.text());
    assert_eq!(reply.header("x-tollgate-model"), "cohere.embed-multilingual-v3");
    assert_eq!(vectors(&reply.json()).len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_calls_are_one_row_with_the_sum_of_their_tokens() {
    let Some((mut bed, topic)) = bed_on_kafka("embedded.", Default::default(), every_format).await else {
        return;
    };
    let reply = bed.gateway.client("checkout").post(PATH, &texts("titan", 9)).await.unwrap();
    let told = reply.json()["usage"]["prompt_tokens"].as_u64().unwrap();
    let records = records_at_the_end(&mut bed, &topic, 1).await;
    let rows: Vec<&UsageEvent> = records.rows();
    assert_eq!((rows.len(), rows[0].outcome), (1, Outcome::Ok));
    let lines: Vec<_> = rows[0].lines.iter().map(|line| (line.class, line.qty)).collect();
    assert_eq!(lines, [(TokenClass::Embedding, told)]);
}
