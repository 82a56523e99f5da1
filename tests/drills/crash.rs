//! kill -9 of the gateway amid mixed requests, and a restart on the same spool.
//!
//! Bounds: every request whose client got its whole answer has exactly one final row; no row appears twice; there
//! are no more recovered rows than requests were under way at the kills.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tollgate_schemas::ids::RequestId;
use tollgate_schemas::usage::{Outcome, VERSION_FINAL, VERSION_RECOVERED};
use tollgate_tests::harness::gateway::{BACKEND_KEY, GatewayConfig};
use tollgate_tests::harness::kafka::Kafka;
use tollgate_tests::harness::topic::{Records, UsageTopic};
use tollgate_tests::sim::{Options, Sim};

use crate::figures::{Figures, progress};
use crate::traffic::Traffic;

/// Topic prefix of this drill.
const PREFIX: &str = "crash.";

/// Runs the drill.
pub(crate) async fn run(kills: u32, connections: u32, seed: u64) -> Result<()> {
    let began = Instant::now();
    let folder = tempfile::tempdir()?;
    progress("starting Kafka, a simulated backend and the gateway");
    let kafka = Kafka::start().await?;
    let options = Options { key: Some(BACKEND_KEY.to_owned()), ..Options::default() };
    let sim = Sim::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await?;
    let config = GatewayConfig::usual(folder.path(), &sim.url())?.events(kafka.events(PREFIX));
    let mut gateway = config.start().await?;

    let traffic = Traffic::start(gateway.addr(), &["checkout"], connections, Duration::ZERO);
    let mut moments = StdRng::seed_from_u64(seed);
    let (mut in_flight, mut slowest) = (0, Duration::ZERO);
    for kill in 1..=kills {
        tokio::time::sleep(Duration::from_millis(moments.random_range(50..700))).await;
        // What had ended before is out of danger; what began before the kill was done may be under way.
        let ended = traffic.notebook().ended();
        gateway.kill();
        in_flight += traffic.notebook().begun() - ended;
        let restart = Instant::now();
        gateway.restart().await?;
        slowest = slowest.max(restart.elapsed());
        if kill % 10 == 0 || kill == kills {
            progress(format_args!("{kill} kills, {} requests", traffic.notebook().begun()));
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let notebook = traffic.stop().await;
    gateway.stop().await?;

    let complete = notebook.complete();
    let topic = UsageTopic::new(&kafka.broker(), PREFIX);
    let settled = |records: &Records| missing_final(records, &complete) == 0;
    // What is still missing after this is lost: the count below says so.
    let records = match topic.read_until(Duration::from_secs(30), settled).await {
        Ok(records) => records,
        Err(_) => topic.read().await?,
    };
    let tally = Tally::of(&records, &complete);
    Figures::default()
        .put("drill", "crash")
        .put("kills", kills)
        .put("requests", notebook.begun())
        .put("complete", complete.len())
        .put("events", records.by_id().len())
        .put("repeated", records.events.len() - records.by_id().len())
        .put("in_flight", in_flight)
        .bound("lost", tally.lost, 0)
        .bound("duplicates", tally.duplicates, 0)
        .bound("recovered", tally.recovered, in_flight)
        .bound("contradictions", tally.contradictions, 0)
        .put("slowest_restart_ms", slowest.as_millis())
        .put("seconds", began.elapsed().as_secs())
        .finish()
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Complete requests without a final row.
    lost: u64,
    /// Complete requests with more final rows than one.
    duplicates: u64,
    /// Rows that were written from an intent.
    recovered: u64,
    /// Events whose versions disagree on what may not change.
    contradictions: u64,
}

impl Tally {
    fn of(records: &Records, complete: &[RequestId]) -> Self {
        let finals = finals_by_request(records);
        let count = |request: &RequestId| finals.get(request).copied().unwrap_or(0);
        let rows = records.rows();
        let contradicting = records.by_id().into_values().filter(|versions| {
            versions.iter().any(|event| {
                event.request_id != versions[0].request_id || event.event_time_ms != versions[0].event_time_ms
            })
        });
        Self {
            lost: complete.iter().filter(|request| count(request) == 0).count() as u64,
            duplicates: complete.iter().filter(|request| count(request) > 1).count() as u64,
            recovered: rows.iter().filter(|row| row.version == VERSION_RECOVERED).count() as u64,
            contradictions: contradicting.count() as u64,
        }
    }
}

fn missing_final(records: &Records, complete: &[RequestId]) -> u64 {
    Tally::of(records, complete).lost
}

/// Final rows that went well, by request.
fn finals_by_request(records: &Records) -> BTreeMap<RequestId, u64> {
    let mut finals = BTreeMap::new();
    for row in records.rows() {
        if row.version >= VERSION_FINAL && row.outcome == Outcome::Ok {
            *finals.entry(row.request_id).or_default() += 1;
        }
    }
    finals
}
