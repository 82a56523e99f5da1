//! `tollgate-bench`: what a request costs, beside nginx as plain proxy and beside no proxy at all, in one run.
//!
//! The gateway has everything on: 10,000 keys, limits, token counts, durable usage events to a Kafka. It has core
//! 0 to itself; the traffic, the simulated backends and Kafka have core 1. Ends with an exit code other than 0
//! when a bound is broken. Start it through `tests/bench`, which pins it.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

mod bounds;
mod figures;
mod ledger;
mod nginx;
mod process_stat;
mod rig;
mod table;
mod workload;

use figures::Report;
use rig::Rig;
use workload::{Plan, WORKLOADS};

/// Measures CPU, latency and memory of the gateway beside nginx and beside no proxy.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Writes the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Short windows: less than three minutes in all, and less exact.
    #[arg(long)]
    quick: bool,
    /// Only this workload: w1, w2, w3 or w4.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let plan = if args.quick { Plan::QUICK } else { Plan::FULL };
    let chosen = WORKLOADS
        .into_iter()
        .filter(|workload| args.only.as_deref().is_none_or(|only| only == workload.name));
    let chosen = chosen.collect::<Vec<_>>();
    ensure!(!chosen.is_empty(), "--only takes one of w1, w2, w3 and w4");

    let mut rig = Rig::start().await?;
    let mut report = Report::new(&rig);
    for workload in chosen {
        table::progress(&format!("{}: {}", workload.name, workload.what));
        let figures = workload::measure(&workload, &mut rig, &plan).await?;
        report.add(workload.name, figures);
    }
    report.repeated_events = rig.ledger.repeated();
    rig.stop().await?;

    table::print(&report);
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&report.to_json())?;
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let broken = bounds::broken(&report);
    table::print_bounds(&report);
    ensure!(broken == 0, "{broken} bounds are broken");
    Ok(())
}
