//! The workloads, each on three ways: direct, through nginx, through the gateway.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::json;
use tollgate_tests::harness::gateway::BACKEND_KEY;
use tollgate_tests::load::closed::ClosedLoop;
use tollgate_tests::load::held::Held;
use tollgate_tests::load::paced::{self, Pace};
use tollgate_tests::load::request::Target;

use crate::figures::{Cost, Figures, Latency};
use crate::process_stat::{Usage, machine_cpu, usage};
use crate::rig::Rig;

/// How long to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    warm_up: Duration,
    window: Duration,
    paced: Duration,
    held: Duration,
    rounds: usize,
}

impl Plan {
    /// The published one.
    pub(crate) const FULL: Self = Self {
        warm_up: Duration::from_millis(1500),
        window: Duration::from_secs(4),
        paced: Duration::from_secs(5),
        held: Duration::from_secs(8),
        rounds: 3,
    };
    /// Under three minutes.
    pub(crate) const QUICK: Self = Self {
        warm_up: Duration::from_millis(500),
        window: Duration::from_secs(1),
        paced: Duration::from_millis(2500),
        held: Duration::from_secs(4),
        rounds: 5,
    };
}

/// One kind of traffic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    /// Short name.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) what: &'static str,
    backend: &'static str,
    prompt_bytes: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Connections that are always busy, then a fixed rate a second.
    Busy { connections: usize, rate: u32, stream: bool },
    /// Streams that stay open.
    Held { streams: usize },
}

/// All of them.
pub(crate) const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "w1",
        what: "1 KB prompt, 1 KB answer",
        backend: "plain",
        prompt_bytes: 1 << 10,
        kind: Kind::Busy { connections: 32, rate: 2_000, stream: false },
    },
    Workload {
        name: "w2",
        what: "32 KB prompt, 1 KB answer",
        backend: "plain",
        prompt_bytes: 32 << 10,
        kind: Kind::Busy { connections: 32, rate: 1_000, stream: false },
    },
    Workload {
        name: "w3",
        what: "stream of 200 chunks",
        backend: "chunks",
        prompt_bytes: 1 << 10,
        kind: Kind::Busy { connections: 16, rate: 50, stream: true },
    },
    Workload {
        name: "w4",
        what: "2,000 open streams, one chunk each 100 ms",
        backend: "idle",
        prompt_bytes: 256,
        kind: Kind::Held { streams: 2_000 },
    },
];

/// A way to the backend.
struct Way {
    addr: SocketAddr,
    keys: Vec<String>,
    model: String,
    /// The proxy's process.
    pid: Option<u32>,
}

impl Way {
    fn target(&self, workload: &Workload) -> Target {
        let stream = !matches!(workload.kind, Kind::Busy { stream: false, .. });
        Target::new(self.addr, &self.keys, body(&self.model, workload.prompt_bytes, stream), stream)
    }
}

/// Measures one workload on all three ways, and counts the events of the third.
pub(crate) async fn measure(workload: &Workload, rig: &mut Rig, plan: &Plan) -> Result<Figures> {
    let backend = rig.backend(workload.backend)?;
    let model = "sim-small".to_owned();
    let direct =
        Way { addr: backend.direct, keys: vec![BACKEND_KEY.to_owned()], model: model.clone(), pid: None };
    let nginx = Way { addr: backend.nginx, keys: rig.keys.clone(), model, pid: Some(rig.nginx.pid()) };
    let gateway = Way {
        addr: rig.gateway.addr(),
        keys: rig.keys.clone(),
        model: backend.alias.to_owned(),
        pid: Some(rig.gateway.pid()),
    };
    let ways = [direct, nginx, gateway].map(|way| (way.target(workload), way));
    let (costs, errors) = match workload.kind {
        Kind::Busy { connections, rate, .. } => busy(&ways, connections, rate, plan).await?,
        Kind::Held { streams } => held_on_each(&ways, streams, plan).await?,
    };
    let [direct, nginx, gateway] = costs;
    let requests = ways[2].0.written();
    rig.sent += requests;
    let missing = rig.sent - rig.ledger.count_until(rig.sent)?;
    let lost_events = missing - rig.missing;
    rig.missing = missing;
    Ok(Figures { direct, nginx, gateway, requests, errors, lost_events })
}

/// Cost on each way, and exchanges that failed. The ways take turns, so that what disturbs the machine for a while
/// disturbs all of them; of each the quietest round counts, because what disturbs a round can only add to it.
async fn busy(
    ways: &[(Target, Way); 3],
    connections: usize,
    rate: u32,
    plan: &Plan,
) -> Result<([Cost; 3], u64)> {
    let mut best = [None::<Cost>; 3];
    let mut errors = 0;
    for _ in 0..plan.rounds {
        for ((target, way), best) in ways.iter().zip(&mut best) {
            let (cost, bad) = round(target, way, connections, plan).await?;
            errors += bad;
            if best.is_none_or(|best| cost.cpu_us < best.cpu_us) {
                *best = Some(cost);
            }
        }
    }
    let mut costs = best.map(Option::unwrap_or_default);
    for ((target, _), cost) in ways.iter().zip(&mut costs) {
        let pace = Pace { rate, connections: 8, duration: plan.paced };
        let paced = {
            let target = target.clone();
            tokio::task::spawn_blocking(move || paced::run(&target, pace)).await?
        };
        cost.latency = Latency::of(if target.stream { &paced.first } else { &paced.whole });
        errors += paced.bad;
    }
    Ok((costs, errors))
}

