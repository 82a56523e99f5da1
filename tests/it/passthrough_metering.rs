//! What passes through is charged and limited, however it is spelled and whatever its backend reports.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::{Outcome, UsageSource};
use tollgate_tests::harness::gateway::GatewayConfig;
use tollgate_tests::harness::keys;
use tollgate_tests::harness::upstream::{Act, Seen, answer};

use crate::passthrough::{bed, lines};
use crate::support::refused;

#[tokio::test(flavor = "multi_thread")]
async fn limits_on_tokens_hold_for_what_passes() {
    let limited = |config: GatewayConfig| config.limit("gold", 100);
    let usage = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "x" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500 } });
    let body = usage.to_string();
    let script =
        move |_: &Seen| Act::Write(answer("200 OK", "content-type: application/json\r\n", body.as_bytes()));
    let bed = bed("openai", limited, script).await;
    let client = bed.gateway.client("checkout");
    let first = client.post("/api/chat/completions", &json!({ "model": "m" })).await.unwrap();
    assert_eq!(first.status, 200, "{}", first.text());
    refused(&client.get("/api/anything").await.unwrap(), 429, "rate_limit_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_call_is_limited_however_its_path_is_spelled_and_whether_or_not_its_use_is_reported() {
    let text = "word ".repeat(400);
    let unreported = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }] });
    let body = unreported.to_string();
    for path in ["/api/chat/%63ompletions", "/api/chat/completions/", "/api/chat%2Fcompletions"] {
        let body = body.clone();
        let script = move |_: &Seen| {
            Act::Write(answer("200 OK", "content-type: application/json\r\n", body.as_bytes()))
        };
        let bed = bed("openai", |config: GatewayConfig| config.limit("gold", 100), script).await;
        let client = bed.gateway.client("checkout");
        let first = client.post(path, &json!({ "model": "m" })).await.unwrap();
        assert_eq!(first.status, 200, "{path}: {}", first.text());
        refused(&client.post(path, &json!({ "model": "m" })).await.unwrap(), 429, "rate_limit_exceeded");
        let mut rows = bed.rows().await;
        rows.sort_by_key(|row| row.ledger.seq);
        let used = lines(&rows[0]);
        assert_eq!(
            used.iter().map(|(class, _)| *class).collect::<Vec<_>>(),
            [TokenClass::Input, TokenClass::Output]
        );
        assert!(used[1].1 >= 300, "{path}: {used:?}");
        assert_eq!(rows[0].usage_source, UsageSource::Estimated, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_servers_read_in_different_ways_or_that_are_not_listed_are_refused() {
    let listed = |config: GatewayConfig| {
        config.set(
            "apis.api",
            json!({ "path": "/api", "backend": "raw", "allow": ["/files/*", "/chat/completions"] }),
        )
    };
    let bed = bed("openai", listed, |_| Act::Write(answer("200 OK", "", b""))).await;
    let client = bed.gateway.client("checkout");
    for path in ["/api/files//a", "/api/files/a;x", "/api/files/a%00"] {
        refused(&client.get(path).await.unwrap(), 400, "invalid_path");
    }
    refused(&client.get("/api/batches").await.unwrap(), 404, "unknown_url");
    assert!(bed.upstream.seen().is_empty());
    assert_eq!(client.get("/api/files/a").await.unwrap().status, 200);
    assert_eq!(bed.upstream.seen()[0].line, "GET /base/files/a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_before_its_call_was_sent_pays_nothing() {
    // It takes connections and does not answer the TLS handshake.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let black_hole = move |config: GatewayConfig| config.set("backends.raw.url", json!(url));
    let bed = bed("openai", black_hole, |_| Act::Stall(Vec::new())).await;
    let request = format!(
        "POST /api/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {}\r\n\
         content-length: 13\r\n\r\n{{\"model\":\"m\"}}",
        keys::text("checkout")
    );
    let mut socket = tokio::net::TcpStream::connect(bed.gateway.addr()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let _taken = silent.accept().await.unwrap();
    drop(socket);
    let rows = bed.rows().await;
    assert_eq!((rows[0].outcome, lines(&rows[0])), (Outcome::ClientAbort, Vec::new()));
    assert_eq!(rows[0].usage_source, UsageSource::None);
}
