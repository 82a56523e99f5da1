//! Starts and stops the gateway: state, listeners, workers, drain.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use tokio::sync::Semaphore;
use tollgate_backends::call::BackendClient;
use tollgate_backends::tls;
use tollgate_config::{Config, FsyncConfig, OnFullConfig};
use tollgate_eventlog::{EventLog, LogError};
use tollgate_ledger::{self, FsyncPolicy, Ledger, LedgerError, LedgerOptions, OnFull, UsageHandle};
use tollgate_runtime::{Runtime, compile};
use tollgate_schemas::ids::BootId;
use tollgate_settings::Mistakes;

use self::descriptors::TooManyConnections;
use self::listener::ListenOptions;
use crate::admin;
use crate::api::{connection, cors};
use crate::background::polls::Polls;
use crate::gateway::{Gateway, Worker};
use crate::pending::{Pending, PendingRules};
use crate::policies::cache_client::HttpCache;
use crate::probes::Probes;
use crate::replicas::{Replica, Replicas};
use crate::routes;
use crate::stored::Bound;
use crate::stored::signing_key::{self, SigningKeyError};

mod descriptors;
mod listener;
mod watched;

/// Connections of the admin listener, which has a bound of its own: pages and probes answer while callers queue.
const ADMIN_CONNECTIONS: usize = 128;
/// Bounds on the size of a spool segment; small enough to be deleted soon after it is published.
const SEGMENT_BYTES: RangeInclusive<u64> = (1 << 20)..=(64 << 20);
/// Longest wait of a record for its fsync under the group policy. It bounds what a loss of power may turn back
/// into intents, and nothing else. Measured on a slow virtual disk under full load: every 5 ms costs an eighth
/// more CPU per request than no fsync at all.
const FSYNC_EVERY: Duration = Duration::from_millis(20);
/// How long the publisher may flush at the end; the rest stays in the spool.
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);
/// How long connections that are idle or finishing may hold up a stop.
const LINGER: Duration = Duration::from_secs(2);

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has mistakes.
    #[error("{0}")]
    Config(Mistakes),
    /// The spool cannot be opened.
    #[error("spool {path}: {source}")]
    Ledger {
        /// Its folder.
        path: String,
        /// Why.
        source: LedgerError,
    },
    /// The event log cannot be opened.
    #[error(transparent)]
    EventLog(#[from] LogError),
    /// An address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// More connections are configured than the process may have open files for.
    #[error(transparent)]
    Connections(#[from] TooManyConnections),
    /// TLS towards backends cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The secret that binds stored answers to their owners cannot be read or kept.
    #[error("responses.signing_key: {0}")]
    SigningKey(#[from] SigningKeyError),
}

/// A running gateway.
pub struct Handle {
    gateway: Arc<Gateway>,
    addr: SocketAddr,
    admin_addr: SocketAddr,
    model_server: ServerHandle,
    admin_server: ServerHandle,
    usage: UsageHandle,
    probes: Probes,
    polls: Polls,
    replicas: Option<Replicas>,
}

/// Starts a gateway inside a running actix system. Requests are served when this returns.
///
/// # Errors
/// When the configuration, the spool or an address is not usable. An unreachable broker or backend is no
/// error: events wait in the spool, and circuits open.
pub fn start(config: &Config, log: Arc<dyn EventLog>) -> Result<Handle, StartError> {
    let runtime = Runtime::start();
    let snapshot = compile(config, &runtime).map_err(StartError::Config)?;
    let ledger = open_ledger(config)?;
    let usage = tollgate_ledger::start(ledger.clone(), Arc::clone(&log));
    let bound = Bound::new(&signing_key::load(config)?).map_err(SigningKeyError::from)?;
    let pending = open_pending(config)?;
    let gateway = Arc::new(Gateway::new(snapshot, runtime, ledger, pending, bound));
    let (model_server, addr) = serve_model_api(config, &gateway)?;
    let (admin_server, admin_addr) = serve_admin(config, &gateway)?;
    let probes = Probes::start(&gateway, BackendClient::new(tls::client_config()?));
    let polls = Polls::start(&gateway, BackendClient::new(tls::client_config()?));
    let replicas = share_circuits(config, &gateway, log);
    tracing::info!(%addr, admin = %admin_addr, "listening");
    Ok(Handle { gateway, addr, admin_addr, model_server, admin_server, usage, probes, polls, replicas })
}

/// Joins the circuits with those of other replicas, where that is wanted. They work without it too.
fn share_circuits(config: &Config, gateway: &Gateway, log: Arc<dyn EventLog>) -> Option<Replicas> {
    if !config.replicas.share_circuits {
        return None;
    }
    let me = Replica { gateway_id: Arc::clone(&config.gateway_id), boot_id: BootId::now() };
    let started = Replicas::start(log, &gateway.backends, me, gateway.metrics.replicas());
    started.inspect_err(|error| tracing::warn!(%error, "circuits are not shared with other replicas")).ok()
}

fn open_ledger(config: &Config) -> Result<Ledger, StartError> {
    let dir = config.data_dir.join("spool");
    let options = LedgerOptions {
        dir: dir.clone(),
        gateway_id: Arc::clone(&config.gateway_id),
        fsync: match config.spool.fsync {
            FsyncConfig::None => FsyncPolicy::None,
            FsyncConfig::Group => FsyncPolicy::Group { every: FSYNC_EVERY },
            FsyncConfig::Each => FsyncPolicy::Each,
        },
        max_bytes: config.spool.max_size.0,
        on_full: match config.spool.on_full {
            OnFullConfig::Reject => OnFull::Reject,
            OnFullConfig::AllowUnmetered => OnFull::AllowUnmetered,
        },
        segment_bytes: segment_bytes(config.spool.max_size.0),
    };
    let (ledger, recovered) = Ledger::open(options)
        .map_err(|source| StartError::Ledger { path: dir.display().to_string(), source })?;
    tracing::info!(?recovered, "spool opened");
    Ok(ledger)
}

/// What is worked on in the background, also what earlier processes began.
fn open_pending(config: &Config) -> Result<Pending, StartError> {
    let dir = config.data_dir.join("pending");
    let background = &config.responses.background;
    let rules = PendingRules { max: background.max_pending as usize, deadline: background.deadline.0 };
    let pending = Pending::open(dir.clone(), rules)
        .map_err(|source| StartError::Ledger { path: dir.display().to_string(), source })?;
    if pending.count() > 0 {
        tracing::info!(count = pending.count(), "answers of earlier processes are still worked on");
    }
    Ok(pending)
}

/// An eighth of the spool: a small one must have segments that can be given back, too.
fn segment_bytes(max_size: u64) -> u64 {
    (max_size / 8).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end())
}

fn serve_model_api(
    config: &Config,
    gateway: &Arc<Gateway>,
) -> Result<(ServerHandle, SocketAddr), StartError> {
    let options = listen_options(config)?;
    let (listener, addr) = listen(config.listen)?;
    let tls = tls::client_config()?;
    let (gateway, base_path) = (Arc::clone(gateway), config.base_path.clone());
    let factory = move || {
        let caller = Rc::new(BackendClient::new(tls.clone()));
        let cache = Rc::new(HttpCache::new(Rc::clone(&caller)));
        let worker = Worker { gateway: Arc::clone(&gateway), caller, cache, decoders: Semaphore::new(1) };
        App::new()
            .app_data(web::Data::new(worker))
            .wrap_fn(cors::shared)
            .wrap_fn(connection::observed)
            .configure(|app| routes::model_api(app, &base_path))
    };
    let server = listener::serve(listener, options, &config.server, factory)
        .map_err(|source| StartError::Listen { addr, source })?;
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok((handle, addr))
}

/// Workers, and as many connections of each as there are open files for.
fn listen_options(config: &Config) -> Result<ListenOptions, StartError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = config.workers.unwrap_or(cores);
    let open_files = descriptors::raise_limit();
    let connections =
        descriptors::connections_per_worker(open_files, workers, config.server.max_connections)?;
    tracing::info!(open_files, workers, connections, "connections per worker");
    Ok(ListenOptions { workers, connections, linger: LINGER })
}

