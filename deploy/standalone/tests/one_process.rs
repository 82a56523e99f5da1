//! All services in one process: what was answered before a stop is in the report of the next start.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::net::SocketAddr;
use std::path::Path;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tollgate_accounting::config::default_library;
use tollgate_standalone::config::{Config, parse};
use tollgate_standalone::host;
use tollgate_standalone::key::Key;

/// Whether the ledger engine is there; `tests/run` insists on it.
fn engine_available() -> bool {
    let found = default_library().is_file();
    let required = std::env::var_os("TOLLGATE_REQUIRE_ENGINES").is_some();
    assert!(found || !required, "the ledger engine is missing: run deploy/setup/chdb");
    found
}

/// A model that always says the same: 3 tokens in, 5 out.
fn start_model() -> SocketAddr {
    let answer = || async {
        HttpResponse::Ok().json(json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "Hi." } }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8 },
        }))
    };
    let server = HttpServer::new(move || App::new().route("/v1/chat/completions", web::post().to(answer)));
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let addr = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    addr
}

fn config(folder: &Path, model: SocketAddr, key: &Key) -> Config {
    let text = format!(
        "
data_dir: {}
gateway:
  listen: 127.0.0.1:0
  admin_listen: 127.0.0.1:0
  workers: 1
  backends: {{ b: {{ format: openai, provider: sim, url: 'http://{model}/v1' }} }}
  models: {{ chat: {{ targets: [ {{ backend: b, model: sim-small }} ] }} }}
  products: {{ gold: {{ models: [chat] }} }}
  subscriptions:
    checkout: {{ product: gold, tags: {{ team: checkout }}, keys: [ {{ id: k, sha256: {} }} ] }}
accounting: {{ listen: '127.0.0.1:0' }}
",
        folder.display(),
        key.sha256()
    );
    parse(Path::new("test.yaml"), &text).unwrap()
}

/// One request on a connection of its own; status and body.
async fn exchange(addr: SocketAddr, head: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let request = format!("{head}Host: test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let status = answer[9..12].parse().unwrap();
    // Bodies here are one JSON object; chunk sizes around it are no part of it.
    let json = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let json = &json[json.find('{').unwrap_or(0)..json.rfind('}').map_or(0, |end| end + 1)];
    (status, serde_json::from_str(json).unwrap_or(Value::Null))
}

async fn chat(gateway: SocketAddr, key: &Key, model: &str) -> u16 {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
        key.expose()
    );
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] });
    exchange(gateway, &head, &body.to_string()).await.0
}

async fn report(accounting: SocketAddr) -> Value {
    let (status, report) = exchange(accounting, "GET /v1/reports/chargeback?by=team HTTP/1.1\r\n", "").await;
    assert_eq!(status, 200, "{report}");
    report
}

#[actix_web::test]
async fn what_was_answered_before_a_stop_is_in_the_report_after_it() {
    if !engine_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (model, key) = (start_model(), Key::generate());

    let host = host::start(config(folder.path(), model, &key)).await.unwrap();
    let gateway = host.addresses().gateway;
    for _ in 0..5 {
        assert_eq!(chat(gateway, &key, "chat").await, 200);
    }
    assert_eq!(chat(gateway, &key, "no-such-model").await, 404);
    assert_eq!(chat(gateway, &Key::generate(), "chat").await, 401);
    host.shutdown().await;
    TcpStream::connect(gateway).await.unwrap_err();

    // Nothing is called any more: what the report has now was in the ledger before the process stopped.
    let host = host::start(config(folder.path(), model, &key)).await.unwrap();
    let report = report(host.addresses().accounting).await;
    let total = &report["totals"][0];
    assert_eq!(total["requests"], 6, "{report}");
    assert_eq!(total["input_tokens"], 15, "{report}");
    assert_eq!(total["output_tokens"], 25, "{report}");
    assert_eq!(report["rows"][0]["team"], "checkout", "{report}");
    host.shutdown().await;
}

#[actix_web::test]
async fn a_missing_engine_is_named_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let text = format!(
        "{{ data_dir: '{}', accounting: {{ store: {{ embedded: {{ path: x, library: /no/such/lib.so }} }} }} }}",
        data.display()
    );
    let error = host::start(parse(Path::new("t.yaml"), &text).unwrap()).await.err().unwrap().to_string();
    assert!(error.contains("/no/such/lib.so") && error.contains("deploy/setup/chdb"), "{error}");
    assert!(!data.exists());
}
