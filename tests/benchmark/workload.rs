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
use crate::process_stat::usage;
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
        warm_up: Duration::from_secs(1),
        window: Duration::from_millis(2500),
        paced: Duration::from_millis(2500),
        held: Duration::from_secs(4),
        rounds: 1,
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
    let mut figures = Figures::default();
    let (base, _, errors) = look(workload, &direct, plan).await?;
    figures.direct = base.latency;
    figures.errors += errors;
    let (cost, _, errors) = look(workload, &nginx, plan).await?;
    figures.nginx = cost;
    figures.errors += errors;
    let (cost, requests, errors) = look(workload, &gateway, plan).await?;
    figures.gateway = cost;
    figures.errors += errors;
    figures.requests = requests;
    let before = rig.sent;
    rig.sent += requests;
    figures.lost_events = rig.sent - rig.ledger.count_until(rig.sent)?;
    ensure!(figures.lost_events <= requests || before > 0, "more events are missing than requests were sent");
    Ok(figures)
}

/// Cost, requests sent and exchanges failed on one way.
async fn look(workload: &Workload, way: &Way, plan: &Plan) -> Result<(Cost, usize, u64)> {
    let target = way.target(workload);
    let (cost, errors) = match workload.kind {
        Kind::Busy { connections, rate, .. } => {
            let (mut cost, mut errors) = if way.pid.is_some() {
                busy(&target, way, connections, plan).await?
            } else {
                (Cost::default(), 0)
            };
            let pace = Pace { rate, connections: 8, duration: plan.paced };
            let paced = {
                let target = target.clone();
                tokio::task::spawn_blocking(move || paced::run(&target, pace)).await?
            };
            cost.latency = Latency::of(if target.stream { &paced.first } else { &paced.whole });
            errors += paced.bad;
            (cost, errors)
        }
        Kind::Held { streams } => held(&target, way, streams, plan).await?,
    };
    Ok((cost, target.written(), errors))
}

/// The quietest of some rounds: what disturbs a round can only add to it.
async fn busy(target: &Target, way: &Way, connections: usize, plan: &Plan) -> Result<(Cost, u64)> {
    let mut best: Option<Cost> = None;
    let mut errors = 0;
    for _ in 0..plan.rounds {
        let load = ClosedLoop::start(target, connections);
        tokio::time::sleep(plan.warm_up).await;
        let (before, from, good_before) = (sample(way)?, Instant::now(), load.counters().good());
        tokio::time::sleep(plan.window).await;
        let (after, elapsed) = (sample(way)?, from.elapsed());
        let good = load.counters().good() - good_before;
        errors += load.stop().await.bad();
        ensure!(good > 0, "no request succeeded in the window");
        let cpu = (after.cpu - before.cpu).as_secs_f64();
        let cost = Cost {
            cpu_us: cpu * 1e6 / good as f64,
            per_second: good as f64 / elapsed.as_secs_f64(),
            busy: cpu / elapsed.as_secs_f64(),
            rss_bytes: after.rss_bytes,
            ..Cost::default()
        };
        if best.is_none_or(|best| cost.cpu_us < best.cpu_us) {
            best = Some(cost);
        }
    }
    Ok((best.unwrap_or_default(), errors))
}

async fn held(target: &Target, way: &Way, streams: usize, plan: &Plan) -> Result<(Cost, u64)> {
    let empty = sample(way)?;
    let held = Held::open(target, streams, 1_000).await;
    tokio::time::sleep(plan.warm_up).await;
    held.start_timing();
    let (before, from, chunks_before) = (sample(way)?, Instant::now(), held.chunks());
    tokio::time::sleep(plan.held).await;
    let (after, elapsed, chunks) = (sample(way)?, from.elapsed(), held.chunks() - chunks_before);
    let broken = streams as u64 - held.alive().min(streams as u64);
    let latency = Latency::of(&held.transits());
    held.close().await;
    let cpu = (after.cpu - before.cpu).as_secs_f64();
    let cost = Cost {
        cpu_us: cpu * 1e6 / chunks.max(1) as f64,
        per_second: chunks as f64 / elapsed.as_secs_f64(),
        busy: cpu / elapsed.as_secs_f64(),
        rss_bytes: after.rss_bytes,
        rss_per_stream_bytes: after.rss_bytes.saturating_sub(empty.rss_bytes) / streams as u64,
        latency,
    };
    Ok((cost, broken))
}

fn sample(way: &Way) -> Result<crate::process_stat::Usage> {
    way.pid.map_or(Ok(crate::process_stat::Usage::default()), usage)
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
