//! The spool fills its own volume while Kafka is away.
//!
//! Bounds: from then on requests are refused with the code that says why; once Kafka is back the gateway serves again
//! by itself, without a restart; every request that was answered is in the ledger, once. Needs the right to mount a
//! small tmpfs, and is skipped without it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tollgate_tests::harness::gateway::{BACKEND_KEY, Gateway, GatewayConfig, chat};
use tollgate_tests::harness::http::Reply;
use tollgate_tests::harness::kafka::Kafka;
use tollgate_tests::harness::tally::Tally;
use tollgate_tests::harness::topic::UsageTopic;
use tollgate_tests::harness::wait;
use tollgate_tests::load::mixed::Traffic;
use tollgate_tests::sim::{Options, Sim};

use crate::figures::{Figures, progress};

/// Topic prefix of this drill.
const PREFIX: &str = "volume.";
/// What a refusal says.
const REFUSED: &str = "ledger_unavailable";
/// Longest time until the volume is full, and until the gateway serves again.
const LIMIT: Duration = Duration::from_secs(180);
/// Requests at a time.
const CONNECTIONS: u32 = 16;

/// Runs the drill.
pub(crate) async fn run(mib: u32) -> Result<()> {
    let began = Instant::now();
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("gateway").join("data");
    let Some(_volume) = Volume::mount(&data, mib)? else {
        progress("SKIPPED: no tmpfs can be mounted here");
        return Figures::default().put("drill", "volume").put("skipped", true).finish();
    };
    progress("starting Kafka, a simulated backend and the gateway");
    let mut kafka = Kafka::start().await?;
    let options = Options { key: Some(BACKEND_KEY.to_owned()), ..Options::default() };
    let sim = Sim::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await?;
    let config = GatewayConfig::usual(folder.path(), &sim.url())?.events(kafka.events(PREFIX));
    // The volume is full long before the spool has what it may have; segments are half of the volume.
    let config = config.set("spool.max_size", json!(format!("{}MiB", mib * 4)));
    let mut gateway = config.start().await?;

    progress(format_args!("stopping Kafka; the spool has {mib} MiB"));
    let traffic = Traffic::start(gateway.addr(), &["checkout"], CONNECTIONS, Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(1)).await;
    kafka.stop().await?;
    let refusal = asked_until(&gateway, "the spool is full", |reply| reply.status != 200).await?;
    let filled = began.elapsed();
    let code = refusal.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
    progress(format_args!("refused with {} {code}; starting Kafka again", refusal.status));
    tokio::time::sleep(Duration::from_secs(5)).await;
    kafka.start_again().await?;
    let back = Instant::now();
    asked_until(&gateway, "the gateway serves again", |reply| reply.status == 200).await?;
    let recovered = back.elapsed();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let notebook = traffic.stop().await;

    let complete = notebook.complete();
    let topic = UsageTopic::new(&kafka.broker(), PREFIX);
    let settled = topic.read_until(LIMIT, |records| Tally::of(records, &complete).lost == 0);
    let records = match settled.await {
        Ok(records) => records,
        Err(_) => topic.read().await?,
    };
    gateway.stop().await?;
    let tally = Tally::of(&records, &complete);
    Figures::default()
        .put("drill", "volume")
        .put("mib", mib)
        .put("complete", complete.len())
        .put("refused", notebook.failed())
        .put("code", &code)
        .bound("unclear_refusals", u64::from(refusal.status != 503 || code != REFUSED), 0)
        .bound("lost", tally.lost, 0)
        .bound("duplicates", tally.duplicates, 0)
        .put("filled_after_s", filled.as_secs())
        .put("served_again_after_ms", recovered.as_millis())
        .put("seconds", began.elapsed().as_secs())
        .finish()
}

/// Asks again and again until an answer is as it should be.
async fn asked_until(gateway: &Gateway, what: &str, enough: impl Fn(&Reply) -> bool) -> Result<Reply> {
    let client = gateway.client("checkout");
    let ask = || async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let reply = client.post("/v1/chat/completions", &chat("chat", "are you there?")).await.ok()?;
        enough(&reply).then_some(reply)
    };
    wait::until(what, LIMIT, ask).await
}

/// A small volume in memory; gone when this is dropped.
struct Volume(PathBuf);

impl Volume {
    /// `None` without the right to mount it.
    fn mount(at: &Path, mib: u32) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output()?;
        if !mounted.status.success() {
            progress(String::from_utf8_lossy(&mounted.stderr).trim());
            return Ok(None);
        }
        ensure!(at.is_dir(), "the volume is not there");
        Ok(Some(Self(at.to_owned())))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: the gateway may still have files open when the drill has failed.
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            progress(format_args!("{} is still mounted", self.0.display()));
        }
    }
}
