//! Responses in the background: whatever becomes of client and gateway, each has one row with all that it used.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tollgate_schemas::usage::{Operation, Outcome, UsageEvent, UsageSource};
use tollgate_tests::harness::gateway::GatewayConfig;
use tollgate_tests::harness::http::Client;
use tollgate_tests::harness::{log, wait};

use crate::support::{Bed, bed, refused, team};

const RESPONSES: &str = "/v1/responses";

async fn kept(change: impl FnOnce(GatewayConfig) -> GatewayConfig) -> Bed {
    bed(Default::default(), |config| {
        change(
            config
                .set("backends.sim.serves_responses", json!(true))
                .alias("gpt", "sim", "gpt-4.1-mini")
                .product("kept", &["gpt"])
                .subscription(&team("research", "kept", "1")),
        )
    })
    .await
}

fn asked(fields: Value) -> Value {
    let mut body = json!({ "model": "gpt", "input": "How do refunds work?", "background": true });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Begins work; answers its path.
async fn begun(client: &Client) -> String {
    let reply = client.post(RESPONSES, &asked(json!({}))).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let response = reply.json();
    assert_eq!((&response["status"], &response["usage"]), (&json!("queued"), &Value::Null), "{response}");
    format!("{RESPONSES}/{}", response["id"].as_str().unwrap())
}

/// Waits until the gateway has settled so many answers, in whichever way.
async fn settled(bed: &Bed, how: &str) {
    let line = format!("tollgate_background_ended_total{{how=\"{how}\"}} 1");
    let admin = bed.gateway.admin();
    let probe = || {
        let (admin, line) = (admin.clone(), line.clone());
        async move { admin.get("/metrics").await.unwrap().text().contains(&line).then_some(()) }
    };
    wait::until(&line, wait::EFFECT, probe).await.unwrap();
}

/// The one row of a model's answer, after the gateway was stopped.
async fn row(bed: &mut Bed) -> UsageEvent {
    bed.gateway.stop().await.unwrap();
    let path = bed.folder.path().join("gateway/log");
    let records = tokio::task::spawn_blocking(move || log::usage(&path).unwrap()).await.unwrap();
    let rows = records.rows();
    let models: Vec<_> =
        rows.into_iter().filter(|row| row.call.operation != Operation::Passthrough).collect();
    assert_eq!(models.len(), 1, "{models:#?}");
    let others = records.rows().into_iter().filter(|row| row.call.operation == Operation::Passthrough);
    assert!(others.clone().all(|row| row.lines.is_empty()), "what was fetched is charged once");
    models[0].clone()
}

fn assert_reported(row: &UsageEvent) {
    assert_eq!((row.version, row.usage_source), (3, UsageSource::ProviderFinal), "{row:#?}");
    assert!(row.input_tokens() > 0 && row.output_tokens() > 0, "{row:#?}");
    assert_eq!((row.outcome, row.error_code.as_deref()), (Outcome::Ok, None), "{row:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_works_in_the_background_is_settled_by_the_client_that_fetches_it() {
    let mut bed = kept(|config| config).await;
    bed.sim.state().work_for(1);
    let client = bed.gateway.client("research");
    let path = begun(&client).await;
    let status = |reply: &Value| reply["status"].as_str().unwrap_or_default().to_owned();
    assert_eq!(status(&client.get(&path).await.unwrap().json()), "in_progress");
    let ended = client.get(&path).await.unwrap().json();
    assert_eq!((status(&ended), path.ends_with(ended["id"].as_str().unwrap())), ("completed".into(), true));
    assert_eq!(client.get(&path).await.unwrap().status, 200);
    settled(&bed, "completed").await;
    let row = row(&mut bed).await;
    assert_reported(&row);
    assert_eq!(row.output_tokens(), ended["usage"]["output_tokens"].as_u64().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_fetches_is_asked_for_by_the_gateway() {
    let mut bed = kept(|config| config).await;
    begun(&bed.gateway.client("research")).await;
    settled(&bed, "completed").await;
    assert_reported(&row(&mut bed).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_outlives_the_gateway_that_began_it() {
    let mut bed = kept(|config| config).await;
    bed.sim.state().work_for(u32::MAX);
    begun(&bed.gateway.client("research")).await;
    bed.gateway.kill();
    bed.gateway.restart().await.unwrap();
    bed.sim.state().work_for(0);
    settled(&bed, "completed").await;
    assert_reported(&row(&mut bed).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_cancelled_costs_its_prompt_and_is_not_asked_for_again() {
    let mut bed = kept(|config| config).await;
    bed.sim.state().work_for(u32::MAX);
    let client = bed.gateway.client("research");
    let path = begun(&client).await;
    let reply = client.send(Method::POST, &format!("{path}/cancel"), Default::default()).await.unwrap();
    assert_eq!(reply.json()["status"], "cancelled", "{} {}", reply.status, reply.text());
    settled(&bed, "cancelled").await;
    let row = row(&mut bed).await;
    assert_eq!((row.version, row.outcome, row.output_tokens()), (3, Outcome::ClientAbort, 0), "{row:#?}");
    assert!(row.input_tokens() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_never_ends_is_given_up_at_the_deadline_and_says_so() {
    let mut bed = kept(|config| config.set("responses.background.deadline", json!("3s"))).await;
    bed.sim.state().work_for(u32::MAX);
    begun(&bed.gateway.client("research")).await;
    settled(&bed, "deadline").await;
    let row = row(&mut bed).await;
    assert_eq!((row.version, row.error_code.as_deref()), (2, Some("background_deadline")), "{row:#?}");
    assert!(row.input_tokens() > 0 && row.output_tokens() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_goes_on_is_not_deleted_and_what_has_ended_is_settled_before_it_is() {
    let mut bed = kept(|config| config).await;
    bed.sim.state().work_for(u32::MAX);
    let client = bed.gateway.client("research");
    let path = begun(&client).await;
    let delete = || client.send(Method::DELETE, &path, Default::default());
    refused(&delete().await.unwrap(), 409, "response_in_progress");
    bed.sim.state().work_for(0);
    assert_eq!(delete().await.unwrap().status, 200);
    refused(&client.get(&path).await.unwrap(), 404, "response_not_found");
    let row = row(&mut bed).await;
    assert_reported(&row);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_its_work_streamed_again_gets_events_and_settles_it() {
    let mut bed = kept(|config| config).await;
    let client = bed.gateway.client("research");
    let path = begun(&client).await;
    let reply = client.get(&format!("{path}?stream=true")).await.unwrap();
    assert!(reply.header("content-type").starts_with("text/event-stream"), "{:?}", reply.headers);
    let text = reply.text();
    let id = path.rsplit('/').next().unwrap();
    assert!(text.contains("event: response.completed") && text.contains(id), "{text}");
    settled(&bed, "completed").await;
    assert_reported(&row(&mut bed).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_work_that_its_client_leaves_is_settled_when_the_work_ends() {
    let slow = tollgate_tests::sim::Options { chunk_delay: Duration::from_millis(300), ..Default::default() };
    let mut bed = bed(slow, |config| {
        config
            .set("backends.sim.serves_responses", json!(true))
            .alias("gpt", "sim", "gpt-4.1-mini")
            .product("kept", &["gpt"])
            .subscription(&team("research", "kept", "1"))
    })
    .await;
    let client = bed.gateway.client("research");
    let mut stream = client.stream(RESPONSES, &asked(json!({ "stream": true }))).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    drop(stream);
    settled(&bed, "completed").await;
    let row = row(&mut bed).await;
    assert_eq!((row.version, row.outcome), (3, Outcome::ClientAbort), "{row:#?}");
    assert!(row.output_tokens() > 0 && row.usage_source == UsageSource::ProviderFinal, "{row:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_work_that_comes_to_its_end_is_settled_by_it() {
    let mut bed = kept(|config| config).await;
    let client = bed.gateway.client("research");
    let reply = client.post(RESPONSES, &asked(json!({ "stream": true }))).await.unwrap();
    assert!(reply.text().contains("event: response.completed"), "{}", reply.text());
    let row = row(&mut bed).await;
    assert_eq!((row.version, row.usage_source), (1, UsageSource::ProviderFinal), "{row:#?}");
    assert!(row.output_tokens() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_work_has_used_is_charged_to_its_limit_when_it_ends() {
    let bed = kept(|config| config.limit("kept", 400)).await;
    let client = bed.gateway.client("research");
    let left = |at: &str| {
        let admin = bed.gateway.admin();
        let at = at.to_owned();
        async move {
            let limits = admin.get("/admin/limits").await.unwrap().json();
            limits[0]["balance"].as_i64().unwrap_or_else(|| panic!("{at}: {limits}"))
        }
    };
    let path = begun(&client).await;
    let before = left("begun").await;
    let ended = client.get(&path).await.unwrap().json();
    let output = ended["usage"]["output_tokens"].as_i64().unwrap();
    settled(&bed, "completed").await;
    let after = left("ended").await;
    // What is refilled meanwhile is a few tokens.
    assert!(output > 0 && before - after >= output - 30, "{before} - {after} for {output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_work_is_begun_than_can_be_followed() {
    let bed = kept(|config| config.set("responses.background.max_pending", json!(1))).await;
    bed.sim.state().work_for(u32::MAX);
    let client = bed.gateway.client("research");
    begun(&client).await;
    let reply = client.post(RESPONSES, &asked(json!({}))).await.unwrap();
    refused(&reply, 429, "too_many_in_background");
}
