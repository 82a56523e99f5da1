//! `tollgate-drill`: faults on purpose, for longer than a test may take.
//!
//! Every drill is bounded in count and time, prints its figures as `key=value` pairs on its last line, and ends
//! with an exit code other than 0 when a bound is broken. A new drill is one file with a `run` and one line here.

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod backends;
mod crash;
mod descriptors;
mod figures;
mod kafka_down;
mod stalled_clients;
mod upstream_faults;
mod volume;

/// Faults on purpose: every drill says what was lost, and ends with an error when something was.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    drill: Drill,
}

#[derive(Debug, Subcommand)]
enum Drill {
    /// kill -9 of the gateway amid mixed requests, and a restart on the same spool, again and again.
    Crash {
        /// How many times.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        kills: u32,
        /// Requests at a time.
        #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256))]
        connections: u32,
        /// Seed of the moments of the kills.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// Kafka stops under load, and comes back.
    KafkaDown {
        /// How long it is away.
        #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
        seconds: u64,
        /// Requests a second.
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
        rate: u32,
    },
    /// Three backends under load: one is killed, one wants to be left alone, one is slowed down, in turn.
    Backends {
        /// Requests a second.
        #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(64..=5_000))]
        rate: u32,
        /// How many times; the p99 that counts is the median over them.
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
        rounds: u32,
    },
    /// A backend breaks in every way there is, with and without a second one: what clients and ledger see, what is leaked.
    UpstreamFaults {
        /// Only the faults whose name contains this.
        #[arg(long, value_name = "NAME", default_value = "")]
        only: String,
        /// Requests at a time.
        #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256))]
        connections: u32,
    },
    /// Connections without a key, as many as there may be, beside callers with one.
    Descriptors {
        /// Connections without a key; no more than the machine lets this program open.
        #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        strangers: u64,
        /// How long.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
        seconds: u64,
        /// Requests a second.
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
        rate: u32,
    },
    /// Clients that stop reading, or send their body a byte a second, beside good ones.
    StalledClients {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(2..=5_000))]
        clients: u32,
    },
    /// The spool fills its own volume while Kafka is away.
    Volume {
        /// Size of the volume in MiB.
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(4..=512))]
        mib: u32,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Args::parse().drill {
        Drill::Crash { kills, connections, seed } => crash::run(kills, connections, seed).await,
        Drill::KafkaDown { seconds, rate } => kafka_down::run(Duration::from_secs(seconds), rate).await,
        Drill::Backends { rate, rounds } => backends::run(rate, rounds).await,
        Drill::UpstreamFaults { only, connections } => upstream_faults::run(&only, connections).await,
        Drill::Descriptors { strangers, seconds, rate } => {
            descriptors::run(strangers, Duration::from_secs(seconds), rate).await
        }
        Drill::StalledClients { clients } => stalled_clients::run(clients).await,
        Drill::Volume { mib } => volume::run(mib).await,
    }
}
