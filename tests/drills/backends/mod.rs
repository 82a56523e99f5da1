//! Three backends under load: one is killed, one wants to be left alone, one is slowed down; in turn, so that others
//! are always in order.
//!
//! Bounds: no client sees an error before the first byte of its answer, and no answer breaks off without a word; two
//! seconds after each fault the p99 is at most twice what it was before; while a backend is coming back it gets one
//! request at a time.
//!
//! Some requests go to a fourth backend past the gateway: what becomes slower for those too is the machine's doing
//! and not counted.
//!
//! Afterwards one round is run on an alias that prefers what is quick and hedges what is slow: the same bounds, but a
//! backend that is avoided before it fails needs no open circuit.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_tests::harness::gateway::{BACKEND_KEY, GatewayConfig, Subscriber, chat, chat_stream};
use tollgate_tests::harness::keys;
use tollgate_tests::harness::sim_process::SimProcess;
use tollgate_tests::load::paced::Pace;
use tollgate_tests::load::request::Target;
use tollgate_tests::load::timeline::{Period, Timeline};

mod phase;
mod table;

use self::phase::{Bed, Fault, Phase};
use crate::figures::{Figures, progress};

/// The model, and its deployment at each backend.
const MODEL: &str = "sim-small";
/// What a model takes to think when it is in order, ms.
const THINKS_MS: u64 = 40;
/// How long the gateway waits for the head of an answer.
const FIRST_BYTE: &str = "500 ms";
/// Requests under way at most.
const CONNECTIONS: u32 = 64;
/// Requests a second past the gateway.
const WITNESS_RATE: u32 = 100;
/// Of these, under way at most.
const WITNESS_CONNECTIONS: u32 = 16;
/// Load before anything is measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// How much worse the p99 may be, percent of what it was.
const MOST_PERCENT: u64 = 200;

/// Runs the drill.
pub(crate) async fn run(rate: u32, rounds: u32) -> Result<()> {
    let began = Instant::now();
    let folder = tempfile::tempdir()?;
    progress("starting three backends and the gateway");
    let mut backends = Vec::new();
    for _ in 0..3 {
        backends.push(start_backend().await?);
    }
    let mut gateway = config(folder.path(), &backends)?.start().await?;
    let witness = start_backend().await?;
    let pace = Pace { rate: WITNESS_RATE, connections: WITNESS_CONNECTIONS, duration: Duration::MAX };
    let witnessed = Timeline::start(&targets(witness.addr(), BACKEND_KEY, MODEL), pace);

    let mut outcomes = Vec::new();
    for pool in Pool::ALL {
        let pace = Pace { rate, connections: CONNECTIONS, duration: Duration::MAX };
        let load = Timeline::start(&targets(gateway.addr(), &keys::text("drill"), pool.alias()), pace);
        tokio::time::sleep(WARM_UP).await;
        let bed = Bed { gateway: &gateway, backends: &mut backends, load: &load, witnessed: &witnessed };
        let phases = run_rounds(bed, pool, pool.rounds(rounds)).await?;
        outcomes.push(Outcome { pool, phases, all: load.stop().await });
    }
    witnessed.stop().await;
    gateway.stop().await?;

    let mut figures = Figures::default();
    figures.put("drill", "backends").put("rounds", rounds);
    for outcome in &outcomes {
        table::print(&outcome.phases);
        summarize_all(&mut figures, outcome);
    }
    figures.put("seconds", began.elapsed().as_secs()).finish()
}

/// How the alias under load chooses among the backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool {
    /// As aliases do that say nothing.
    Plain,
    /// By latency, with hedges.
    Hedged,
}

impl Pool {
    const ALL: [Self; 2] = [Self::Plain, Self::Hedged];

    fn alias(self) -> &'static str {
        match self {
            Self::Plain => "chat",
            Self::Hedged => "hedged",
        }
    }

    fn rounds(self, rounds: u32) -> u32 {
        if self == Self::Plain { rounds } else { 1 }
    }

    fn model(self, targets: &[Value]) -> Value {
        match self {
            Self::Plain => json!({ "targets": targets }),
            Self::Hedged => json!({
                "targets": targets,
                "pool": { "strategy": "latency" },
                "hedge": { "after": "p95", "max_percent": 5 },
            }),
        }
    }

    /// The name of a figure.
    fn figure(self, name: &str) -> String {
        if self == Self::Plain { name.to_owned() } else { format!("{}_{name}", self.alias()) }
    }
}