/// Cost of busy connections on one way, and exchanges that failed.
async fn round(target: &Target, way: &Way, connections: usize, plan: &Plan) -> Result<(Cost, u64)> {
    let load = ClosedLoop::start(target, connections);
    tokio::time::sleep(plan.warm_up).await;
    let (before, good_before) = (Sample::take(way)?, load.counters().good());
    tokio::time::sleep(plan.window).await;
    let (spent, rss_bytes) = Sample::take(way)?.since(&before);
    let good = load.counters().good() - good_before;
    let errors = load.stop().await.bad();
    ensure!(good > 0, "no request succeeded in the window");
    Ok((Cost { rss_bytes, ..spent.over(good) }, errors))
}

async fn held_on_each(ways: &[(Target, Way); 3], streams: usize, plan: &Plan) -> Result<([Cost; 3], u64)> {
    let mut costs = [Cost::default(); 3];
    let mut errors = 0;
    for ((target, way), cost) in ways.iter().zip(&mut costs) {
        let (measured, broken) = held(target, way, streams, plan).await?;
        *cost = measured;
        errors += broken;
    }
    Ok((costs, errors))
}

async fn held(target: &Target, way: &Way, streams: usize, plan: &Plan) -> Result<(Cost, u64)> {
    // What the first request makes the gateway load is no stream's memory.
    Held::open(target, 1, 1_000).await.close().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let empty = Sample::take(way)?;
    let held = Held::open(target, streams, 1_000).await;
    tokio::time::sleep(plan.warm_up).await;
    held.start_timing();
    let (before, chunks_before) = (Sample::take(way)?, held.chunks());
    tokio::time::sleep(plan.held).await;
    let (spent, rss_bytes) = Sample::take(way)?.since(&before);
    let chunks = held.chunks() - chunks_before;
    let broken = streams as u64 - held.alive().min(streams as u64);
    let latency = Latency::of(&held.transits());
    held.close().await;
    let grown = rss_bytes.saturating_sub(empty.proxy.rss_bytes);
    let cost =
        Cost { rss_bytes, rss_per_stream_bytes: grown / streams as u64, latency, ..spent.over(chunks) };
    Ok((cost, broken))
}

/// Clocks of the proxy, of everything that the bench started, and of the machine.
struct Sample {
    at: Instant,
    proxy: Usage,
    own: Duration,
    machine: Duration,
}

/// What was spent between two samples.
struct Spent {
    elapsed: Duration,
    proxy: Duration,
    foreign: Duration,
}

impl Sample {
    fn take(way: &Way) -> Result<Self> {
        let proxy = way.pid.map_or(Ok(Usage::default()), usage)?;
        let own = usage(std::process::id())?.cpu;
        Ok(Self { at: Instant::now(), proxy, own, machine: machine_cpu()? })
    }

    /// What was spent since `before`, and the proxy's resident memory now.
    fn since(&self, before: &Self) -> (Spent, u64) {
        let own = self.own.saturating_sub(before.own);
        let spent = Spent {
            elapsed: self.at - before.at,
            proxy: self.proxy.cpu.saturating_sub(before.proxy.cpu),
            foreign: self.machine.saturating_sub(before.machine).saturating_sub(own),
        };
        (spent, self.proxy.rss_bytes)
    }
}

impl Spent {
    fn over(&self, requests: u64) -> Cost {
        let (proxy, elapsed) = (self.proxy.as_secs_f64(), self.elapsed.as_secs_f64());
        Cost {
            cpu_us: proxy * 1e6 / requests.max(1) as f64,
            per_second: requests as f64 / elapsed,
            busy: proxy / elapsed,
            foreign: self.foreign.as_secs_f64() / elapsed,
            ..Cost::default()
        }
    }
}

/// A chat request whose prompt has so many bytes.
fn body(model: &str, prompt_bytes: usize, stream: bool) -> Bytes {
    const PROSE: &str = "The quarterly report shows that costs rose faster than usage, mostly because two teams moved \
        to a larger model without telling anyone; please summarise what happened and what to do about it. ";
    let prompt = PROSE.chars().cycle().take(prompt_bytes).collect::<String>();
    let mut body =
        json!({ "model": model, "messages": [{ "role": "user", "content": prompt }], "temperature": 0.2 });
    if stream {
        body["stream"] = json!(true);
    }
    Bytes::from(body.to_string())
}
