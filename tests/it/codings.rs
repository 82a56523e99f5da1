//! Compressed bodies, from clients and from backends.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::Method;
use serde_json::json;
use tollgate_schemas::tokens::TokenClass;
use tollgate_tests::harness::gateway::{GatewayConfig, chat, chat_stream};
use tollgate_tests::harness::upstream::{Act, Upstream, answer};

use crate::passthrough;
use crate::support::{Bed, CHAT, bed, refused, text_of, usual};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

async fn sent(bed: &Bed, coding: &str, body: Vec<u8>) -> tollgate_tests::harness::http::Reply {
    let client = bed.gateway.client("checkout").with("content-encoding", coding);
    client.send(Method::POST, CHAT, body.into()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_request_is_read_as_what_it_was() {
    let bed = usual().await;
    let body = chat("chat", "Hello");
    text_of(&sent(&bed, "gzip", gzip(body.to_string().as_bytes())).await);
    let seen = bed.sim.state().seen().pop().unwrap();
    let read: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(read["messages"], body["messages"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decoded_is_refused_with_the_reason() {
    let bed = bed(Default::default(), |config| config.set("server", json!({ "max_body": "1MiB" }))).await;
    let bomb = sent(&bed, "gzip", gzip(&vec![b' '; 8 << 20])).await;
    refused(&bomb, 413, "body_too_large");
    let broken = sent(&bed, "gzip", b"{\"model\":\"chat\"}".to_vec()).await;
    refused(&broken, 400, "invalid_content_encoding");
    let unknown = sent(&bed, "compress", b"xyz".to_vec()).await;
    let message = refused(&unknown, 415, "unsupported_content_encoding");
    assert!(message.contains("`compress`"), "{message}");
    assert_eq!(unknown.header("accept-encoding"), "gzip, deflate, br, zstd");
    assert_eq!(bed.sim.state().stats().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_passes_only_what_is_read_is_decoded() {
    let usage = json!({ "object": "chat.completion", "model": "gpt-x", "choices": [],
        "usage": { "prompt_tokens": 21, "completion_tokens": 5, "total_tokens": 26 } });
    let body = gzip(usage.to_string().as_bytes());
    let script = move |_: &_| {
        let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
        Act::Write(answer("200 OK", headers, &body))
    };
    let bed = passthrough::bed("openai", |config| config, script).await;
    let client = bed.gateway.client("checkout").with("content-encoding", "gzip");
    let text = chat("gpt-x", "Hello").to_string();
    let reply =
        client.send(Method::POST, "/api/chat/completions", gzip(text.as_bytes()).into()).await.unwrap();
    assert_eq!(reply.json(), usage, "{:?}", reply.headers);
    let seen = bed.upstream.seen().pop().unwrap();
    assert_eq!((seen.body.as_slice(), seen.all("content-encoding")), (text.as_bytes(), vec![]));

    let reply = client.send(Method::POST, "/api/other", gzip(b"any").into()).await.unwrap();
    assert_eq!(reply.header("content-encoding"), "gzip");
    let seen = bed.upstream.seen().pop().unwrap();
    assert_eq!(
        (seen.body, seen.headers.iter().any(|(name, _)| name == "content-encoding")),
        (gzip(b"any"), true)
    );

    let unknown = bed.gateway.client("checkout").with("content-encoding", "lzma");
    let reply = unknown.send(Method::POST, "/api/chat/completions", "x".into()).await.unwrap();
    refused(&reply, 415, "unsupported_content_encoding");
    let rows = bed.rows().await;
    let used = |row: &tollgate_schemas::usage::UsageEvent, class| {
        row.lines.iter().find(|line| line.class == class).map_or(0, |line| line.qty)
    };
    let metered = rows.iter().find(|row| used(row, TokenClass::Input) > 0).unwrap();
    assert_eq!((used(metered, TokenClass::Input), used(metered, TokenClass::Output)), (21, 5));
}

/// A gateway whose alias `chat` is served by a backend that compresses its answers.
async fn compressing(kind: &'static str, body: &str, coding: &'static str) -> (Bed, Upstream) {
    let body = gzip(body.as_bytes());
    let upstream = Upstream::start(move |_| {
        let headers = format!("content-type: {kind}\r\ncontent-encoding: {coding}\r\n");
        Act::Write(answer("200 OK", &headers, &body))
    })
    .await
    .unwrap();
    let url = upstream.url();
    let change = |config: GatewayConfig| {
        config.backend("raw", &url).alias("chat", "raw", "m").alias("large", "raw", "m")
    };
    (bed(Default::default(), change).await, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_compressed_unasked_reaches_the_client_as_it_was() {
    let whole = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4 } });
    let (bed, upstream) = compressing("application/json", &whole.to_string(), "gzip").await;
    let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hi")).await.unwrap();
    assert_eq!((text_of(&reply).as_str(), reply.header("content-encoding")), ("hi", ""));
    assert_eq!(upstream.seen()[0].all("accept-encoding"), ["identity"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_compressed_unasked_reaches_the_client_as_it_was() {
    let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" }] });
    let text = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    let (bed, _upstream) = compressing("text/event-stream", &text, "gzip").await;
    let client = bed.gateway.client("checkout");
    let mut stream = client.stream(CHAT, &chat_stream("chat", "Hi")).await.unwrap();
    stream.rest().await.unwrap();
    assert_eq!(String::from_utf8_lossy(stream.raw()), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_a_coding_that_nobody_reads_fails_with_its_name() {
    let (bed, _upstream) = compressing("application/json", "{}", "lzma").await;
    let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hi")).await.unwrap();
    let message = refused(&reply, 502, "backend_broken_answer");
    assert!(message.contains("`lzma`"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_compressed_for_clients_that_accept_it_where_that_is_switched_on() {
    let options = tollgate_tests::sim::Options { answer_bytes: Some(20_000), ..Default::default() };
    let bed = bed(options, |config| config.set("server", json!({ "compress_above": "4KiB" }))).await;
    let client = bed.gateway.client("checkout");
    let plain = client.post(CHAT, &chat("chat", "Hi")).await.unwrap();
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    let coded = client.clone().with("accept-encoding", "gzip").post(CHAT, &chat("chat", "Hi")).await.unwrap();
    assert_eq!(coded.header("content-encoding"), "gzip");
    assert!(coded.body.len() < plain.body.len());
    let mut text = String::new();
    GzDecoder::new(&coded.body[..]).read_to_string(&mut text).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().len() >= 20_000);
    let stream = client.with("accept-encoding", "gzip").stream(CHAT, &chat_stream("chat", "Hi")).await;
    assert!(stream.unwrap().rest().await.unwrap().len() > 1, "streams stay as they are");
}
