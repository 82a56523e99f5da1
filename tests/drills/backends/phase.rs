//! One fault of one backend: the time before it, the fault, the time after it, the recovery.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use tollgate_tests::harness::gateway::Gateway;
use tollgate_tests::harness::sim_process::SimProcess;
use tollgate_tests::harness::wait;
use tollgate_tests::load::timeline::{Period, Timeline};
use tollgate_tests::sim::faults::{Faults, StatusFault};
use tollgate_tests::sim::traffic::Watch;

use super::{MODEL, THINKS_MS};

/// Before the fault.
const BEFORE: Duration = Duration::from_secs(4);
/// From the fault to the time in which everything must be well again.
const REACTION: Duration = Duration::from_secs(2);
/// That time.
const AFTER: Duration = Duration::from_secs(6);
/// How long a backend may take to get requests again.
const RECOVERS: Duration = Duration::from_secs(30);
/// What a slow model takes, ms.
const SLOW_MS: u64 = 5_000;
/// How long a busy backend wants to be left alone, s.
const BUSY_S: u64 = 2;

/// What goes wrong with a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// kill -9, and a new start later.
    Killed,
    /// It answers 429 with `Retry-After`.
    Busy,
    /// It takes seconds for each answer.
    Slow,
}

impl Fault {
    pub(super) const ALL: [Self; 3] = [Self::Killed, Self::Busy, Self::Slow];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "killed",
            Self::Busy => "busy",
            Self::Slow => "slow",
        })
    }
}

/// What happened in one phase.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) fault: Fault,
    /// Before the fault.
    pub(super) before: Period,
    /// Right after it.
    pub(super) reaction: Period,
    /// When everything must be well again.
    pub(super) after: Period,
    /// Requests past the gateway, before the fault and when everything must be well again.
    pub(super) witnessed: [Period; 2],
    /// Whether the backend's circuit was open by then.
    pub(super) opened: bool,
    /// The backend's requests from then on until it answered well.
    pub(super) watch: Watch,
    /// From the fault's end until the circuit was closed.
    pub(super) recovered: Duration,
}

impl Phase {
    /// The p99 when everything must be well again, percent of what it was before, without what the machine did to
    /// requests past the gateway too.
    pub(super) fn percent(&self) -> u64 {
        let [before, after] = &self.witnessed;
        self.raw_percent() * 100 / percent(before, after).max(100)
    }

    /// The p99 when everything must be well again, percent of what it was before.
    pub(super) fn raw_percent(&self) -> u64 {
        percent(&self.before, &self.after)
    }
}

/// The later p99, percent of the earlier.
fn percent(earlier: &Period, later: &Period) -> u64 {
    let p99 = |period: &Period| u64::from(period.times.percentile_us(99.0));
    p99(later) * 100 / p99(earlier).max(1)
}

/// What a phase runs on.
pub(super) struct Bed<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) backends: &'a mut [SimProcess],
    pub(super) load: &'a Timeline,
    pub(super) witnessed: &'a Timeline,
}

impl Bed<'_> {
    /// Runs one phase with that backend.
    pub(super) async fn run(&mut self, fault: Fault, number: usize) -> Result<Phase> {
        let start = Instant::now();
        tokio::time::sleep(BEFORE).await;
        let broken = Instant::now();
        self.break_backend(fault, number).await?;
        tokio::time::sleep_until((broken + REACTION).into()).await;
        let opened = self.is_open(number).await?;
        if fault != Fault::Killed {
            self.backends[number].watch_again().await?;
        }
        tokio::time::sleep_until((broken + REACTION + AFTER).into()).await;
        let repaired = Instant::now();
        self.repair_backend(fault, number).await?;
        let closed = || async { self.is_open(number).await.ok().filter(|open| !open) };
        wait::until("the backend gets requests again", RECOVERS, closed).await?;
        let recovered = repaired.elapsed();
        Ok(Phase {
            fault,
            before: self.load.period(start, BEFORE),
            reaction: self.load.period(broken, REACTION),
            after: self.load.period(broken + REACTION, AFTER),
            witnessed: [
                self.witnessed.period(start, BEFORE),
                self.witnessed.period(broken + REACTION, AFTER),
            ],
            opened,
            watch: self.backends[number].traffic().await?.watch,
            recovered,
        })
    }

    async fn break_backend(&mut self, fault: Fault, number: usize) -> Result<()> {
        let backend = &mut self.backends[number];
        match fault {
            Fault::Killed => {
                backend.kill();
                Ok(())
            }
            Fault::Busy => {
                let status = StatusFault { retry_after_s: Some(BUSY_S), ..StatusFault::code(429) };
                backend.set_fault(MODEL, &Faults { status: Some(status), ..in_order() }).await
            }
            Fault::Slow => backend.set_fault(MODEL, &Faults { latency_ms: SLOW_MS, ..in_order() }).await,
        }
    }

    async fn repair_backend(&mut self, fault: Fault, number: usize) -> Result<()> {
        let backend = &mut self.backends[number];
        match fault {
            Fault::Killed => backend.restart().await,
            Fault::Busy | Fault::Slow => backend.set_fault(MODEL, &in_order()).await,
        }
    }

    /// Whether the circuit of the backend is anything but closed.
    async fn is_open(&self, number: usize) -> Result<bool> {
        let metrics = self.gateway.admin().get("/metrics").await?.text();
        let label = format!("backend=\"{}\"", name(number));
        Ok(metrics.lines().any(|line| {
            let circuit =
                line.starts_with("tollgate_circuit_open{") || line.starts_with("tollgate_circuit_half_open{");
            circuit && line.contains(&label) && line.ends_with(" 1")
        }))
    }
}

/// The backend's name in the configuration.
pub(super) fn name(number: usize) -> String {
    format!("backend-{}", number + 1)
}

/// How a model is when nothing is wrong with it: it thinks for a while, as models do.
pub(super) fn in_order() -> Faults {
    Faults { latency_ms: THINKS_MS, ..Faults::default() }
}
