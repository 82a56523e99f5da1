//! kill -9 of the gateway amid mixed requests, and a restart on the same spool.
//!
//! Bounds: every request whose client got its whole answer has exactly one final row; no row appears twice; there
//! are no more recovered rows than requests were under way at the kills.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tollgate_tests::harness::gateway::{BACKEND_KEY, GatewayConfig};
use tollgate_tests::harness::kafka::Kafka;
use tollgate_tests::harness::tally::Tally;
use tollgate_tests::harness::topic::UsageTopic;
use tollgate_tests::load::mixed::Traffic;
use tollgate_tests::sim::{Options, Sim};

use crate::figures::{Figures, progress};

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
    // What is still missing after this is lost: the count below says so.
    let settled =
        topic.read_until(Duration::from_secs(30), |records| Tally::of(records, &complete).lost == 0);
    let records = match settled.await {
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
