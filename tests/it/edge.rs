//! Where clients and backends meet the gateway: retries, counts of tokens, headers by provider, pages, browsers.

use http::Method;
use serde_json::{Value, json};
use tollgate_schemas::usage::{Operation, Outcome, UsageEvent};
use tollgate_tests::harness::gateway::{GatewayConfig, chat};
use tollgate_tests::harness::http::Client;
use tollgate_tests::harness::log;
use tollgate_tests::harness::upstream::{Act, Seen, Upstream, answer};
use tollgate_tests::sim::Options;
use tollgate_tests::sim::faults::{Faults, StatusFault};

use crate::support::{Bed, CHAT, bed, refused, usual};

/// Stops the gateway and reads what it wrote down, in the order of its ledger.
async fn rows(mut bed: Bed) -> Vec<UsageEvent> {
    bed.gateway.stop().await.unwrap();
    let path = bed.folder.path().join("gateway/log");
    let records = tokio::task::spawn_blocking(move || log::usage(&path).unwrap()).await.unwrap();
    let mut rows: Vec<UsageEvent> = records.rows().into_iter().cloned().collect();
    rows.sort_by_key(|row| row.attempt);
    rows
}

/// Two targets of which the first one fails so often with this status.
async fn failing(status: StatusFault, first: u64, more: Value) -> Bed {
    let mut model = json!({ "targets": [
        { "backend": "sim", "model": "sim-small:a", "priority": 1 },
        { "backend": "sim", "model": "sim-small:b", "priority": 2 },
    ] });
    if let (Value::Object(model), Value::Object(more)) = (&mut model, more) {
        model.extend(more);
    }
    let bed = bed(Options::default(), |config| config.set("models.chat", model)).await;
    let fault = Faults { status: Some(status), first: Some(first), ..Faults::default() };
    bed.sim.state().set_fault("sim-small:a", fault);
    bed
}

