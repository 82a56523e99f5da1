//! Whatever comes in, the answer is a clear error in OpenAI's form, and the gateway lives on.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::json;
use tollgate_tests::harness::gateway::chat;
use tollgate_tests::harness::http::{Reply, raw};
use tollgate_tests::harness::keys;
use tollgate_tests::sim::faults::{Faults, StatusFault};

use crate::support::{Bed, CHAT, refused, text_of, usual};

async fn send(bed: &Bed, body: impl Into<Bytes>) -> Reply {
    bed.gateway.client("checkout").send(Method::POST, CHAT, body.into()).await.unwrap()
}

/// After all that, a good request is answered, and the log knows of no panic.
async fn lives_on(bed: &mut Bed) {
    text_of(&bed.gateway.client("checkout").post(CHAT, &chat("chat", "Are you there?")).await.unwrap());
    let log = bed.gateway.service().process().log().text();
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_chat_are_refused_with_their_fault() {
    let mut bed = usual().await;
    for (body, hint) in [
        ("", ""),
        ("{\"model\": \"chat\", \"messages\": [", ""),
        ("[1, 2, 3]", ""),
        ("{\"messages\": []}", "model"),
        ("{\"model\": 7, \"messages\": []}", "model"),
        ("{\"model\": \"chat\"}", "messages"),
        ("{\"model\": \"chat\", \"messages\": \"hello\"}", "messages"),
    ] {
        let message = refused(&send(&bed, body).await, 400, "invalid_body");
        assert!(message.contains(hint), "{body:?} is answered with {message:?}");
    }
    refused(
        &send(&bed, &b"{\"model\": \"chat\", \"messages\": \"\xff\xfe\"}"[..]).await,
        400,
        "invalid_body",
    );
    let deep = "[".repeat(100_000);
    refused(&send(&bed, format!("{{\"model\":\"chat\",\"messages\":{deep}")).await, 400, "invalid_body");
    assert_eq!(bed.sim.state().stats().requests, 0, "a bad request went to the backend");
    lives_on(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_model_is_answered_with_its_neighbours() {
    let mut bed = usual().await;
    let reply = send(&bed, chat("chatt", "Hello").to_string()).await;
    let message = refused(&reply, 404, "model_not_found");
    assert!(message.contains("`chatt`") && message.contains("`chat`"), "{message}");
    assert_eq!(reply.json()["error"]["param"], "model");
    lives_on(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_missing_keys_are_refused_alike_on_every_path() {
    let mut bed = usual().await;
    let body = chat("chat", "Hello");
    for client in
        [bed.gateway.anyone().bearer("wrong"), bed.gateway.anyone().bearer(&keys::sha256("checkout"))]
    {
        refused(&client.post(CHAT, &body).await.unwrap(), 401, "invalid_api_key");
        refused(&client.get("/v1/models").await.unwrap(), 401, "invalid_api_key");
    }
    refused(&bed.gateway.anyone().post(CHAT, &body).await.unwrap(), 401, "missing_api_key");
    assert_eq!(bed.sim.state().stats().requests, 0);
    lives_on(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_64_mb_is_refused_without_being_kept() {
    let mut bed = usual().await;
    let body = format!(
        "{{\"model\":\"chat\",\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}]}}",
        "x".repeat(64 << 20)
    );
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        keys::text("checkout"),
        body.len()
    );
    let request = [head.as_bytes(), body.as_bytes()].concat();
    let answer = raw(bed.gateway.addr(), &request, Duration::from_secs(10)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\"body_too_large\""), "{answer:?}");
    assert!(answer.to_lowercase().contains("x-request-id:"), "{answer:?}");

    // The same without an announced length.
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "y".repeat(1 << 20));
    let head = head.replace(&format!("content-length: {}", body.len()), "transfer-encoding: chunked");
    let request = [head.as_bytes(), chunk.repeat(64).as_bytes(), b"0\r\n\r\n"].concat();
    let answer = raw(bed.gateway.addr(), &request, Duration::from_secs(10)).await.unwrap();
    assert!(
        String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 413 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    lives_on(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_or_no_http_are_refused() {
    let mut bed = usual().await;
    let large = format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "a".repeat(1 << 20));
    for request in [large.as_bytes(), b"HELLO\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"] {
        let answer = raw(bed.gateway.addr(), request, Duration::from_secs(2)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{answer:?}");
    }
    lives_on(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_backend_are_said_to_be_its_own() {
    let mut bed = usual().await;
    let faults = Faults { status: Some(StatusFault::code(500)), ..Faults::default() };
    bed.sim.state().set_fault("sim-small", faults);
    refused(&send(&bed, chat("chat", "Hello").to_string()).await, 500, "simulated_fault");
    bed.sim.state().set_fault("sim-small", Faults { malformed_json: true, ..Faults::default() });
    refused(&send(&bed, chat("chat", "Hello").to_string()).await, 502, "backend_broken_answer");
    bed.sim.state().set_fault("sim-small", Faults { reset_after_chunks: Some(1), ..Faults::default() });
    refused(&send(&bed, chat("chat", "Hello").to_string()).await, 502, "backend_broken_answer");
    let faults = Faults {
        status: Some(StatusFault { retry_after_s: Some(3), ..StatusFault::code(429) }),
        first: Some(1),
        ..Faults::default()
    };
    bed.sim.state().set_fault("sim-large", faults);
    let reply = send(&bed, chat("large", "Hello").to_string()).await;
    refused(&reply, 429, "rate_limit_exceeded");
    assert_eq!(reply.header("retry-after"), "3");
    bed.sim.state().clear_faults();
    lives_on(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_not_there_is_named() {
    let nobody = tollgate_tests::harness::ports::free().unwrap();
    let bed = crate::support::bed(Default::default(), |config| {
        config.backend("gone", &format!("http://{nobody}/v1")).alias("large", "gone", "sim-large")
    })
    .await;
    let message = refused(&send(&bed, chat("large", "Hello").to_string()).await, 502, "backend_unreachable");
    assert!(message.contains("`gone`"), "{message}");
    assert!(!message.contains(&nobody.to_string()), "the backend's address is nobody's business: {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_error_and_no_log() {
    let mut bed = usual().await;
    let client = bed.gateway.client("checkout");
    let secret = "a secret in the prompt 7c1b";
    for body in
        [chat("chat", secret), chat("nothing", secret), json!({ "model": "chat", "messages": secret })]
    {
        let reply = client.post(CHAT, &body).await.unwrap();
        assert!(reply.status == 200 || !reply.text().contains(secret), "{}", reply.text());
    }
    bed.gateway.anyone().bearer("a-wrong-key-91aa").post(CHAT, &chat("chat", "Hello")).await.unwrap();
    let metrics = bed.gateway.admin().get("/metrics").await.unwrap().text();
    let log = bed.gateway.service().process().log().text();
    for word in
        [secret, &keys::text("checkout"), "a-wrong-key-91aa", tollgate_tests::harness::gateway::BACKEND_KEY]
    {
        assert!(!log.contains(word) && !metrics.contains(word), "{word} is in a log or metric");
    }
}
