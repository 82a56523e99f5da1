//! Kafka stops under load, and comes back on the same data.
//!
//! Bounds: no request fails; every event arrives afterwards, in one version.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use tollgate_tests::harness::gateway::{BACKEND_KEY, GatewayConfig};
use tollgate_tests::harness::kafka::Kafka;
use tollgate_tests::harness::topic::UsageTopic;
use tollgate_tests::load::mixed::Traffic;
use tollgate_tests::sim::{Options, Sim};

use crate::figures::{Figures, progress};
/// Topic prefix of this drill.
const PREFIX: &str = "kafka-down.";
/// Load before and after the outage.
const AROUND: Duration = Duration::from_secs(3);
/// Requests at a time.
const CONNECTIONS: u32 = 16;

/// Runs the drill.
pub(crate) async fn run(outage: Duration, rate: u32) -> Result<()> {
    let began = Instant::now();
    let folder = tempfile::tempdir()?;
    progress("starting Kafka, a simulated backend and the gateway");
    let mut kafka = Kafka::start().await?;
    let options = Options { key: Some(BACKEND_KEY.to_owned()), ..Options::default() };
    let sim = Sim::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await?;
    let config = GatewayConfig::usual(folder.path(), &sim.url())?.events(kafka.events(PREFIX));
    let mut gateway = config.start().await?;

    let pause = Duration::from_secs(1) * CONNECTIONS / rate.max(1);
    let traffic = Traffic::start(gateway.addr(), &["checkout"], CONNECTIONS, pause);
    tokio::time::sleep(AROUND).await;
    let before = traffic.notebook().begun();
    progress(format_args!("stopping Kafka for {} s after {before} requests", outage.as_secs()));
    kafka.stop().await?;
    tokio::time::sleep(outage).await;
    let during = traffic.notebook().begun() - before;
    progress(format_args!("starting Kafka again; {during} requests meanwhile"));
    kafka.start_again().await?;
    let back = Instant::now();
    tokio::time::sleep(AROUND).await;
    let notebook = traffic.stop().await;

    let topic = UsageTopic::new(&kafka.broker(), PREFIX);
    let expected = usize::try_from(notebook.begun())?;
    let limit = outage * 2 + Duration::from_secs(60);
    let records = match topic.wait_for(expected, limit).await {
        Ok(records) => records,
        Err(_) => topic.read().await?,
    };
    let drained = back.elapsed();
    gateway.stop().await?;
    if let Some(failure) = notebook.first_failure() {
        progress(format_args!("the first failure: {failure}"));
    }
    let arrived = records.by_id().len();
    Figures::default()
        .put("drill", "kafka-down")
        .put("outage_s", outage.as_secs())
        .put("requests", notebook.begun())
        .put("requests_during_outage", during)
        .bound("failed", notebook.failed(), 0)
        .put("events", arrived)
        .bound("lost", expected.saturating_sub(arrived) as u64, 0)
        .bound("unexpected", arrived.saturating_sub(expected) as u64, 0)
        .put("repeated", records.events.len() - arrived)
        .put("drained_s", drained.as_secs())
        .put("seconds", began.elapsed().as_secs())
        .finish()
}
