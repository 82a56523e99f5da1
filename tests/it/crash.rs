//! kill -9 in the middle of 200 mixed requests.

use std::time::Duration;

use tollgate_tests::harness::tally::Tally;
use tollgate_tests::harness::wait;
use tollgate_tests::load::mixed::Traffic;
use tollgate_tests::sim::Options;

use crate::support::bed_on_kafka;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_loses_and_doubles_nothing() {
    let Some((mut bed, topic)) = bed_on_kafka("crash.", Options::default(), |config| config).await else {
        return;
    };
    let traffic = Traffic::start(bed.gateway.addr(), &["checkout"], 16, Duration::ZERO);
    let reached = |count: u64| {
        let notebook = traffic.notebook();
        move || std::future::ready((notebook.begun() >= count).then_some(()))
    };
    wait::until("100 requests were sent", wait::EFFECT, reached(100)).await.unwrap();
    let ended = traffic.notebook().ended();
    bed.gateway.kill();
    let in_flight = traffic.notebook().begun() - ended;
    bed.gateway.restart().await.unwrap();
    let again = traffic.notebook().begun() + 100;
    wait::until("100 more were sent", wait::EFFECT, reached(again)).await.unwrap();
    let notebook = traffic.stop().await;
    bed.gateway.stop().await.unwrap();

    let complete = notebook.complete();
    assert!(
        complete.len() >= 100,
        "{} requests were answered: {:?}",
        complete.len(),
        notebook.first_failure()
    );
    let settled = topic.read_until(wait::EFFECT, |records| Tally::of(records, &complete).lost == 0);
    let tally = Tally::of(&settled.await.unwrap(), &complete);
    assert_eq!((tally.lost, tally.duplicates, tally.contradictions), (0, 0, 0));
    assert!(tally.recovered <= in_flight, "{} recovered of {in_flight} in flight", tally.recovered);
}
