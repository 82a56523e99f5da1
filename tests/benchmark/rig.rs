//! Everything that runs during the bench, and where.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_tests::harness::gateway::{BACKEND_KEY, BACKEND_KEY_ENV, Gateway, GatewayConfig};
use tollgate_tests::harness::install::binary;
use tollgate_tests::harness::kafka::{Kafka, Kind};
use tollgate_tests::harness::process::Process;
use tollgate_tests::harness::{keys, ports, wait};

use crate::ledger::Ledger;
use crate::{nginx, process_stat, table};

/// Gateway keys, used in turn.
const KEYS: usize = 10_000;
/// Subscriptions that the keys belong to; each has a limit of its own.
const SUBSCRIPTIONS: usize = 100;

/// A simulated backend and the proxies' way to it.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Its alias at the gateway.
    pub(crate) alias: &'static str,
    /// Itself.
    pub(crate) direct: SocketAddr,
    /// Through nginx.
    pub(crate) nginx: SocketAddr,
    _process: Process,
}

/// What is measured, and what it is measured with.
pub(crate) struct Rig {
    /// By [`BACKENDS`].
    pub(crate) backends: Vec<Backend>,
    /// The gateway, on core 0.
    pub(crate) gateway: Gateway,
    /// nginx, on core 0.
    pub(crate) nginx: Process,
    /// Keys of the gateway and of nginx.
    pub(crate) keys: Vec<String>,
    /// Events that arrived.
    pub(crate) ledger: Ledger,
    /// Resident memory of the gateway before any request, bytes.
    pub(crate) idle_rss_bytes: u64,
    /// Which Kafka takes the events.
    pub(crate) kafka_kind: Kind,
    /// Requests to the gateway so far.
    pub(crate) sent: usize,
    /// Of these, without an event when it was last counted.
    pub(crate) missing: usize,
    _kafka: Kafka,
    _folder: TempDir,
}

/// Alias and options of each simulated backend.
const BACKENDS: [(&str, &[&str]); 3] = [
    ("plain", &["--answer-bytes", "1024"]),
    ("chunks", &["--answer-bytes", "1000", "--chunks", "200"]),
    ("idle", &["--answer-bytes", "1500", "--chunks", "300", "--chunk-delay-ms", "100", "--stamp"]),
];

impl Rig {
    /// Starts everything.
    pub(crate) async fn start() -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        ensure!(
            cores == 1,
            "start the bench through tests/bench: it must be pinned to one core, and has {cores}"
        );
        let folder = tempfile::Builder::new().prefix("tollgate-bench-").tempdir()?;
        table::progress("starting Kafka, the simulated backends, nginx and the gateway");
        let kafka = Kafka::start().await?;
        if kafka.kind() == Kind::StandIn {
            table::progress("WARNING: usage events go to the stand-in of noida-db and not to Apache Kafka");
        }
        let keys = (0..KEYS).map(|number| keys::text(&number.to_string())).collect::<Vec<_>>();
        let mut backends = Vec::new();
        for (alias, options) in BACKENDS {
            let (direct, process) = start_sim(options).await?;
            backends.push(Backend { alias, direct, nginx: ports::free()?, _process: process });
        }
        let routes = backends.iter().map(|backend| (backend.nginx, backend.direct)).collect::<Vec<_>>();
        let nginx = nginx::start(&folder.path().join("nginx"), &keys, BACKEND_KEY, &routes).await?;
        let gateway = gateway_config(&folder, &backends, &keys, kafka.events("bench."))?;
        let gateway = gateway.start_wrapped(&["taskset", "-c", "0"]).await?;
        // Allocators and worker threads settle.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let idle_rss_bytes = process_stat::usage(gateway.pid())?.rss_bytes;
        let ledger = Ledger::new(&kafka.broker(), "bench.")?;
        let kafka_kind = kafka.kind();
        Ok(Self {
            backends,
            gateway,
            nginx,
            keys,
            ledger,
            idle_rss_bytes,
            kafka_kind,
            sent: 0,
            missing: 0,
            _kafka: kafka,
            _folder: folder,
        })
    }

    /// The backend of that alias.
    pub(crate) fn backend(&self, alias: &str) -> Result<&Backend> {
        self.backends.iter().find(|backend| backend.alias == alias).context("no such backend")
    }

    /// Ends the gateway in good order; the rest dies with this value.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.gateway.stop().await
    }
}

async fn start_sim(options: &[&str]) -> Result<(SocketAddr, Process)> {
    let mut command = Command::new(binary("tollgate-sim")?);
    command.args(["--listen", "127.0.0.1:0", "--key-env", BACKEND_KEY_ENV]).args(options);
    command.env(BACKEND_KEY_ENV, BACKEND_KEY);
    let mut process = Process::start("tollgate-sim", &mut command)?;
    let log = process.log().clone();
    process.ready(wait::START, || std::future::ready(log.find("listening addr=").is_some())).await?;
    let line = log.find("listening addr=").unwrap_or_default();
    let addr = line.rsplit('=').next().unwrap_or_default().trim().parse()?;
    Ok((addr, process))
}

fn gateway_config(
    folder: &TempDir,
    backends: &[Backend],
    keys: &[String],
    events: Value,
) -> Result<GatewayConfig> {
    let aliases = backends.iter().map(|backend| backend.alias).collect::<Vec<_>>();
    let mut config = GatewayConfig::new(folder.path())?
        .events(events)
        .product("gold", &aliases)
        .limit("gold", 1_000_000_000_000);
    for backend in backends {
        let url = format!("http://{}/v1", backend.direct);
        config = config.backend(backend.alias, &url).alias(backend.alias, backend.alias, "sim-small");
    }
    for number in 0..SUBSCRIPTIONS {
        let own = keys.iter().skip(number).step_by(SUBSCRIPTIONS);
        let keys = own.map(|key| json!({ "sha256": keys::sha256(key) })).collect::<Vec<_>>();
        let tags = json!({ "cost_center": number.to_string(), "team": format!("team-{}", number % 10), "app": "bench" });
        let value = json!({ "product": "gold", "tenant": "acme", "tags": tags, "keys": keys });
        config = config.set(&format!("subscriptions.s{number}"), value);
    }
    Ok(config)
}
