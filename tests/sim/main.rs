//! `tollgate-sim`: the simulated model backend as a program.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use tollgate_tests::sim::faults::Faults;
use tollgate_tests::sim::{Options, Port, Sim, TokenMode};

/// A model backend that invents its answers.
///
/// Models: sim-small, sim-large (slower) and sim-embed in the OpenAI format; gpt-4.1-mini, claude-sonnet-4-5,
/// gemini-2.5-flash and others on the paths of their providers. Counters are at /sim/stats, fault knobs at
/// /sim/faults.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Address to listen on; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:9999")]
    listen: SocketAddr,
    /// Environment variable with the API key that callers must present.
    #[arg(long, value_name = "NAME")]
    key_env: Option<String>,
    /// How tokens are counted.
    #[arg(long, value_enum, default_value_t = Tokens::Estimate)]
    tokens: Tokens,
    /// Length of every answer, bytes.
    #[arg(long, value_name = "N")]
    answer_bytes: Option<usize>,
    /// Content chunks of every stream.
    #[arg(long, value_name = "N")]
    chunks: Option<usize>,
    /// Pause before each content chunk, ms.
    #[arg(long, value_name = "N", default_value_t = 0)]
    chunk_delay_ms: u64,
    /// Write the time it was sent into every chunk, as `sim_sent_us`.
    #[arg(long)]
    stamp: bool,
    /// Keep the last requests for /sim/requests.
    #[arg(long)]
    record: bool,
    /// Seed of whatever is random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// What goes wrong from the start, as JSON: {"sim-small": {"raw": {"stall": "in_body"}}}.
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = faults)]
    faults: BTreeMap<String, Faults>,
    /// What the port does at the start; PUT /sim/port changes it.
    #[arg(long, value_enum, default_value_t = PortNow::Open)]
    port: PortNow,
    /// A second address that answers whatever the port does.
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,
}

fn faults(text: &str) -> Result<BTreeMap<String, Faults>, serde_json::Error> {
    serde_json::from_str(text)
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PortNow {
    /// Answers.
    Open,
    /// Refuses connections.
    Closed,
    /// Accepts connections and never reads.
    Deaf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tokens {
    /// Four bytes a token.
    Estimate,
    /// With the o200k encoding.
    Exact,
}

impl Args {
    fn options(&self) -> Result<Options> {
        let read = |name: &String| {
            std::env::var(name)
                .with_context(|| format!("--key-env: the environment variable {name} is not set"))
        };
        Ok(Options {
            key: self.key_env.as_ref().map(read).transpose()?,
            tokens: match self.tokens {
                Tokens::Estimate => TokenMode::Estimate,
                Tokens::Exact => TokenMode::Exact,
            },
            answer_bytes: self.answer_bytes,
            chunks: self.chunks,
            chunk_delay: Duration::from_millis(self.chunk_delay_ms),
            stamp: self.stamp,
            record: self.record,
            seed: self.seed,
            faults: self.faults.clone(),
            port: match self.port {
                PortNow::Open => Port::Open,
                PortNow::Closed => Port::Closed,
                PortNow::Deaf => Port::Deaf,
            },
            control: self.control,
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let sim = Sim::start(args.listen, args.options()?).await?;
    announce(sim.addr());
    sim.run().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the address is this program's answer")]
fn announce(addr: SocketAddr) {
    println!("listening addr={addr}");
}
