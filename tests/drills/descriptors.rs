//! Strangers take connections, as many as they can, beside callers with a key.
//!
//! The gateway starts with a small soft limit on open files and may raise it to a hard one; strangers connect, say
//! nothing, and come back as soon as they are cut. Bounds: no request of a caller fails, no event is lost, and the
//! process never has more files open than its hard limit.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tollgate_tests::harness::gateway::{BACKEND_KEY, GatewayConfig};
use tollgate_tests::harness::kafka::Kafka;
use tollgate_tests::harness::topic::UsageTopic;
use tollgate_tests::load::mixed::Traffic;
use tollgate_tests::sim::{Options, Sim};

use crate::figures::{Figures, progress};

/// Topic prefix of this drill.
const PREFIX: &str = "descriptors.";
/// Soft and hard limit of the gateway on open files.
const SOFT: u64 = 256;
const HARD: u64 = 2_048;
/// Requests of callers at a time.
const CONNECTIONS: u32 = 16;

/// Runs the drill.
pub(crate) async fn run(strangers: u64, length: Duration, rate: u32) -> Result<()> {
    let began = Instant::now();
    let strangers = strangers.min(own_descriptors() / 2);
    let folder = tempfile::tempdir()?;
    progress("starting Kafka, a simulated backend and the gateway");
    let kafka = Kafka::start().await?;
    let options = Options { key: Some(BACKEND_KEY.to_owned()), ..Options::default() };
    let sim = Sim::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await?;
    let config = GatewayConfig::usual(folder.path(), &sim.url())?.events(kafka.events(PREFIX));
    let limits = format!("--nofile={SOFT}:{HARD}");
    let mut gateway = config.start_wrapped(&["prlimit", &limits]).await?;

    progress(format_args!("{strangers} strangers beside {rate} requests a second"));
    let crowd = Crowd::gather(gateway.addr(), strangers);
    let pause = Duration::from_secs(1) * CONNECTIONS / rate.max(1);
    let traffic = Traffic::start(gateway.addr(), &["checkout"], CONNECTIONS, pause);
    let (end, mut most_open) = (Instant::now() + length, 0);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(200)).await;
        most_open = most_open.max(open_files(gateway.pid())?);
    }
    let notebook = traffic.stop().await;
    let connected = crowd.disperse().await;

    let topic = UsageTopic::new(&kafka.broker(), PREFIX);
    let expected = usize::try_from(notebook.begun())?;
    let records = match topic.wait_for(expected, Duration::from_secs(60)).await {
        Ok(records) => records,
        Err(_) => topic.read().await?,
    };
    gateway.stop().await?;
    if let Some(failure) = notebook.first_failure() {
        progress(format_args!("the first failure: {failure}"));
    }
    let arrived = records.by_id().len();
    Figures::default()
        .put("drill", "descriptors")
        .put("strangers", strangers)
        .put("connected", connected)
        .put("requests", notebook.begun())
        .bound("failed", notebook.failed(), 0)
        .bound("lost", expected.saturating_sub(arrived) as u64, 0)
        .bound("open_files", most_open, HARD)
        .put("seconds", began.elapsed().as_secs())
        .finish()
}

/// Raises the drill's own limit, and returns it.
fn own_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // What cannot be raised is used as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(1 << 20)
}

fn open_files(pid: u32) -> Result<u64> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}

/// Those without a key.
struct Crowd {
    tasks: JoinSet<()>,
    go: Arc<AtomicBool>,
    connected: Arc<AtomicU64>,
}

impl Crowd {
    fn gather(addr: SocketAddr, count: u64) -> Self {
        let (mut tasks, go) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        let connected = Arc::new(AtomicU64::new(0));
        for _ in 0..count {
            tasks.spawn(stranger(addr, Arc::clone(&go), Arc::clone(&connected)));
        }
        Self { tasks, go, connected }
    }

    /// Ends it; says how many connections there were.
    async fn disperse(mut self) -> u64 {
        self.go.store(true, Ordering::Relaxed);
        self.tasks.shutdown().await;
        self.connected.load(Ordering::Relaxed)
    }
}

/// Connects, says nothing until it is cut, and comes again.
async fn stranger(addr: SocketAddr, go: Arc<AtomicBool>, connected: Arc<AtomicU64>) {
    while !go.load(Ordering::Relaxed) {
        if let Ok(mut connection) = TcpStream::connect(addr).await {
            connected.fetch_add(1, Ordering::Relaxed);
            // However it ends.
            let _ = connection.read(&mut [0; 64]).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