async fn asked(bed: &Bed) -> (u16, String, String) {
    let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hi")).await.unwrap();
    let told = |name: &str| reply.header(name).to_owned();
    (reply.status.as_u16(), told("x-tollgate-model"), told("x-tollgate-attempts"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_serve_a_request_is_called_again_before_the_next_one() {
    let retries = json!({ "retries": { "count": 2, "backoff": "1ms" } });
    let bed = failing(StatusFault::code(503), 2, retries).await;
    assert_eq!(asked(&bed).await, (200, "sim-small:a".to_owned(), "3".to_owned()));
    let rows = rows(bed).await;
    let seen: Vec<_> = rows.iter().map(|row| (row.attempt, &*row.call.model, row.outcome)).collect();
    let model = "sim-small:a";
    let expected =
        [(1, model, Outcome::UpstreamError), (2, model, Outcome::UpstreamError), (3, model, Outcome::Ok)];
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_end_with_their_number_and_with_the_attempts_of_the_request() {
    let retries = json!({ "retries": { "count": 1, "backoff": "1ms" } });
    let bed = failing(StatusFault::code(500), 9, retries).await;
    assert_eq!(asked(&bed).await, (200, "sim-small:b".to_owned(), "3".to_owned()));
    let both = json!({ "retries": { "count": 5, "backoff": "1ms" }, "failover": { "max_attempts": 2 } });
    let bed = failing(StatusFault::code(500), 9, both).await;
    let (status, _, attempts) = asked(&bed).await;
    assert!(status >= 500 && attempts == "2", "{status} {attempts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_wants_to_be_left_alone_for_long_is_not_called_again() {
    let retries = json!({ "retries": { "count": 3, "backoff": "1ms", "max_backoff": "2s" } });
    let busy = StatusFault { retry_after_s: Some(60), ..StatusFault::code(429) };
    let bed = failing(busy, 9, retries).await;
    assert_eq!(asked(&bed).await, (200, "sim-small:b".to_owned(), "2".to_owned()));
}

/// A gateway whose alias `claude` is served by a backend of Anthropic's format that acts by `script`.
async fn claude(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> (Bed, Upstream) {
    let upstream = Upstream::start(script).await.unwrap();
    let url = upstream.url();
    let change = |config: GatewayConfig| {
        config
            .backend("anthropic", &url)
            .set("backends.anthropic.format", json!("anthropic"))
            .alias("claude", "anthropic", "claude-sonnet-4-5")
            .product("gold", &["claude", "chat"])
    };
    (bed(Options::default(), change).await, upstream)
}

fn anthropic(bed: &Bed) -> Client {
    bed.gateway.client("checkout").with("anthropic-version", "2023-06-01")
}

fn message() -> Value {
    json!({ "model": "claude", "messages": [{ "role": "user", "content": "Hello" }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_by_the_provider_that_would_answer() {
    let count = |_: &Seen| {
        Act::Write(answer("200 OK", "content-type: application/json\r\n", b"{\"input_tokens\":1234}"))
    };
    let (bed, upstream) = claude(count).await;
    let reply = anthropic(&bed).post("/v1/messages/count_tokens", &message()).await.unwrap();
    assert_eq!(
        (reply.json(), reply.header("x-tollgate-token-count")),
        (json!({ "input_tokens": 1234 }), "provider")
    );
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.line, "POST /v1/messages/count_tokens");
    let asked: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((&asked["model"], asked.get("max_tokens")), (&json!("claude-sonnet-4-5"), None));
    let rows = rows(bed).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].outcome, rows[0].call.operation, rows[0].lines.len()),
        (Outcome::Ok, Operation::Passthrough, 0)
    );
    assert_eq!(&*rows[0].call.model_requested, "claude");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_count_leaves_it_to_the_gateway_and_its_circuit_closed() {
    let refuse = |_: &Seen| Act::Write(answer("403 Forbidden", "", b"{}"));
    let (bed, upstream) = claude(refuse).await;
    for _ in 0..10 {
        let reply = anthropic(&bed).post("/v1/messages/count_tokens", &message()).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.header("x-tollgate-token-count")), (200, "estimate"));
        assert!(reply.json()["input_tokens"].as_u64().unwrap() > 0);
    }
    assert_eq!(upstream.seen().len(), 10, "the circuit stayed closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_a_provider_reach_that_provider_alone() {
    let (bed, upstream) = claude(|_| Act::Write(answer("400 No", "", b"{}"))).await;
    let client = anthropic(&bed)
        .with("anthropic-beta", "context-1m-2025-08-07")
        .with("openai-beta", "responses=v1")
        .with("x-stainless-os", "Linux")
        .with("user-agent", "claude-cli/2.1");
    let mut body = message();
    body["max_tokens"] = json!(5);
    client.post("/v1/messages", &body).await.unwrap();
    body["model"] = json!("chat");
    assert_eq!(client.post("/v1/messages", &body).await.unwrap().status, 200);
    client.post(CHAT, &chat("claude", "Hi")).await.unwrap();
    let seen = upstream.seen();
    assert_eq!(seen[0].all("anthropic-beta"), ["context-1m-2025-08-07"]);
    assert_eq!((seen[0].all("user-agent"), seen[0].all("openai-beta")), (vec!["claude-cli/2.1"], vec![]));
    assert!(seen[1].all("user-agent")[0].starts_with("tollgate/"), "{:?}", seen[1].headers);
    assert_eq!(seen[1].all("x-stainless-os"), Vec::<&str>::new());
    let openai = bed.sim.state().seen().pop().unwrap();
    let names: Vec<&str> = openai.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        names.contains(&"openai-beta") && !names.iter().any(|name| name.starts_with("anthropic-")),
        "{names:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_of_a_backend_are_told_only_where_that_is_switched_on() {
    for on in [false, true] {
        let headers = "content-type: application/json\r\nx-ratelimit-remaining-requests: 59\r\n";
        let script =
            move |_: &Seen| Act::Write(answer("400 No", headers, b"{\"error\":{\"message\":\"no\"}}"));
        let upstream = Upstream::start(script).await.unwrap();
        let url = upstream.url();
        let change = |config: GatewayConfig| {
            config
                .backend("raw", &url)
                .alias("chat", "raw", "m")
                .set("server", json!({ "upstream_rate_headers": on }))
        };
        let bed = bed(Options::default(), change).await;
        let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hi")).await.unwrap();
        let told = reply.header("x-upstream-x-ratelimit-remaining-requests");
        assert_eq!(told, if on { "59" } else { "" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_come_in_pages_in_anthropics_form_alone() {
    let bed = usual().await;
    let page = anthropic(&bed).get("/v1/models?limit=1").await.unwrap().json();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&json!("chat"), &json!(true)));
    let next = anthropic(&bed).get("/v1/models?limit=1&after_id=chat").await.unwrap().json();
    assert_eq!((&next["first_id"], &next["has_more"]), (&json!("large"), &json!(false)));
    let wrong = anthropic(&bed).get("/v1/models?limit=0").await.unwrap();
    assert_eq!((wrong.status.as_u16(), &wrong.json()["type"]), (400, &json!("error")));
    let openai = bed.gateway.client("checkout").get("/v1/models?limit=1").await.unwrap().json();
    assert_eq!(openai["data"].as_array().unwrap().len(), 2);
}

fn preflight(bed: &Bed, origin: &str) -> Client {
    let client = bed.gateway.anyone().with("origin", origin).with("access-control-request-method", "POST");
    client.with("access-control-request-headers", "authorization, content-type")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_told_what_it_may_ask_where_its_page_is_allowed() {
    let allowed = json!({ "origins": ["https://tools.example.com"] });
    let bed = bed(Options::default(), |config| config.set("cors", allowed)).await;
    let page = preflight(&bed, "https://tools.example.com");
    let told = page.send(Method::OPTIONS, CHAT, "".into()).await.unwrap();
    assert_eq!((told.status.as_u16(), told.body.len()), (204, 0));
    assert_eq!(told.header("access-control-allow-origin"), "https://tools.example.com");
    assert_eq!(told.header("access-control-allow-methods"), "POST");
    assert_eq!(told.header("access-control-allow-headers"), "authorization, content-type");
    let other =
        preflight(&bed, "https://evil.example.com").send(Method::OPTIONS, CHAT, "".into()).await.unwrap();
    assert_eq!((other.status.as_u16(), other.header("access-control-allow-origin")), (405, ""));

    let call = bed.gateway.client("checkout").with("origin", "https://tools.example.com");
    let reply = call.post(CHAT, &chat("chat", "Hi")).await.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), "https://tools.example.com");
    let refusal = bed.gateway.anyone().with("origin", "https://tools.example.com");
    let refusal = refusal.post(CHAT, &chat("chat", "Hi")).await.unwrap();
    refused(&refusal, 401, "missing_api_key");
    assert_eq!(refusal.header("access-control-allow-origin"), "https://tools.example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_allowed_origins_nothing_is_told_to_browsers() {
    let bed = usual().await;
    let told =
        preflight(&bed, "https://tools.example.com").send(Method::OPTIONS, CHAT, "".into()).await.unwrap();
    refused(&told, 405, "method_not_allowed");
    assert_eq!(told.header("access-control-allow-origin"), "");
}
