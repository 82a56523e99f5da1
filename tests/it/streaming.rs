//! Streams pass through as they are, at once, and are paid for whoever ends them.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_schemas::usage::{Outcome, UsageSource};
use tollgate_tests::harness::gateway::{BACKEND_KEY, chat_stream};
use tollgate_tests::harness::http::Client;
use tollgate_tests::harness::wait;
use tollgate_tests::sim::Options;
use tollgate_tests::sim::faults::Faults;

use crate::support::{CHAT, bed, bed_on_kafka, chunks, records_at_the_end, usual};

#[tokio::test(flavor = "multi_thread")]
async fn events_are_relayed_byte_for_byte() {
    let options = Options { answer_bytes: Some(600), chunks: Some(20), ..Options::default() };
    let bed = bed(options, |config| config).await;
    let ask = |model: &str| {
        let mut body = chat_stream(model, "Tell me something");
        body["stream_options"] = json!({ "include_usage": true });
        body
    };
    let direct = Client::new(bed.sim.addr()).bearer(BACKEND_KEY);
    let mut expected = direct.stream(CHAT, &ask("sim-small")).await.unwrap();
    expected.rest().await.unwrap();
    let mut relayed = bed.gateway.client("checkout").stream(CHAT, &ask("chat")).await.unwrap();
    relayed.rest().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(relayed.raw()), text(expected.raw()));
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_asked_for_and_hidden_again() {
    let bed = usual().await;
    let mut stream =
        bed.gateway.client("checkout").stream(CHAT, &chat_stream("chat", "Hello")).await.unwrap();
    let events = stream.rest().await.unwrap();
    let asked: Value = serde_json::from_str(&bed.sim.state().seen().pop().unwrap().body).unwrap();
    assert_eq!(asked["stream_options"]["include_usage"], true);
    for chunk in chunks(&events) {
        assert!(chunk["usage"].is_null(), "the client did not ask for usage: {chunk}");
        assert_ne!(chunk["choices"], json!([]), "a chunk without choices: {chunk}");
    }
    assert_eq!(events.last().unwrap(), "[DONE]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_usage_gets_it() {
    let bed = usual().await;
    let mut body = chat_stream("chat", "Hello");
    body["stream_options"] = json!({ "include_usage": true });
    let events = bed.gateway.client("checkout").stream(CHAT, &body).await.unwrap().rest().await.unwrap();
    let with_usage = chunks(&events).into_iter().filter(|chunk| chunk["usage"].is_object()).count();
    assert_eq!(with_usage, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_chunk_comes_before_the_last_is_made() {
    let options = Options { chunks: Some(3), chunk_delay: Duration::from_secs(600), ..Options::default() };
    let bed = bed(options, |config| config).await;
    let mut stream =
        bed.gateway.client("checkout").stream(CHAT, &chat_stream("chat", "Hello")).await.unwrap();
    // The second chunk is ten minutes away: this returns only when nothing holds the first back.
    let first =
        tokio::time::timeout(wait::EFFECT, stream.next()).await.expect("the chunk is held back").unwrap();
    assert!(first.unwrap().contains("assistant"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_cancels_the_backend_and_is_one_row() {
    let options = Options {
        // Longer than anybody waits for the cut.
        chunks: Some(1_000),
        answer_bytes: Some(10_000),
        chunk_delay: Duration::from_millis(100),
        ..Options::default()
    };
    let Some((mut bed, topic)) = bed_on_kafka("leaves.", options, |config| config).await else { return };
    let mut stream =
        bed.gateway.client("checkout").stream(CHAT, &chat_stream("chat", "Hello")).await.unwrap();
    for _ in 0..3 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    let cut = || std::future::ready((bed.sim.state().model_stats("sim-small").aborted == 1).then_some(()));
    wait::until("the backend's stream is cut", wait::EFFECT, cut).await.unwrap();
    let records = records_at_the_end(&mut bed, &topic, 1).await;
    let rows = records.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].outcome, Outcome::ClientAbort);
    assert!(rows[0].output_tokens() > 0, "what was delivered counts: {:?}", rows[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_usage_is_measured_by_the_gateway() {
    let Some((mut bed, topic)) = bed_on_kafka("counted.", Options::default(), |config| config).await else {
        return;
    };
    bed.sim.state().set_fault("sim-small", Faults { no_usage: true, ..Faults::default() });
    let mut stream =
        bed.gateway.client("checkout").stream(CHAT, &chat_stream("chat", "Hello")).await.unwrap();
    assert_eq!(stream.rest().await.unwrap().last().unwrap(), "[DONE]");
    let records = records_at_the_end(&mut bed, &topic, 1).await;
    let row = records.rows()[0];
    assert_eq!(row.outcome, Outcome::Ok);
    // Exact counts need a model whose encoding is known; for the simulated one they are near.
    assert!(matches!(row.usage_source, UsageSource::Counted | UsageSource::Estimated), "{row:?}");
    assert!(row.input_tokens() > 0 && row.output_tokens() > 0, "{row:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_breaks_off_is_no_finished_stream() {
    let Some((mut bed, topic)) = bed_on_kafka("breaks.", Options::default(), |config| config).await else {
        return;
    };
    bed.sim.state().set_fault("sim-small", Faults { reset_after_chunks: Some(3), ..Faults::default() });
    let mut stream =
        bed.gateway.client("checkout").stream(CHAT, &chat_stream("chat", "Hello")).await.unwrap();
    let mut events = Vec::new();
    while let Ok(Some(event)) = stream.next().await {
        events.push(event);
    }
    assert!(!events.iter().any(|event| event == "[DONE]"), "a broken stream must not look whole: {events:?}");
    let records = records_at_the_end(&mut bed, &topic, 1).await;
    assert_eq!(records.rows()[0].outcome, Outcome::UpstreamError);
}
