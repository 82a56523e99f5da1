//! APIs of backends pass through unchanged, and what they use is written down.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::{Operation, Outcome, UsageEvent, UsageSource};
use tollgate_tests::harness::gateway::{BACKEND_KEY, Gateway, GatewayConfig};
use tollgate_tests::harness::http::raw;
use tollgate_tests::harness::upstream::{Act, Seen, Upstream, answer};
use tollgate_tests::harness::{keys, log};

use crate::support::{refused, team};

/// A gateway with one API in front of a backend.
pub(crate) struct Bed {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    folder: TempDir,
}

/// API `api` below `/api` in product gold, to a backend of this format.
pub(crate) async fn bed(
    format: &str,
    change: impl FnOnce(GatewayConfig) -> GatewayConfig,
    script: impl Fn(&Seen) -> Act + Send + Sync + 'static,
) -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(script).await.unwrap();
    let config = GatewayConfig::new(folder.path())
        .unwrap()
        .backend("raw", &format!("{}/base", upstream.url()))
        .set("backends.raw.format", json!(format))
        .set("apis.api", json!({ "path": "/api", "backend": "raw" }))
        .set("products.gold", json!({ "models": [], "apis": ["api"] }))
        .product("bare", &[])
        .subscription(&team("checkout", "gold", "4711"))
        .subscription(&team("search", "bare", "4712"));
    let gateway = change(config).start().await.unwrap();
    Bed { gateway, upstream, folder }
}

impl Bed {
    /// Stops the gateway and reads what it wrote down.
    pub(crate) async fn rows(mut self) -> Vec<UsageEvent> {
        self.gateway.stop().await.unwrap();
        let path = self.folder.path().join("gateway/log");
        let records = tokio::task::spawn_blocking(move || log::usage(&path).unwrap()).await.unwrap();
        records.rows().into_iter().cloned().collect()
    }

    /// Sends one request as it stands, with the key, and gives all bytes of the answer.
    async fn raw(&self, line: &str, headers: &str, body: &[u8]) -> (String, Vec<u8>) {
        let key = keys::text("checkout");
        let head = format!(
            "{line} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\nconnection: close\r\n{headers}\r\n"
        );
        let request = [head.as_bytes(), body].concat();
        split(&raw(self.gateway.addr(), &request, Duration::from_secs(20)).await.unwrap())
    }
}

fn split(bytes: &[u8]) -> (String, Vec<u8>) {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {bytes:?}"));
    (String::from_utf8_lossy(&bytes[..end]).to_lowercase(), bytes[end + 4..].to_vec())
}

pub(crate) fn lines(row: &UsageEvent) -> Vec<(TokenClass, u64)> {
    row.lines.iter().map(|line| (line.class, line.qty)).collect()
}

