//! `tollgate-accounting`: flags, logging and exit codes; everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use tollgate_accounting::cli::{self, Cli};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,clickhouse=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let code = cli::run(Cli::parse(), |config| config.events.open()).await?;
    Ok(ExitCode::from(code))
}
