//! What a backend says with an error reaches the client, another backend makes up for what speaks of the account, and odd
//! streams are read.

use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::{Outcome, UsageEvent};
use tollgate_tests::harness::gateway::{Gateway, GatewayConfig, chat, chat_stream};
use tollgate_tests::harness::http::{Client, Reply};
use tollgate_tests::harness::upstream::{Act, Seen, Upstream, answer};
use tollgate_tests::harness::{keys, log, wait};

use crate::support::{CHAT, chunks, refused, team};

/// What a backend answers: status line, headers, body.
type Said = (&'static str, &'static str, &'static str);

const JSON: &str = "content-type: application/json\r\n";
const GOOD: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"good"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;

struct Bed {
    gateway: Gateway,
    upstream: Upstream,
    folder: TempDir,
}

/// Each case has an alias `a0`, `a1` … of one target, and an alias `b0` … of this one and a good one behind it.
async fn bed(cases: &[Said]) -> Bed {
    let script = {
        let cases = cases.to_vec();
        move |seen: &Seen| {
            let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
            let case =
                body["model"].as_str().and_then(|model| model.strip_prefix("bad")?.parse::<usize>().ok());
            let (status, headers, body) = case.map_or(("200 OK", JSON, GOOD), |case| cases[case]);
            Act::Write(answer(status, headers, body.as_bytes()))
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(script).await.unwrap();
    let mut config =
        GatewayConfig::new(folder.path()).unwrap().backend("raw", &format!("{}/v1", upstream.url()));
    let mut aliases = Vec::new();
    for case in 0..cases.len() {
        let target =
            |model: String, priority: u8| json!({ "backend": "raw", "model": model, "priority": priority });
        let (bad, good) = (target(format!("bad{case}"), 1), target("good".to_owned(), 2));
        config = config
            .set(&format!("models.a{case}"), json!({ "targets": [bad.clone()] }))
            .set(&format!("models.b{case}"), json!({ "targets": [bad, good] }));
        aliases.extend([format!("a{case}"), format!("b{case}")]);
    }
    let names: Vec<&str> = aliases.iter().map(String::as_str).collect();
    let config = config.product("gold", &names).subscription(&team("checkout", "gold", "4711"));
    Bed { gateway: config.start().await.unwrap(), upstream, folder }
}

impl Bed {
    fn anthropic(&self) -> Client {
        let key = keys::text("checkout");
        self.gateway.anyone().with("x-api-key", &key).with("anthropic-version", "2023-06-01")
    }

    async fn message(&self, alias: &str) -> Reply {
        let body =
            json!({ "model": alias, "max_tokens": 50, "messages": [{ "role": "user", "content": "Hi" }] });
        self.anthropic().post("/v1/messages", &body).await.unwrap()
    }

    async fn chat(&self, alias: &str) -> Reply {
        self.gateway.client("checkout").post(CHAT, &chat(alias, "Hi")).await.unwrap()
    }

    async fn chunks(&self, alias: &str) -> Vec<String> {
        let mut body = chat_stream(alias, "Hi");
        body["stream_options"] = json!({ "include_usage": true });
        self.gateway.client("checkout").stream(CHAT, &body).await.unwrap().rest().await.unwrap()
    }

    async fn rows(mut self) -> Vec<UsageEvent> {
        self.gateway.stop().await.unwrap();
        let path = self.folder.path().join("gateway/log");
        let records = tokio::task::spawn_blocking(move || log::usage(&path).unwrap()).await.unwrap();
        let mut rows: Vec<UsageEvent> = records.rows().into_iter().cloned().collect();
        rows.sort_by_key(|row| row.ledger.seq);
        rows
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_code_message_and_wait_of_a_failed_backend_reach_the_client() {
    let cases: [(Said, u16, u16, &str, &str, &str); 7] = [
        (
            ("503 No", "retry-after: 30\r\n", r#"{"error":{"message":"In maintenance","type":"x"}}"#),
            503,
            503,
            "backend_error",
            "In maintenance",
            "30",
        ),
        (
            ("529 No", JSON, r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#),
            503,
            529,
            "backend_error",
            "Overloaded",
            "",
        ),
        (
            ("500 No", JSON, r#"{"error":{"message":"It crashed","code":"server_error"}}"#),
            500,
            500,
            "server_error",
            "It crashed",
            "",
        ),
        (
            ("504 No", JSON, r#"{"error":{"message":"Too late","type":"timeout"}}"#),
            504,
            504,
            "backend_error",
            "Too late",
            "",
        ),
        (
            (
                "429 No",
                JSON,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            ),
            429,
            429,
            "insufficient_quota",
            "You exceeded your current quota",
            "",
        ),
        (
            (
                "429 No",
                "retry-after: 7\r\n",
                r#"{"error":{"message":"Slower","code":"rate_limit_exceeded"}}"#,
            ),
            429,
            429,
            "rate_limit_exceeded",
            "Slower",
            "7",
        ),
        (
            (
                "403 No",
                JSON,
                r#"{"error":{"message":"Country, region, or territory not supported","code":"unsupported_country_region_territory"}}"#,
            ),
            403,
            403,
            "unsupported_country_region_territory",
            "Country, region, or territory not supported",
            "",
        ),
    ];
    let bed = bed(&cases.map(|case| case.0)).await;
    for (at, (_, in_chat, in_messages, code, message, wait)) in cases.into_iter().enumerate() {
        // One that says when to come back is not asked again before.
        let reply = if at % 2 == 0 {
            bed.chat(&format!("a{at}")).await
        } else {
            bed.message(&format!("a{at}")).await
        };
        let status = if at % 2 == 0 { in_chat } else { in_messages };
        let error = reply.json()["error"].take();
        assert_eq!(
            (reply.status.as_u16(), error["code"].as_str(), error["message"].as_str()),
            (status, Some(code), Some(message)),
            "{}",
            reply.text()
        );
        assert_eq!(reply.header("retry-after"), wait, "{message}");
    }
    let overloaded = bed.message("a1").await.json();
    assert_eq!(overloaded["error"]["type"], "overloaded_error");
    assert_eq!(refused(&bed.chat("a1").await, 503, "backend_error"), "Overloaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_backend_makes_up_for_what_speaks_of_the_account_in_any_disguise() {
    let cases: [Said; 9] = [
        ("402 No", JSON, r#"{"error":{"message":"Insufficient Balance"}}"#),
        (
            "400 No",
            JSON,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
        ),
        (
            "400 No",
            JSON,
            r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***"}"#,
        ),
        ("429 No", JSON, r#"{"error":{"message":"quota","code":"insufficient_quota"}}"#),
        ("404 No", JSON, r#"{"error":{"message":"The model does not exist","code":"model_not_found"}}"#),
        (
            "413 No",
            JSON,
            r#"{"error":{"message":"Request too large for model on tokens per minute (TPM): Limit 6000","type":"tokens","code":"rate_limit_exceeded"}}"#,
        ),
        ("200 OK", JSON, r#"{"error":{"message":"Rate limit exceeded","code":429}}"#),
        (
            "200 OK",
            JSON,
            r#"{"choices":[{"finish_reason":"error","error":{"code":502,"message":"x"},"message":{"content":""}}]}"#,
        ),
        (
            "200 OK",
            JSON,
            r#"{"object":"error","message":"engine died","type":"InternalServerError","code":500}"#,
        ),
    ];
    let bed = bed(&cases).await;
    for (at, case) in cases.iter().enumerate() {
        for reply in [bed.chat(&format!("b{at}")).await, bed.message(&format!("b{at}")).await] {
            assert_eq!(
                (reply.status.as_u16(), reply.header("x-tollgate-model")),
                (200, "good"),
                "{:?}",
                case
            );
        }
    }
    // Whom the gateway owes money is no concern of its clients.
    for at in 0..3 {
        let message = refused(&bed.chat(&format!("a{at}")).await, 502, "backend_credentials");
        assert!(!message.contains("alance") && !message.contains("xa*"), "{message}");
    }
    let told = bed.chat("a6").await;
    assert_eq!(
        (told.status.as_u16(), &told.json()["error"]["message"]),
        (429, &json!("Rate limit exceeded"))
    );
    assert_eq!(bed.chat("a7").await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_speaks_of_the_backend_opens_its_circuit() {
    let country = r#"{"error":{"message":"Country, region, or territory not supported","code":"unsupported_country_region_territory"}}"#;
    let credit = r#"{"error":{"message":"Your credit balance is too low","type":"invalid_request_error"}}"#;
    let bed = bed(&[("403 No", JSON, country), ("400 No", JSON, credit)]).await;
    for _ in 0..8 {
        assert_eq!(bed.chat("a0").await.status, 403);
    }
    let told: Vec<String> = {
        let mut told = Vec::new();
        for _ in 0..8 {
            told.push(bed.chat("a1").await.json()["error"]["code"].as_str().unwrap().to_owned());
        }
        told
    };
    assert_eq!((&*told[0], &*told[7]), ("backend_credentials", "no_backend_available"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_is_too_long_is_told_in_the_clients_words() {
    let length = r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.","type":"BadRequestError","code":400}}"#;
    let bed = bed(&[("400 No", JSON, length)]).await;
    refused(&bed.chat("a0").await, 400, "context_length_exceeded");
    let reply = bed.message("b0").await.json();
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("prompt is too long: 9000 tokens > 8192 maximum"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_errs_before_its_first_word_is_made_up_for() {
    let events = "content-type: text/event-stream\r\n";
    let bed = bed(&[
        ("200 OK", events, "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\ndata: {\"error\":{\"message\":\"busy\",\"code\":503}}\n\n"),
        ("200 OK", events, "data: {\"object\":\"error\",\"message\":\"engine died\",\"code\":500}\n\n"),
        ("200 OK", events, "data: {\"error\":{\"message\":\"This model's maximum context length is 8192 tokens\",\"code\":400}}\n\n"),
    ])
    .await;
    for alias in ["b0", "b1"] {
        assert!(bed.chunks(alias).await.concat().contains("good"), "{alias}");
    }
    let reply = bed.gateway.client("checkout").post(CHAT, &chat_stream("a0", "Hi")).await.unwrap();
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["message"]), (503, &json!("busy")));
    let reply = bed.gateway.client("checkout").post(CHAT, &chat_stream("b2", "Hi")).await.unwrap();
    refused(&reply, 400, "context_length_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_whole_answers_are_told_as_they_were_asked_for() {
    let said = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"good\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n\ndata: [DONE]\n\n";
    let bed = bed(&[
        ("200 OK", "content-type: text/plain\r\n", said),
        ("200 OK", "", said),
        ("200 OK", JSON, said),
        ("200 OK", JSON, GOOD),
        ("200 OK", "content-type: text/event-stream\r\n", said),
    ])
    .await;
    for at in 0..4 {
        let events = bed.chunks(&format!("a{at}")).await;
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{at}");
        let chunks = chunks(&events);
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"].as_str().unwrap_or("assistant"), "assistant");
        assert!(chunks.iter().any(|chunk| chunk["choices"][0]["delta"]["content"] == "good"), "{events:?}");
        assert!(chunks.iter().any(|chunk| chunk["usage"]["prompt_tokens"] == 7), "{events:?}");
    }
    for at in [0, 1, 2, 4] {
        let reply = bed.chat(&format!("a{at}")).await;
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "good", "{}", reply.text());
        let reply = bed.message(&format!("a{at}")).await;
        assert_eq!(reply.json()["content"][0]["text"], "good", "{}", reply.text());
    }
    for row in bed.rows().await {
        let lines: Vec<_> = row.lines.iter().map(|line| (line.class, line.qty)).collect();
        assert_eq!(
            (row.outcome, &*lines),
            (Outcome::Ok, &[(TokenClass::Input, 7), (TokenClass::Output, 3)][..])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_frame_and_the_real_reason_are_read() {
    let events = "content-type: text/event-stream\r\n";
    let bed = bed(&[
        ("200 OK", events, "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"\"}]}\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n"),
        ("200 OK", events, "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"\"}]}\n\n"),
    ])
    .await;
    let stream = |alias: &str| {
        json!({ "model": alias, "max_tokens": 50, "stream": true,
        "messages": [{ "role": "user", "content": "Hello, who are you?" }] })
    };
    let mut told = bed.anthropic().stream("/v1/messages", &stream("a0")).await.unwrap();
    let events: Vec<Value> =
        told.rest().await.unwrap().iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let delta = events.iter().find(|event| event["type"] == "message_delta").unwrap();
    assert_eq!(
        (&delta["delta"]["stop_reason"], &delta["usage"]["output_tokens"]),
        (&json!("max_tokens"), &json!(3))
    );
    let counted = events[0]["message"]["usage"]["input_tokens"].as_u64().unwrap();
    assert!((5..40).contains(&counted), "the gateway counts the prompt: {counted}");
    let native = bed.chunks("a0").await;
    assert_eq!(chunks(&native).last().unwrap()["usage"]["prompt_tokens"], 7);
    let cut = bed.chunks("a1").await;
    assert!(cut.last().unwrap().contains("backend_broken_answer"), "{cut:?}");
    let rows = bed.rows().await;
    let seen: Vec<_> = rows.iter().map(|row| (row.outcome, row.lines.first().map(|line| line.qty))).collect();
    assert_eq!(seen[..2], [(Outcome::Ok, Some(7)), (Outcome::Ok, Some(7))]);
    assert_eq!(seen[2].0, Outcome::UpstreamError);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_what_the_provider_said_and_no_secret() {
    let said = r#"{"error":{"message":"Incorrect API key provided: sk-proj-abc1234567890","code":"invalid_api_key"}}"#;
    let mut bed = bed(&[("401 No", JSON, said)]).await;
    refused(&bed.chat("a0").await, 502, "backend_credentials");
    let log = bed.gateway.service().process().log().clone();
    let said = || std::future::ready(log.find("attempt failed"));
    let line = wait::until("the log says it", wait::EFFECT, said).await.unwrap();
    let log = log.text();
    assert!(
        line.contains("401") && line.contains("invalid_api_key") && line.contains("provided: ***"),
        "{line}"
    );
    assert!(!log.contains("sk-proj"), "{line}");
    assert_eq!(bed.upstream.seen().len(), 1);
}
