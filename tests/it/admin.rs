//! The admin pages over HTTP, and settings whose effect only a client sees.

use serde_json::{Value, json};
use tollgate_schemas::content::{CompletionEvent, PromptEvent};
use tollgate_schemas::topics::Topic;
use tollgate_schemas::usage::Outcome;
use tollgate_tests::harness::gateway::{GatewayConfig, chat, chat_stream};
use tollgate_tests::harness::upstream::{Act, answer};
use tollgate_tests::harness::{log, wait};
use tollgate_tests::sim::Options;
use tollgate_tests::sim::faults::Faults;

use crate::passthrough;
use crate::support::{Bed, CHAT, bed, refused, text_of, usual};

async fn page(bed: &Bed, path: &str) -> Value {
    let reply = bed.gateway.admin().get(path).await.unwrap();
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_tell_what_the_gateway_does() {
    let bed = bed(Options::default(), |config| config.limit("gold", 100_000)).await;
    assert_eq!(page(&bed, "/healthz").await, json!({ "alive": true }));
    assert_eq!(page(&bed, "/readyz").await, json!({ "ready": true }));
    text_of(&bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hi")).await.unwrap());

    let backends = page(&bed, "/admin/backends").await;
    let models: Vec<&str> =
        backends.as_array().unwrap().iter().map(|seen| seen["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["sim-large", "sim-small"]);
    assert!(backends.as_array().unwrap().iter().all(|seen| seen["circuit"] == "closed"), "{backends}");

    let limits = page(&bed, "/admin/limits").await.to_string();
    assert!(limits.contains("100000"), "{limits}");
    let overload = page(&bed, "/admin/overload").await;
    assert_eq!(overload["requests"]["running"], 0, "{overload}");
    let written = || async {
        let ledger = page(&bed, "/admin/ledger").await;
        (ledger["open_intents"] == 0 && ledger["refusing"] == false).then_some(())
    };
    wait::until("the call is written down", wait::EFFECT, written).await.unwrap();
    let absent = bed.gateway.admin().get("/admin/circuits").await.unwrap();
    assert_eq!(absent.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn circuits_are_opened_and_closed_by_hand_over_http() {
    let bed = usual().await;
    let (admin, client) = (bed.gateway.admin(), bed.gateway.client("checkout"));
    let opened = admin.post("/admin/backends/sim/open?model=sim-small", &json!({})).await.unwrap();
    assert_eq!((opened.status.as_u16(), &opened.json()[0]["circuit"]), (200, &json!("held")));
    refused(&client.post(CHAT, &chat("chat", "Hi")).await.unwrap(), 503, "no_backend_available");
    text_of(&client.post(CHAT, &chat("large", "Hi")).await.unwrap());
    let closed = admin.post("/admin/backends/sim/close", &json!({})).await.unwrap();
    assert_eq!(closed.json().as_array().map(Vec::len), Some(2), "{}", closed.text());
    text_of(&client.post(CHAT, &chat("chat", "Hi")).await.unwrap());
    let unknown = admin.post("/admin/backends/nobody/open", &json!({})).await.unwrap();
    assert_eq!(
        (unknown.status.as_u16(), &unknown.json()["error"]["code"]),
        (404, &json!("backend_not_found"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_alias_is_served_and_not_listed() {
    let bed = bed(Options::default(), |config| config.set("models.large.hidden", json!(true))).await;
    let client = bed.gateway.client("checkout");
    let list = client.get("/v1/models").await.unwrap().json();
    assert_eq!((list["data"].as_array().unwrap().len(), &list["data"][0]["id"]), (1, &json!("chat")));
    text_of(&client.post(CHAT, &chat("large", "Hi")).await.unwrap());
    let near = refused(&client.post(CHAT, &chat("largo", "Hi")).await.unwrap(), 404, "model_not_found");
    assert!(!near.contains("`large`"), "{near}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_below_a_base_path_of_the_operators() {
    let bed = bed(Options::default(), |config| config.set("base_path", json!("/ai/models"))).await;
    let client = bed.gateway.client("checkout");
    text_of(&client.post("/ai/models/chat/completions", &chat("chat", "Hi")).await.unwrap());
    text_of(&client.post(CHAT, &chat("chat", "Hi")).await.unwrap());
    let default = client.post("/llm/v1/chat/completions", &chat("chat", "Hi")).await.unwrap();
    refused(&default, 404, "unknown_url");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_refusals_tell_the_tightest_limit() {
    let bed = bed(Options::default(), |config| config.limit("gold", 2_000)).await;
    let client = bed.gateway.client("checkout");
    let mut small = chat("chat", "Hi");
    small["max_tokens"] = json!(100);
    let reply = client.post(CHAT, &small).await.unwrap();
    assert_eq!(reply.header("x-ratelimit-limit-tokens"), "2000");
    let remaining: u64 = reply.header("x-ratelimit-remaining-tokens").parse().unwrap();
    assert!((1..2_000).contains(&remaining), "{remaining}");
    assert!(reply.header("x-ratelimit-reset-tokens").ends_with("ms"), "{:?}", reply.headers);
    small["max_tokens"] = json!(1_950);
    let refusal = client.post(CHAT, &small).await.unwrap();
    refused(&refusal, 429, "rate_limit_exceeded");
    assert_eq!(refusal.header("x-ratelimit-limit-tokens"), "2000");
    assert!(refusal.header("x-ratelimit-remaining-tokens").parse::<u64>().unwrap() < 2_000);
    let unlimited = usual().await;
    let reply = unlimited.gateway.client("checkout").post(CHAT, &chat("chat", "Hi")).await.unwrap();
    assert!(
        !reply.headers.keys().any(|name| name.as_str().starts_with("x-ratelimit-")),
        "{:?}",
        reply.headers
    );
}

/// What stands in the content topics of a gateway after one whole answer and one stream.
async fn published(content: Value) -> (Vec<PromptEvent>, Vec<CompletionEvent>, Vec<String>) {
    let mut bed = bed(Options::default(), |config| config.set("content_events", content)).await;
    let client = bed.gateway.client("checkout");
    let whole = text_of(&client.post(CHAT, &chat("chat", "What is whole?")).await.unwrap());
    let mut stream = client.stream(CHAT, &chat_stream("chat", "What flows?")).await.unwrap();
    let chunks = crate::support::chunks(&stream.rest().await.unwrap());
    let delta =
        |chunk: &Value| chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned();
    let streamed: String = chunks.iter().map(delta).collect();
    bed.gateway.stop().await.unwrap();
    let path = bed.folder.path().join("gateway/log");
    let read =
        move || (log::events(&path, Topic::Prompt).unwrap(), log::events(&path, Topic::Completion).unwrap());
    let (prompts, completions) = tokio::task::spawn_blocking(read).await.unwrap();
    (prompts, completions, vec![whole, streamed])
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_and_answers_reach_their_topics_where_that_is_switched_on() {
    let (mut prompts, mut completions, mut texts) =
        published(json!({ "prompts": true, "completions": true })).await;
    prompts.sort_by_key(|prompt| prompt.request_id);
    let said: Vec<bool> = ["What is whole?", "What flows?"]
        .iter()
        .zip(&prompts)
        .map(|(text, prompt)| prompt.body.contains(text) && &*prompt.model_requested == "chat")
        .collect();
    assert_eq!(said, [true, true], "{prompts:?}");
    completions.sort_by(|a, b| a.text.cmp(&b.text));
    texts.sort();
    let told: Vec<&str> = completions.iter().map(|completion| completion.text.as_str()).collect();
    assert_eq!(told, texts);
    assert!(completions.iter().all(|one| prompts.iter().any(|prompt| prompt.request_id == one.request_id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_switch_no_text_leaves_the_gateway() {
    let (prompts, completions, _) = published(json!({})).await;
    assert!(prompts.is_empty() && completions.is_empty());
}

/// Tokens that fit the committed capacity of the usual alias now.
async fn free_tokens(bed: &Bed) -> u64 {
    let backends = page(bed, "/admin/backends").await;
    let of_small = backends.as_array().unwrap().iter().find(|seen| seen["model"] == "sim-small").unwrap();
    of_small["capacity"]["free_tokens"].as_u64().unwrap()
}

fn committed(config: GatewayConfig) -> GatewayConfig {
    let capacity = json!({ "tokens_per_minute": 2_000 });
    config.set("backends.sim.deployments", json!({ "sim-small": { "capacity": capacity } }))
}

fn large() -> Value {
    let mut body = chat("chat", "Hi");
    body["max_tokens"] = json!(1_500);
    body
}

async fn until_under_way(bed: &Bed, count: u64) {
    let begun = || std::future::ready((bed.sim.state().stats().traffic.under_way == count).then_some(()));
    wait::until("the calls are under way", wait::EFFECT, begun).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_over_committed_capacity_as_the_last_resort_is_charged_to_it() {
    let bed = bed(Options::default(), committed).await;
    bed.sim.state().set_fault("sim-small", Faults { latency_ms: 600_000, ..Faults::default() });
    let mut calls = Vec::new();
    for count in 1..=2 {
        let client = bed.gateway.client("checkout");
        calls.push(tokio::spawn(async move { client.post(CHAT, &large()).await }));
        until_under_way(&bed, count).await;
        let free = free_tokens(&bed).await;
        assert!(if count == 1 { (300..600).contains(&free) } else { free == 0 }, "{count}: {free}");
    }
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_waited_for_room_is_charged_to_committed_capacity() {
    let narrow = |config| committed(config).set("backends.sim.max_running", json!(1));
    let bed =
        bed(Options::default(), |config| narrow(config).set("overload", json!({ "max_wait": "60s" }))).await;
    bed.sim.state().set_fault("sim-small", Faults { latency_ms: 600_000, ..Faults::default() });
    let call = || {
        let client = bed.gateway.client("checkout");
        tokio::spawn(async move { client.post(CHAT, &large()).await })
    };
    let first = call();
    until_under_way(&bed, 1).await;
    let second = call();
    let waits = || async {
        let overload = page(&bed, "/admin/overload").await;
        (overload["backends"][0]["requests"]["waiting"] == 1).then_some(())
    };
    wait::until("the second call waits", wait::EFFECT, waits).await.unwrap();
    first.abort();
    let charged = || async {
        let one_runs = bed.sim.state().stats().requests == 2;
        (one_runs && free_tokens(&bed).await < 600).then_some(())
    };
    wait::until("the second call is charged", wait::EFFECT, charged).await.unwrap();
    second.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_operation_that_is_sent_elsewhere_costs_no_prompt() {
    let script = |_: &_| Act::Write(answer("307 Elsewhere", "location: https://elsewhere.example/\r\n", b""));
    let bed = passthrough::bed("openai", |config| config, script).await;
    let body = chat("gpt-x", &"Hello ".repeat(500));
    let reply = bed.gateway.client("checkout").post("/api/chat/completions", &body).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.header("location")), (307, "https://elsewhere.example/"));
    let rows = bed.rows().await;
    assert_eq!((rows[0].outcome, rows[0].http_status, rows[0].lines.len()), (Outcome::Ok, 307, 0));
}