/// What became of the load on one alias.
struct Outcome {
    pool: Pool,
    phases: Vec<Phase>,
    all: Period,
}

async fn run_rounds(mut bed: Bed<'_>, pool: Pool, rounds: u32) -> Result<Vec<Phase>> {
    let mut phases = Vec::new();
    for round in 1..=rounds {
        for (number, fault) in Fault::ALL.into_iter().enumerate() {
            progress(format_args!("{}, round {round}: {fault}", pool.alias()));
            phases.push(bed.run(fault, number).await?);
        }
    }
    Ok(phases)
}

fn summarize_all(figures: &mut Figures, outcome: &Outcome) {
    let Outcome { pool, phases, all } = outcome;
    figures
        .put(&pool.figure("requests"), all.requests)
        .bound(&pool.figure("errors_before_first_byte"), all.refused, 0)
        .put(&pool.figure("error_events"), all.error_events)
        .bound(&pool.figure("cut_silently"), all.cut, 0);
    for fault in Fault::ALL {
        let of_fault = phases.iter().filter(|phase| phase.fault == fault).collect::<Vec<_>>();
        summarize(figures, *pool, fault, &of_fault);
    }
}

/// The figures of one fault over all rounds: the median of what time decides, the worst of what must always hold.
fn summarize(figures: &mut Figures, pool: Pool, fault: Fault, phases: &[&Phase]) {
    let median = |of: fn(&Phase) -> u64| {
        let mut values = phases.iter().map(|phase| of(phase)).collect::<Vec<_>>();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or(0)
    };
    let most = |of: fn(&Phase) -> u64| phases.iter().map(|phase| of(phase)).max().unwrap_or(0);
    let figure = |name: &str| pool.figure(&format!("{fault}_{name}"));
    figures
        .bound(&figure("p99_percent"), median(Phase::percent), MOST_PERCENT)
        .put(&figure("p99_raw_percent"), median(Phase::raw_percent))
        .put(&figure("probes"), most(|phase| phase.watch.requests))
        .put(&figure("recovered_ms"), most(|phase| phase.recovered.as_millis() as u64));
    if pool == Pool::Plain || fault != Fault::Slow {
        figures.bound(&figure("circuit_not_open"), most(|phase| u64::from(!phase.opened)), 0).bound(
            &figure("probes_at_once"),
            most(|phase| phase.watch.most_at_once),
            1,
        );
    }
}

async fn start_backend() -> Result<SimProcess> {
    let faults = json!({ MODEL: phase::in_order() }).to_string();
    SimProcess::start(&["--faults", &faults, "--answer-bytes", "600", "--chunks", "8"]).await
}

fn config(folder: &Path, backends: &[SimProcess]) -> Result<GatewayConfig> {
    let mut config = GatewayConfig::new(folder)?;
    let mut targets = Vec::new();
    for (number, backend) in backends.iter().enumerate() {
        let name = phase::name(number);
        let circuit = json!({ "open_for": "1 s", "max_open": "4 s" });
        config = config
            .backend(&name, &backend.url())
            .set(&format!("backends.{name}.timeouts"), json!({ "first_byte": FIRST_BYTE }))
            .set(&format!("backends.{name}.circuit"), circuit);
        targets.push(json!({ "backend": name, "model": MODEL }));
    }
    let who =
        Subscriber { name: "drill", product: "all", tenant: "acme", cost_center: "1", team: "reliability" };
    let aliases = Pool::ALL.map(Pool::alias);
    for pool in Pool::ALL {
        config = config.set(&format!("models.{}", pool.alias()), pool.model(&targets));
    }
    Ok(config.product("all", &aliases).subscription(&who))
}

/// Whole answers and streams in turn.
fn targets(addr: SocketAddr, key: &str, model: &str) -> [Target; 2] {
    let keys = [key.to_owned()];
    let text = "What happens when something breaks?";
    let body = |body: Value| Bytes::from(body.to_string());
    [
        Target::new(addr, &keys, body(chat(model, text)), false),
        Target::new(addr, &keys, body(chat_stream(model, text)), true),
    ]
}
