//! SIGTERM ends the gateway, not the answers that are on their way.

use std::time::Duration;

use rustix::process::Signal;
use tollgate_schemas::usage::Outcome;
use tollgate_tests::harness::gateway::{chat, chat_stream};
use tollgate_tests::harness::wait;
use tollgate_tests::sim::Options;

use crate::support::{CHAT, bed_on_kafka};

#[tokio::test(flavor = "multi_thread")]
async fn running_streams_finish_and_new_requests_are_not_taken() {
    let options = Options {
        chunks: Some(20),
        answer_bytes: Some(200),
        chunk_delay: Duration::from_millis(100),
        ..Options::default()
    };
    let Some((mut bed, topic)) = bed_on_kafka("drain.", options, |config| config).await else { return };
    let client = bed.gateway.client("checkout");
    let mut stream = client.stream(CHAT, &chat_stream("chat", "Hello")).await.unwrap();
    stream.next().await.unwrap().unwrap();

    bed.gateway.service().process().signal(Signal::TERM).unwrap();
    let refused = || async {
        let reply = client.post(CHAT, &chat("chat", "Hello")).await;
        reply.map_or(true, |reply| reply.status == 503).then_some(())
    };
    wait::until("new requests are refused", wait::EFFECT, refused).await.unwrap();
    assert_eq!(stream.rest().await.unwrap().last().unwrap(), "[DONE]");
    let status = bed.gateway.service().process().wait(wait::EFFECT).await.unwrap();
    assert!(status.success(), "{status}");

    let records = topic.wait_for(1, wait::EFFECT).await.unwrap();
    let rows = records.rows();
    assert!(rows.iter().any(|row| row.call.stream && row.outcome == Outcome::Ok), "{rows:?}");
    assert_eq!(records.closed.len(), 1, "the end of the boot is said");
    let last = rows.iter().map(|row| row.ledger.seq).max().unwrap();
    assert_eq!(records.closed[0].last_seq, last);
}
