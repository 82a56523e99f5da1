//! Images, audio and moderations: relayed as they are, routed and metered like everything else.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::{Operation, Outcome, UsageEvent};
use tollgate_tests::harness::gateway::{Gateway, GatewayConfig};
use tollgate_tests::harness::http::raw;
use tollgate_tests::harness::upstream::{Act, Seen, Upstream, answer};
use tollgate_tests::harness::{keys, log};

use crate::support::{refused, team};

struct Bed {
    gateway: Gateway,
    upstream: Upstream,
    folder: TempDir,
}

/// Alias `paint` is `gpt-image-x` at a backend of these answers.
async fn bed(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(script).await.unwrap();
    let config = GatewayConfig::new(folder.path())
        .unwrap()
        .backend("raw", &format!("{}/v1", upstream.url()))
        .alias("paint", "raw", "gpt-image-x")
        .product("gold", &["paint"])
        .subscription(&team("checkout", "gold", "4711"));
    Bed { gateway: config.start().await.unwrap(), upstream, folder }
}

impl Bed {
    async fn rows(mut self) -> Vec<UsageEvent> {
        self.gateway.stop().await.unwrap();
        let path = self.folder.path().join("gateway/log");
        let records = tokio::task::spawn_blocking(move || log::usage(&path).unwrap()).await.unwrap();
        let mut rows: Vec<UsageEvent> = records.rows().into_iter().cloned().collect();
        rows.sort_by_key(|row| row.ledger.seq);
        rows
    }

    /// Posts a form and gives status and body.
    async fn form(&self, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
             content-type: multipart/form-data; boundary=\"b 1\"\r\ncontent-length: {}\r\n\r\n",
            keys::text("checkout"),
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        let limit = std::time::Duration::from_secs(20);
        let answer = raw(self.gateway.addr(), &request, limit).await.unwrap();
        let end = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }
}

fn json_answer(body: &Value) -> Act {
    Act::Write(answer("200 OK", "content-type: application/json\r\n", body.to_string().as_bytes()))
}