/// Bytes of every value, not compressible into a text.
fn binary(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 256) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_verb_query_and_body_reach_the_backend_as_they_are_and_any_path_in_one_spelling() {
    let bed = bed("openai", |config| config, |_| Act::Write(answer("200 OK", "", b"fine"))).await;
    let body = binary(300_000);
    let length =
        format!("content-length: {}\r\ncontent-type: application/x-own\r\nx-a: 1\r\nx-a: 2\r\n", body.len());
    for verb in ["POST", "PUT", "PATCH", "DELETE", "REPORT"] {
        let (head, got) = bed.raw(&format!("{verb} /api/a%2fb/%63/?q=1&q=%20"), &length, &body).await;
        assert!(head.starts_with("http/1.1 200"), "{verb}: {head}");
        assert_eq!(got, b"fine");
    }
    for seen in bed.upstream.seen() {
        assert!(seen.line.ends_with(" /base/a%2Fb/c/?q=1&q=%20"), "{}", seen.line);
        assert!(seen.body == body && seen.complete, "{}", seen.line);
        assert_eq!(seen.all("x-a"), ["1", "2"]);
        assert_eq!(seen.all("content-type"), ["application/x-own"]);
        assert_eq!(seen.all("content-length"), ["300000"]);
        assert_eq!(seen.all("transfer-encoding"), [""; 0]);
    }
    let (_, _) = bed.raw("GET /api", "", b"").await;
    assert_eq!(bed.upstream.seen().last().unwrap().line, "GET /base");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_is_streamed_and_arrives_whole() {
    let bed = bed("openai", |config| config, |_| Act::Write(answer("200 OK", "", b""))).await;
    let body = b"4\r\nab\r\n\r\n3\r\ncde\r\n0\r\n\r\n";
    let (head, _) = bed.raw("POST /api/x", "transfer-encoding: chunked\r\n", body).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let seen = &bed.upstream.seen()[0];
    assert_eq!((seen.body.as_slice(), seen.complete), (&b"ab\r\ncde"[..], true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_larger_than_the_bound_is_streamed_and_not_held() {
    let small = |config: GatewayConfig| {
        config.set("server.max_body", json!("64KiB")).set("overload.max_memory", json!("128KiB"))
    };
    let bed = bed("openai", small, |_| Act::Write(answer("200 OK", "", b""))).await;
    let body = Bytes::from(binary(5 << 20));
    let reply = bed.gateway.client("checkout").send(Method::POST, "/api/upload", body.clone()).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(bed.upstream.seen()[0].body == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_the_gateway_stay_and_those_of_the_backend_go() {
    let own = |config: GatewayConfig| config.set("backends.raw.headers", json!({ "x-plan": "gold" }));
    let bed = bed("openai", own, |_| Act::Write(answer("200 OK", "", b""))).await;
    let key = keys::text("checkout");
    let headers = format!(
        "api-key: {key}\r\nx-api-key: other\r\ncookie: a=1\r\nx-debug: {key}\r\nte: trailers\r\n\
         keep-alive: timeout=5\r\nx-forwarded-for: 10.1.1.1\r\naccept-encoding: br\r\n"
    );
    bed.raw("GET /api/x", &headers, b"").await;
    let seen = bed.upstream.seen().remove(0);
    assert_eq!(seen.all("authorization"), [format!("Bearer {BACKEND_KEY}")]);
    assert_eq!(seen.all("cookie"), ["a=1"]);
    assert_eq!(seen.all("x-plan"), ["gold"]);
    assert_eq!(seen.all("accept-encoding"), ["br"]);
    assert_eq!(seen.all("host"), [bed.upstream.url().strip_prefix("http://").unwrap()]);
    for name in ["api-key", "x-api-key", "x-debug", "te", "keep-alive", "x-forwarded-for", "connection"] {
        assert_eq!(seen.all(name), [""; 0], "{name}");
    }
    assert!(seen.headers.iter().all(|(_, value)| !value.contains(&key)), "{:?}", seen.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_back_unchanged() {
    let script = |seen: &Seen| {
        let body = binary(100_000);
        Act::Write(match seen.line.rsplit('/').next().unwrap() {
            "binary" => answer("200 OK", "content-encoding: gzip\r\nx-b: 1\r\nx-b: 2\r\n", &body),
            "empty" => answer("201 Created", "location: http://elsewhere/\r\n", b""),
            "gone" => b"HTTP/1.1 204 No Content\r\nx-own: 1\r\n\r\n".to_vec(),
            "same" => b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 7\r\n\r\n".to_vec(),
            "head" => b"HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n".to_vec(),
            "moved" => answer("307 Temporary Redirect", "location: /there\r\n", b"m"),
            "interim" => {
                [b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec(), answer("200 OK", "", b"after")]
                    .concat()
            }
            "chunked" => {
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\n\
                           3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                    .to_vec()
            }
            "refused" => answer("418 I'm a teapot", "x-request-id: theirs\r\n", b"\xff no"),
            _ => b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec(),
        })
    };
    let bed = bed("openai", |config| config, script).await;
    let (head, body) = bed.raw("GET /api/binary", "", b"").await;
    assert!(body == binary(100_000), "{head}");
    assert!(head.contains("content-encoding: gzip") && head.contains("content-length: 100000"), "{head}");
    assert!(head.contains("x-b: 1\r\n") && head.contains("x-b: 2"), "{head}");
    let (head, body) = bed.raw("POST /api/empty", "content-length: 0\r\n", b"").await;
    assert!(
        head.starts_with("http/1.1 201") && head.contains("content-length: 0") && body.is_empty(),
        "{head}"
    );
    assert!(head.contains("location: http://elsewhere/"), "{head}");
    let (head, body) = bed.raw("DELETE /api/gone", "", b"").await;
    assert!(
        head.starts_with("http/1.1 204") && body.is_empty() && !head.contains("content-length"),
        "{head}"
    );
    let (head, body) = bed.raw("GET /api/same", "", b"").await;
    assert!(head.starts_with("http/1.1 304") && head.contains("etag: \"a\"") && body.is_empty(), "{head}");
    assert!(head.contains("content-length: 7"), "{head}");
    let (head, body) = bed.raw("HEAD /api/head", "", b"").await;
    assert!(head.contains("content-length: 12345") && body.is_empty(), "{head}");
    let (head, body) = bed.raw("GET /api/moved", "", b"").await;
    assert!(head.starts_with("http/1.1 307") && head.contains("location: /there") && body == b"m", "{head}");
    let (head, body) = bed.raw("GET /api/interim", "", b"").await;
    assert!(head.starts_with("http/1.1 200") && body == b"after", "{head}");
    let (head, body) = bed.raw("GET /api/refused", "", b"").await;
    assert!(head.starts_with("http/1.1 418") && body == b"\xff no", "{head}");
    assert!(head.contains("x-request-id: theirs") && head.contains("x-tollgate-request-id: "), "{head}");
    for (path, expected) in [("chunked", "abcde"), ("closed", "until the end")] {
        let reply = bed.gateway.client("checkout").get(&format!("/api/{path}")).await.unwrap();
        assert_eq!(reply.text(), expected);
        assert!(reply.headers.get("x-hop").is_none());
    }
    let rows = bed.rows().await;
    let outcomes = rows.iter().map(|row| (row.http_status, row.outcome)).collect::<Vec<_>>();
    assert_eq!(outcomes.len(), 10);
    assert!(outcomes.contains(&(418, Outcome::UpstreamError)), "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Ok).count(), 9, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_metered_by_request_and_bytes() {
    let bed = bed("openai", |config| config, |_| Act::Write(answer("200 OK", "", b"12345"))).await;
    let client = bed.gateway.client("checkout");
    client.send(Method::PUT, "/api/files/a", Bytes::from_static(b"abc")).await.unwrap();
    let rows = bed.rows().await;
    let expected = [(TokenClass::Request, 1), (TokenClass::RequestBytes, 3), (TokenClass::AnswerBytes, 5)];
    assert_eq!(lines(&rows[0]), expected);
    let call = &rows[0].call;
    assert_eq!((call.operation, &*call.api_format), (Operation::Passthrough, "passthrough"));
    assert_eq!((&*call.model_requested, &*call.backend, &*call.model), ("api", "raw", ""));
    assert_eq!(rows[0].usage_source, UsageSource::Counted);
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_read_along_where_the_format_is_known() {
    let stream = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":\
         [{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n\
         data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[],\
         \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\ndata: [DONE]\n\n";
    let whole = json!({ "id": "e", "object": "list", "model": "embed-x", "data": [],
        "usage": { "prompt_tokens": 9, "total_tokens": 9 } });
    let (events, vectors) = (stream.to_owned(), whole.to_string());
    let script = move |seen: &Seen| {
        Act::Write(if seen.line.ends_with("/embeddings") {
            answer("200 OK", "content-type: application/json\r\n", vectors.as_bytes())
        } else {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            format!("{head}{:x}\r\n{events}\r\n0\r\n\r\n", events.len()).into_bytes()
        })
    };
    let bed = bed("openai", |config| config, script).await;
    let client = bed.gateway.client("checkout").with("accept-encoding", "gzip");
    let body = json!({ "model": "gpt-x", "stream": true, "messages": [] });
    let reply = client.post("/api/chat/completions", &body).await.unwrap();
    assert_eq!(reply.text(), stream);
    let reply = client.post("/api/embeddings", &json!({ "model": "embed-x", "input": "a" })).await.unwrap();
    assert_eq!(reply.json(), whole);
    assert_eq!(bed.upstream.seen()[0].all("accept-encoding"), ["identity"]);
    let mut rows = bed.rows().await;
    rows.sort_by_key(|row| row.ledger.seq);
    assert_eq!(lines(&rows[0]), [(TokenClass::Input, 3), (TokenClass::Output, 2)]);
    assert_eq!(
        (&*rows[0].call.model, rows[0].call.operation, rows[0].call.stream),
        ("gpt-x", Operation::Chat, true)
    );
    assert_eq!(lines(&rows[1]), [(TokenClass::Embedding, 9)]);
    assert_eq!((&*rows[1].call.model, rows[1].call.operation), ("embed-x", Operation::Embeddings));
    assert!(rows.iter().all(|row| row.usage_source == UsageSource::ProviderFinal));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_bedrock_are_signed_with_their_body_and_named_after_their_path() {
    let signed = |config: GatewayConfig| {
        config.set("server.max_body", json!("1KiB")).set(
            "backends.raw.credentials",
            json!({ "aws_sigv4": { "region": "eu-central-1", "service": "bedrock",
                "access_key_id": "${secret:env:TOLLGATE_TEST_BACKEND_KEY}",
                "secret_access_key": "${secret:env:TOLLGATE_TEST_BACKEND_KEY}" } }),
        )
    };
    let usage = json!({ "output": { "message": { "role": "assistant", "content": [{ "text": "hi" }] } },
        "stopReason": "end_turn", "usage": { "inputTokens": 8, "outputTokens": 3, "totalTokens": 11 },
        "metrics": { "latencyMs": 1 } });
    let body = usage.to_string();
    let script =
        move |_: &Seen| Act::Write(answer("200 OK", "content-type: application/json\r\n", body.as_bytes()));
    let bed = bed("bedrock", signed, script).await;
    let path = "/api/model/us.amazon.nova-pro-v1%3A0/converse";
    let (head, _) = bed
        .raw(
            &format!("POST {path}"),
            "content-length: 2\r\nx-amz-date: 20200101T000000Z\r\nx-amz-security-token: theirs\r\n",
            b"{}",
        )
        .await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let seen = bed.upstream.seen().remove(0);
    assert!(seen.all("authorization")[0].starts_with("AWS4-HMAC-SHA256 Credential="), "{:?}", seen.headers);
    assert!(seen.all("x-amz-date").len() == 1 && seen.all("x-amz-date")[0] != "20200101T000000Z");
    assert_eq!((seen.all("x-amz-security-token"), seen.body.as_slice()), (vec![], &b"{}"[..]));
    let large = bed.gateway.client("checkout").send(Method::POST, path, binary(2_000).into()).await.unwrap();
    assert_eq!((large.status.as_u16(), &large.json()["code"]), (413, &json!("body_too_large")));
    assert_eq!(large.header("x-amzn-errortype"), "ValidationException");
    let mut rows = bed.rows().await;
    rows.sort_by_key(|row| row.ledger.seq);
    assert_eq!(&*rows[0].call.model, "us.amazon.nova-pro-v1:0");
    assert_eq!(lines(&rows[0]), [(TokenClass::Input, 8), (TokenClass::Output, 3)]);
    assert_eq!((rows[1].outcome, rows[1].error_code.as_deref()), (Outcome::Rejected, Some("body_too_large")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_the_product_lacks_is_like_a_path_that_does_not_exist() {
    let bed = bed("openai", |config| config, |_| Act::Write(answer("200 OK", "", b""))).await;
    refused(&bed.gateway.client("search").get("/api/x").await.unwrap(), 404, "unknown_url");
    refused(&bed.gateway.client("checkout").get("/apix").await.unwrap(), 404, "unknown_url");
    refused(&bed.gateway.anyone().get("/api/x").await.unwrap(), 401, "missing_api_key");
    for path in ["/api/../secret", "/api/%2E%2e/secret", "/api/a%2F..%2F..%2Fsecret"] {
        let (head, _) = bed.raw(&format!("GET {path}"), "", b"").await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
    }
    assert!(bed.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_path_wins_and_the_model_api_comes_first() {
    let other = Upstream::start(|_| Act::Write(answer("200 OK", "", b"deep"))).await.unwrap();
    let url = other.url();
    let deeper = move |config: GatewayConfig| {
        config
            .backend("deep", &url)
            .set("apis.deep", json!({ "path": "/api/deep", "backend": "deep" }))
            .set("apis.v1", json!({ "path": "/v1", "backend": "deep" }))
            .set("products.gold.apis", json!(["api", "deep", "v1"]))
    };
    let bed = bed("openai", deeper, |_| Act::Write(answer("200 OK", "", b"shallow"))).await;
    let client = bed.gateway.client("checkout");
    assert_eq!(client.get("/api/deep/x").await.unwrap().text(), "deep");
    assert_eq!(client.get("/api/deeper").await.unwrap().text(), "shallow");
    assert_eq!(client.get("/v1/files").await.unwrap().text(), "deep");
    assert_eq!(client.get("/v1/models").await.unwrap().json()["object"], "list");
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_and_tracing_are_refused_and_offers_of_http2_are_not() {
    let bed = bed("openai", |config| config, |_| Act::Write(answer("200 OK", "", b"fine"))).await;
    let headers = "upgrade: websocket\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let (head, body) = bed.raw("GET /api/socket", headers, b"").await;
    assert!(head.starts_with("http/1.1 501"), "{head}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"]["code"], "upgrade_not_supported");
    let (head, _) = bed.raw("TRACE /api/x", "", b"").await;
    assert!(head.starts_with("http/1.1 405"), "{head}");
    assert!(bed.upstream.seen().is_empty());
    let (head, body) = bed.raw("GET /api/x", "upgrade: h2c\r\n", b"").await;
    assert!(head.starts_with("http/1.1 200") && body == b"fine", "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_takes_its_call_with_it_and_is_written_down() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    let bed = bed("openai", |config| config, move |_| Act::Stall(head.clone())).await;
    let request = format!(
        "GET /api/slow HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {}\r\n\r\n",
        keys::text("checkout")
    );
    let mut socket = tokio::net::TcpStream::connect(bed.gateway.addr()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"half") {
        assert!(tokio::io::AsyncReadExt::read_buf(&mut socket, &mut got).await.unwrap() > 0);
    }
    drop(socket);
    bed.upstream.until_gone(1).await.unwrap();
    let rows = bed.rows().await;
    assert_eq!(rows[0].outcome, Outcome::ClientAbort);
    assert_eq!(lines(&rows[0]), [(TokenClass::Request, 1), (TokenClass::AnswerBytes, 4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_its_client_breaks_off_never_looks_whole_to_the_backend() {
    let bed = bed("openai", |config| config, |_| Act::Write(answer("200 OK", "", b""))).await;
    for headers in ["content-length: 100", "transfer-encoding: chunked"] {
        let body = if headers.ends_with("chunked") { "4\r\nhalf\r\n" } else { "half" };
        let request = format!(
            "POST /api/up HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {}\r\n{headers}\r\n\r\n{body}",
            keys::text("checkout")
        );
        let mut socket = tokio::net::TcpStream::connect(bed.gateway.addr()).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        drop(socket);
    }
    bed.upstream.until_gone(2).await.unwrap();
    assert!(bed.upstream.seen().iter().all(|seen| !seen.complete), "{:?}", bed.upstream.seen());
    let rows = bed.rows().await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.outcome == Outcome::ClientAbort), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_or_stalls_is_cut_and_counts_against_the_backend() {
    let impatient = |config: GatewayConfig| {
        config.set("backends.raw.timeouts", json!({ "idle": "200ms", "first_byte": "300ms" }))
    };
    let script = |seen: &Seen| match seen.line.rsplit('/').next().unwrap() {
        "cut" => Act::Write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()),
        "stall" => Act::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()),
        _ => Act::Stall(Vec::new()),
    };
    let bed = bed("openai", impatient, script).await;
    for path in ["cut", "stall"] {
        let (head, body) = bed.raw(&format!("GET /api/{path}"), "", b"").await;
        assert!(head.contains("content-length: 10") && body == b"half", "{path}: {head} {body:?}");
    }
    refused(&bed.gateway.client("checkout").get("/api/silent").await.unwrap(), 504, "backend_timeout");
    let mut rows = bed.rows().await;
    rows.sort_by_key(|row| row.ledger.seq);
    let codes: Vec<_> = rows.iter().map(|row| row.error_code.as_deref().unwrap()).collect();
    assert_eq!(codes, ["backend_broken_answer", "backend_timeout", "backend_timeout"]);
    assert!(rows.iter().all(|row| row.outcome == Outcome::UpstreamError));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_open_the_circuit_of_the_whole_api() {
    let strict = |config: GatewayConfig| {
        config.set(
            "backends.raw.circuit",
            json!({ "consecutive_failures": 2, "ratio": null, "open_for": "5m" }),
        )
    };
    let bed = bed("openai", strict, |_| Act::Write(answer("500 Oh", "", b"no"))).await;
    let client = bed.gateway.client("checkout");
    let mut last = client.get("/api/x").await.unwrap();
    for _ in 0..100 {
        last = client.get("/api/x").await.unwrap();
        if last.status == 503 {
            break;
        }
        assert_eq!((last.status.as_u16(), last.text().as_str()), (500, "no"));
    }
    refused(&last, 503, "no_backend_available");
    let backends = bed.gateway.admin().get("/admin/backends").await.unwrap().json();
    assert_eq!(backends.as_array().map(Vec::len), Some(1), "{backends}");
    let seen = &backends[0];
    assert_eq!(
        (&seen["backend"], &seen["model"], &seen["circuit"]),
        (&json!("raw"), &json!("*"), &json!("open"))
    );
    assert_eq!(seen["cause"]["rule"], "consecutive_failures", "{seen}");
}
