//! `tollgate-cache --config FILE`: the cache service as a process of its own.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tollgate_cache_service::config::Config;
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
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).init();
    let path = Args::parse().config;
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config = Config::from_yaml(&text).with_context(|| format!("{} is not valid", path.display()))?;
    let log = config.resolved_events()?.open().context("cannot open the event log")?;
    // Before the port opens: a signal that comes early must not be missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let service = tollgate_cache_service::start(config, log).await.context("cannot start")?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    service.shutdown().await;
    Ok(())
}