fn lines(row: &UsageEvent) -> Vec<(TokenClass, u64)> {
    row.lines.iter().map(|line| (line.class, line.qty)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_relayed_and_their_tokens_written_down() {
    let made = json!({ "created": 1, "data": [{ "b64_json": "AAAA" }], "usage": { "input_tokens": 12,
        "output_tokens": 300, "total_tokens": 312, "input_tokens_details": { "text_tokens": 12, "image_tokens": 0 } } });
    let shown = made.clone();
    let bed = bed(move |_| json_answer(&made)).await;
    let body = r#"{"prompt":"a cat", "model" : "paint" ,"n":1,"own":[1, 2]}"#;
    let client = bed.gateway.client("checkout");
    for base in ["/v1", "/llm/v1", "/openai/v1"] {
        let path = format!("{base}/images/generations");
        let reply = client.send(Method::POST, &path, Bytes::from_static(body.as_bytes())).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.json()), (200, shown.clone()), "{}", reply.text());
        assert_eq!((reply.header("x-tollgate-backend"), reply.header("x-tollgate-attempts")), ("raw", "1"));
    }
    let seen = bed.upstream.seen().remove(0);
    assert_eq!(seen.line, "POST /v1/images/generations");
    assert_eq!(String::from_utf8(seen.body).unwrap(), body.replace("\"paint\"", "\"gpt-image-x\""));
    let rows = bed.rows().await;
    assert_eq!(rows.len(), 3);
    let call = &rows[0].call;
    assert_eq!((call.operation, &*call.api_format), (Operation::Image, "openai.images.generations"));
    assert_eq!((&*call.model_requested, &*call.model), ("paint", "gpt-image-x"));
    assert_eq!(lines(&rows[0]), [(TokenClass::Input, 12), (TokenClass::Output, 300)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_keeps_every_byte_but_the_models_name() {
    let bed =
        bed(|_| json_answer(&json!({ "text": "hello", "usage": { "type": "duration", "seconds": 2 } })))
            .await;
    let file: Vec<u8> = (0..200_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let form = |model: &str| {
        let mut body = b"--b 1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
                         Content-Type: audio/wav\r\n\r\n"
            .to_vec();
        body.extend_from_slice(&file);
        body.extend_from_slice(
            format!(
                "\r\n--b 1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b 1--\r\n"
            )
            .as_bytes(),
        );
        body
    };
    let (status, body) = bed.form("/v1/audio/transcriptions", &form("paint")).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let seen = bed.upstream.seen().remove(0);
    assert_eq!(seen.line, "POST /v1/audio/transcriptions");
    assert_eq!(seen.all("content-type"), ["multipart/form-data; boundary=\"b 1\""]);
    assert!(seen.body == form("gpt-image-x"));
    let (status, _) = bed.form("/v1/audio/transcriptions", &form("nobody")).await;
    assert_eq!(status, 404);
    let rows = bed.rows().await;
    assert_eq!((rows[0].call.operation, lines(&rows[0])), (Operation::Audio, vec![(TokenClass::Request, 1)]));
    assert_eq!(rows[1].outcome, Outcome::Rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_could_be_read_in_two_ways_reaches_no_backend() {
    let bed = bed(|_| json_answer(&json!({}))).await;
    let field = |name: &str, text: &str| {
        format!("--b 1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    let twice = format!("{}{}--b 1--\r\n", field("model", "paint"), field("model", "secret"));
    let none = format!("{}--b 1--\r\n", field("prompt", "x"));
    for body in [twice, none, field("model", "paint"), "nothing".to_owned()] {
        let (status, answer) = bed.form("/v1/images/edits", body.as_bytes()).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("invalid_body")), "{body}");
    }
    assert!(bed.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_comes_back_as_bytes_and_streams_as_events() {
    let audio: Vec<u8> = (0..50_000_u32).map(|at| (at % 256) as u8).collect();
    let sound = audio.clone();
    let events = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AA\"}\n\n\
                  data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":4,\"output_tokens\":9,\"total_tokens\":13}}\n\n";
    let script = move |seen: &Seen| {
        if memchr::memmem::find(&seen.body, b"sse").is_some() {
            return Act::Write(answer("200 OK", "content-type: text/event-stream\r\n", events.as_bytes()));
        }
        Act::Write(answer("200 OK", "content-type: audio/mpeg\r\nx-own: 1\r\n", &sound))
    };
    let bed = bed(script).await;
    let client = bed.gateway.client("checkout");
    let mut body = json!({ "model": "paint", "input": "hello", "voice": "v" });
    let reply = client.post("/v1/audio/speech", &body).await.unwrap();
    assert!(reply.body == audio && reply.header("content-type") == "audio/mpeg", "{:?}", reply.headers);
    assert_eq!(reply.header("x-own"), "");
    body["stream_format"] = json!("sse");
    let reply = client.post("/v1/audio/speech", &body).await.unwrap();
    assert_eq!(reply.text(), events);
    let rows = bed.rows().await;
    assert_eq!(lines(&rows[0]), [(TokenClass::Request, 1)]);
    assert_eq!(lines(&rows[1]), [(TokenClass::Input, 4), (TokenClass::Output, 9)]);
    assert!(rows[1].call.stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn moderations_fail_over_like_everything_else() {
    let broken = Upstream::start(|_| Act::Write(answer("500 Oh", "", b"{}"))).await.unwrap();
    let good = Upstream::start(|_| json_answer(&json!({ "results": [{ "flagged": false }] }))).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = |backend, priority| json!({ "backend": backend, "model": "mod-x", "priority": priority });
    let gateway = GatewayConfig::new(folder.path())
        .unwrap()
        .backend("broken", &broken.url())
        .backend("good", &good.url())
        .set("models.guard", json!({ "targets": [target("broken", 1), target("good", 2)] }))
        .product("gold", &["guard"])
        .subscription(&team("checkout", "gold", "4711"))
        .start()
        .await
        .unwrap();
    let client = gateway.client("checkout");
    let reply = client.post("/v1/moderations", &json!({ "model": "guard", "input": "x" })).await.unwrap();
    assert_eq!(reply.json()["results"][0]["flagged"], false, "{}", reply.text());
    assert_eq!((reply.header("x-tollgate-attempts"), reply.header("x-tollgate-backend")), ("2", "good"));
    let missing = client.post("/v1/moderations", &json!({ "input": "x" })).await.unwrap();
    assert!(refused(&missing, 400, "invalid_body").contains("`model` is missing"));
    let bed = Bed { gateway, upstream: good, folder };
    let rows = bed.rows().await;
    let outcomes: Vec<_> = rows.iter().map(|row| (row.call.operation, row.outcome)).collect();
    let expected = [Outcome::UpstreamError, Outcome::Ok, Outcome::Rejected];
    assert_eq!(outcomes, expected.map(|outcome| (Operation::Moderation, outcome)));
}

#[tokio::test(flavor = "multi_thread")]
async fn images_without_tokens_are_counted_and_refusals_of_the_backend_told() {
    let script = |seen: &Seen| {
        if memchr::memmem::find(&seen.body, b"forbidden").is_some() {
            let body =
                br#"{"error":{"message":"no","type":"invalid_request_error","code":"content_policy"}}"#;
            return Act::Write(answer("400 Bad Request", "content-type: application/json\r\n", body));
        }
        json_answer(&json!({ "created": 1, "data": [{ "url": "a" }, { "url": "b" }] }))
    };
    let bed = bed(script).await;
    let client = bed.gateway.client("checkout");
    let paint = |prompt| json!({ "model": "paint", "prompt": prompt, "n": 2 });
    assert_eq!(client.post("/v1/images/generations", &paint("cats")).await.unwrap().status, 200);
    let no = client.post("/v1/images/generations", &paint("forbidden")).await.unwrap();
    assert_eq!((no.status.as_u16(), &no.json()["error"]["code"]), (400, &json!("content_policy")));
    let rows = bed.rows().await;
    assert_eq!(lines(&rows[0]), [(TokenClass::Image, 2)]);
    assert_eq!((rows[1].outcome, rows[1].http_status), (Outcome::UpstreamError, 400));
}