fn serve_admin(config: &Config, gateway: &Arc<Gateway>) -> Result<(ServerHandle, SocketAddr), StartError> {
    let (listener, addr) = listen(config.admin_listen)?;
    let gateway = web::Data::from(Arc::clone(gateway));
    let server = HttpServer::new(move || App::new().app_data(gateway.clone()).configure(admin::routes))
        .workers(1)
        .max_connections(ADMIN_CONNECTIONS)
        .tcp_nodelay(true)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)
        .map_err(|source| StartError::Listen { addr, source })?
        .run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok((handle, addr))
}

fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { addr, source };
    let listener = TcpListener::bind(addr).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

impl Handle {
    /// Address of the model API; the real one where port 0 was asked for.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Address of health, metrics and admin pages.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// What is shared by the workers.
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Replaces the configuration while requests run: see [`Gateway::replace`].
    ///
    /// # Errors
    /// Every mistake of the configuration, and every field that needs a restart; then nothing has changed.
    pub fn reload(&self, config: &Config) -> Result<(), Mistakes> {
        self.gateway.replace(config)
    }

    /// Stops in good order: no new requests, running ones to their end within the drain time, then the
    /// last events to the log. What cannot be published stays in the spool.
    pub async fn shutdown(self) {
        self.gateway.stopping.store(true, Ordering::SeqCst);
        drop(self.probes);
        self.model_server.pause().await;
        let drain = self.gateway.snapshot.load().server.drain.0;
        let deadline = tokio::time::Instant::now() + drain;
        while self.gateway.ledger.status().open_intents > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.model_server.stop(true).await;
        drop(self.polls);
        if let Err(error) = self.gateway.pending.sync(&self.gateway.ledger) {
            tracing::warn!(%error, "what is pending may be settled twice");
        }
        if let Some(replicas) = &self.replicas {
            replicas.stop();
        }
        self.usage.shutdown(FLUSH_DEADLINE);
        self.admin_server.stop(false).await;
        tracing::info!("stopped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_has_several_segments_whatever_its_size() {
        assert_eq!(segment_bytes(8 << 30), 64 << 20);
        assert_eq!(segment_bytes(32 << 20), 4 << 20);
        assert_eq!(segment_bytes(0), 1 << 20);
    }
}
