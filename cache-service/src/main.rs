//! `tollgate-cache --config FILE`: the cache service as a process of its own.
//!
//! Exit codes: 0 done, 1 something failed, 2 the configuration or the command line is wrong.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tollgate_base::errors::chain;
use tollgate_cache_service::config::Config;
use tollgate_cache_service::error::Error;
use tollgate_settings::EXIT_CONFIG;
use tracing_subscriber::EnvFilter;

/// Remembers answers of chat models and finds them again, by exact match and by meaning.
#[derive(Debug, Parser)]
#[command(name = "tollgate-cache", version)]
struct Args {
    /// The configuration file (YAML).
    #[arg(long, env = "TOLLGATE_CACHE_CONFIG")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).init();
    match serve(&Args::parse().config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("tollgate-cache: {}", chain(&error)));
            if error.is_config() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

async fn serve(path: &Path) -> Result<(), Error> {
    let config = Config::load(path)?;
    let log = tollgate_eventlog::open(&config.events)?;
    // Before the port opens: a signal that comes early must not be missed.
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let service = tollgate_cache_service::start(config, log).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.map_err(Error::Signals)?,
    }
    service.shutdown().await;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "for the person who starts the program, beside the log")]
fn say(line: &str) {
    eprintln!("{line}");
}
