//! Tokens per minute, for each subscription apart.

use serde_json::json;
use tollgate_schemas::usage::Outcome;
use tollgate_tests::harness::gateway::chat;
use tollgate_tests::sim::Options;

use crate::support::{CHAT, bed_on_kafka, records_at_the_end, refused, team, text_of};

/// Tokens a minute in these tests.
const LIMIT: u64 = 400;

fn question() -> serde_json::Value {
    let mut body = chat("chat", "How do limits work?");
    body["max_tokens"] = json!(60);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_comes_429_until_there_is_room_and_others_are_not_touched() {
    let made = bed_on_kafka("limit.", Options::default(), |config| {
        config.limit("gold", LIMIT).subscription(&team("search", "gold", "4712"))
    });
    let Some((mut bed, topic)) = made.await else { return };
    let client = bed.gateway.client("checkout");
    let mut answered = 0;
    let refusal = loop {
        let reply = client.post(CHAT, &question()).await.unwrap();
        if reply.status == 429 {
            break reply;
        }
        text_of(&reply);
        answered += 1;
        assert!(answered < 50, "the limit of {LIMIT} tokens never held");
    };
    assert!(answered >= 2, "{answered} answers fitted into {LIMIT} tokens");
    let message = refused(&refusal, 429, "rate_limit_exceeded");
    assert!(message.contains(&LIMIT.to_string()), "{message}");
    let wait_s: u64 = refusal.header("retry-after").parse().expect("Retry-After in seconds");
    assert!((1..=60).contains(&wait_s), "{wait_s}");

    let other = bed.gateway.client("search").post(CHAT, &question()).await.unwrap();
    text_of(&other);
    assert_eq!(bed.sim.state().stats().requests, answered + 1, "a refused request went to the backend");

    let records = records_at_the_end(&mut bed, &topic, usize::try_from(answered).unwrap() + 2).await;
    let rejected =
        records.rows().into_iter().filter(|row| row.outcome == Outcome::Rejected).collect::<Vec<_>>();
    assert_eq!(rejected.len(), 1, "a refusal is a row");
    assert_eq!(rejected[0].error_code.as_deref(), Some("rate_limit_exceeded"));
    assert_eq!(rejected[0].lines.iter().map(|line| line.qty).sum::<u64>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_can_never_fit_is_told_so() {
    let bed = crate::support::bed(Options::default(), |config| config.limit("gold", LIMIT)).await;
    let body = chat("chat", &"How do limits work? ".repeat(500));
    let reply = bed.gateway.client("checkout").post(CHAT, &body).await.unwrap();
    refused(&reply, 429, "request_exceeds_limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_reserved_and_not_used_comes_back() {
    let bed = crate::support::bed(Options { answer_bytes: Some(40), ..Options::default() }, |config| {
        config.limit("gold", LIMIT)
    })
    .await;
    // Each reserves more than half of the limit and uses about 30 tokens: only refunds let four pass.
    for _ in 0..4 {
        let mut body = question();
        body["max_tokens"] = json!(LIMIT / 2 + 20);
        text_of(&bed.gateway.client("checkout").post(CHAT, &body).await.unwrap());
    }
}
