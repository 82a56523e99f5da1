//! Input that is wrong on purpose, at every ingress: a clear error in the caller's own form, and bounded memory.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tollgate_tests::harness::http::Reply;

use super::{anthropic, bed_of_every_format};
use crate::support::{Bed, CHAT, text_of};

/// Most resident memory of a gateway that is treated badly, KiB.
const MOST_KIB: u64 = 400 << 10;

/// An ingress: its path, and where its conversation stands.
struct Ingress {
    path: &'static str,
    field: &'static str,
    anthropic: bool,
}

const INGRESSES: [Ingress; 4] = [
    Ingress { path: CHAT, field: "messages", anthropic: false },
    Ingress { path: "/v1/completions", field: "prompt", anthropic: false },
    Ingress { path: "/v1/responses", field: "input", anthropic: false },
    Ingress { path: "/v1/messages", field: "messages", anthropic: true },
];

impl Ingress {
    async fn send(&self, bed: &Bed, body: impl Into<Bytes>) -> Reply {
        let client = if self.anthropic { anthropic(bed) } else { bed.gateway.client("checkout") };
        client.send(Method::POST, self.path, body.into()).await.unwrap()
    }

    fn body(&self, alias: &str, conversation: &Value) -> String {
        let most = if self.field == "input" { "max_output_tokens" } else { "max_tokens" };
        json!({ "model": alias, most: 50, self.field: conversation }).to_string()
    }

    /// Asserts a refusal with this status in the ingress's own form.
    fn refused(&self, reply: &Reply, what: &str) {
        let said = format!("{} {what}: {} {}", self.path, reply.status, reply.text());
        assert!(reply.status.is_client_error(), "{said}");
        let body = reply.json();
        let error = &body["error"];
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{said}");
        assert!(error["type"].is_string(), "{said}");
        assert_eq!(body["type"] == "error", self.anthropic, "{said}");
        assert!(!reply.header("x-request-id").is_empty(), "{said}");
    }
}

/// The most memory that a process ever had, KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Asserts that the gateway still answers, never panicked, and kept its memory.
async fn lives_on(bed: &mut Bed) {
    let body = json!({ "model": "chat", "messages": [{ "role": "user", "content": "Are you there?" }] });
    text_of(&bed.gateway.client("checkout").post(CHAT, &body).await.unwrap());
    let log = bed.gateway.service().process().log().text();
    assert!(!log.contains("panicked"), "{log}");
    let peak = peak_kib(bed.gateway.pid());
    assert!(peak < MOST_KIB, "{peak} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_types_and_broken_texts_are_refused_in_the_words_of_each_format() {
    let mut bed = bed_of_every_format().await;
    for ingress in &INGRESSES {
        for alias in ["claude", "nova", "gemini"] {
            for wrong in [json!(7), json!({ "role": "user" }), json!([[1, true]]), json!(null)] {
                let reply = ingress.send(&bed, ingress.body(alias, &wrong)).await;
                ingress.refused(&reply, &format!("{alias} {wrong}"));
            }
        }
        for broken in [
            &b""[..],
            b"{",
            b"null",
            b"[]",
            b"{\"model\":{}}",
            b"{\"model\":\"chat\",\"\xff\xfe\":1}",
            b"{\"model\":\"claude\",\"messages\":\"\xc3\x28\"}",
        ] {
            let reply = ingress.send(&bed, broken).await;
            ingress.refused(&reply, &String::from_utf8_lossy(broken));
        }
    }
    lives_on(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_of_a_thousand_levels_is_refused_wherever_it_stands() {
    let mut bed = bed_of_every_format().await;
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    for ingress in &INGRESSES {
        for alias in ["chat", "claude", "nova", "gemini"] {
            let body = format!(r#"{{"model":"{alias}","max_tokens":9,"{}":{deep}}}"#, ingress.field);
            ingress.refused(&ingress.send(&bed, body).await, &format!("deep for {alias}"));
        }
    }
    lives_on(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_of_ten_thousand_messages_are_answered() {
    let mut bed = bed_of_every_format().await;
    let turns: Vec<Value> = (0..10_000)
        .map(|number| {
            let role = if number % 2 == 0 { "user" } else { "assistant" };
            json!({ "role": role, "content": format!("turn {number}") })
        })
        .chain([json!({ "role": "user", "content": "And now?" })])
        .collect();
    for ingress in INGRESSES.iter().filter(|ingress| ingress.field != "prompt") {
        for alias in ["chat", "claude", "nova", "gemini"] {
            let reply = ingress.send(&bed, ingress.body(alias, &json!(turns))).await;
            assert_eq!(reply.status, 200, "{} {alias}: {}", ingress.path, reply.text());
        }
    }
    lives_on(&mut bed).await;
}
