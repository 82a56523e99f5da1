//! Starts the services in order and stops them in the reverse one.
//!
//! Start: event log, accounting, cache service, gateway, so that nothing is called before it is there. Stop:
//! the gateway drains and publishes what its spool holds; accounting reads up to the end of the log; then the
//! rest. So a call that was answered before the stop is in the ledger after it, unless a bound runs out:
//! then it is in the log or the spool, and in the ledger after the next start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_accounting::config::StoreConfig;
use tollgate_cache_service::config::EmbedderConfig;
use tollgate_eventlog::{EventLog, LogError};

use crate::config::Config;
use crate::engines::{Missing, Needed};

/// The price book that a data folder begins with; the operator edits the copy.
const PRICES: &str = include_str!("../../config/prices.yaml");
/// How long accounting may read on after the gateway has published everything.
const CATCH_UP: Duration = Duration::from_secs(10);
/// After this long accounting has polled again and counted what is unread.
const FRESH: Duration = Duration::from_millis(250);
/// Pause between two looks at what accounting has not read.
const CATCH_UP_POLL: Duration = Duration::from_millis(50);

/// Why the process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An engine or model is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The first price book cannot be written.
    #[error("the price book {} cannot be written: {source}", path.display())]
    Prices {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The event log cannot be opened.
    #[error("event log: {0}")]
    EventLog(#[from] LogError),
    /// Accounting does not start.
    #[error("accounting: {0}")]
    Accounting(#[from] tollgate_accounting::Error),
    /// The cache service does not start.
    #[error("cache service: {}", with_causes(.0))]
    CacheService(#[from] tollgate_cache_service::Error),
    /// The gateway does not start.
    #[error("gateway: {0}")]
    Gateway(#[from] tollgate_gateway::StartError),
}

/// An error and its causes on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The running services.
pub struct Host {
    gateway: tollgate_gateway::Handle,
    rest: Rest,
}

/// What runs besides the gateway.
struct Rest {
    accounting: tollgate_accounting::Handle,
    cache_service: Option<tollgate_cache_service::Handle>,
}

/// Where the services listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The model API.
    pub gateway: SocketAddr,
    /// Health, metrics and admin pages of the gateway.
    pub admin: SocketAddr,
    /// Reports.
    pub accounting: SocketAddr,
    /// Lookups, where the cache service runs.
    pub cache_service: Option<SocketAddr>,
}

/// Starts everything inside a running actix system.
///
/// # Errors
/// When a service does not start; those that did are stopped again.
pub async fn start(mut config: Config) -> Result<Host, StartError> {
    check_engines(&config)?;
    if let Some(path) = &config.first_prices {
        write_first_prices(path).map_err(|source| StartError::Prices { path: path.clone(), source })?;
    }
    let log = tollgate_eventlog::open(&config.events)?;
    let accounting = tollgate_accounting::start(config.accounting.clone(), Arc::clone(&log)).await?;
    let mut rest = Rest { accounting, cache_service: None };
    match start_callers(&mut config, &log, &mut rest).await {
        Ok(gateway) => Ok(Host { gateway, rest }),
        Err(error) => {
            rest.shutdown().await;
            Err(error)
        }
    }
}

/// The cache service and then the gateway, which must know where the first one listens.
async fn start_callers(
    config: &mut Config,
    log: &Arc<dyn EventLog>,
    rest: &mut Rest,
) -> Result<tollgate_gateway::Handle, StartError> {
    let token = config.cache_service.as_ref().and_then(|cache| cache.token.clone());
    if let Some(cache) = config.cache_service.take() {
        rest.cache_service = Some(tollgate_cache_service::start(cache, Arc::clone(log)).await?);
    }
    if config.own_cache {
        match (&rest.cache_service, &mut config.gateway.cache_service) {
            (Some(cache), Some(settings)) => {
                settings.url = format!("http://{}", reachable(cache.addr()));
                settings.token = token;
            }
            (None, settings) => *settings = None,
            (Some(_), None) => {}
        }
    }
    Ok(tollgate_gateway::start(&config.gateway, Arc::clone(log))?)
}

/// The address under which this process reaches a listener of its own.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    addr
}

/// Names a missing engine before anything is opened.
///
/// # Errors
/// With the file and the script that installs it.
pub fn check_engines(config: &Config) -> Result<(), Missing> {
    if let StoreConfig::Embedded(embedded) = &config.accounting.store {
        let needed = Needed {
            what: "the ledger engine",
            path: &embedded.library,
            setup: "deploy/setup/chdb",
            setting: "accounting.store.embedded.library",
        };
        needed.check()?;
    }
    let Some(EmbedderConfig::Minilm(model)) = config.cache_service.as_ref().map(|cache| &cache.embedder)
    else {
        return Ok(());
    };
    let files = [
        (model.model_dir.join("model.onnx"), "cache_service.embedder.minilm.model_dir"),
        (model.model_dir.join("tokenizer.json"), "cache_service.embedder.minilm.model_dir"),
        (model.onnxruntime.clone(), "cache_service.embedder.minilm.onnxruntime"),
    ];
    for (path, setting) in &files {
        let what = "a file of the embedding model";
        Needed { what, path, setup: "deploy/setup/minilm", setting }.check()?;
    }
    Ok(())
}

/// Gives a new data folder a price book to edit; one that is there stays as it is.
fn write_first_prices(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::File::create_new(path) {
        Ok(mut file) => std::io::Write::write_all(&mut file, PRICES.as_bytes()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

impl Host {
    /// Where the services listen; real ports where 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses {
            gateway: self.gateway.addr(),
            admin: self.gateway.admin_addr(),
            accounting: self.rest.accounting.addr(),
            cache_service: self.rest.cache_service.as_ref().map(tollgate_cache_service::Handle::addr),
        }
    }

    /// Stops everything in order, within the bounds of each service.
    pub async fn shutdown(self) {
        self.gateway.shutdown().await;
        self.rest.catch_up().await;
        self.rest.shutdown().await;
    }
}

impl Rest {
    /// Waits until accounting has read what the gateway published.
    async fn catch_up(&self) {
        let deadline = Instant::now() + CATCH_UP;
        // What it says now may be older than the last event.
        tokio::time::sleep(FRESH).await;
        while self.accounting.unread() > 0 {
            if Instant::now() >= deadline {
                tracing::warn!(
                    records = self.accounting.unread(),
                    "left for the next start: not yet in the ledger"
                );
                return;
            }
            tokio::time::sleep(CATCH_UP_POLL).await;
        }
    }

    async fn shutdown(self) {
        if let Some(cache) = self.cache_service {
            cache.shutdown().await;
        }
        self.accounting.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_called_on_loopback() {
        assert_eq!(reachable("0.0.0.0:8092".parse().unwrap()).to_string(), "127.0.0.1:8092");
        assert_eq!(reachable("[::]:8092".parse().unwrap()).to_string(), "[::1]:8092");
        assert_eq!(reachable("10.0.0.1:8092".parse().unwrap()).to_string(), "10.0.0.1:8092");
    }

    #[test]
    fn the_first_price_book_is_written_once_and_never_over_an_edited_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/prices.yaml");
        write_first_prices(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), PRICES);
        std::fs::write(&path, "edited").unwrap();
        write_first_prices(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "edited");
    }
}
