//! The running service: store, consumer thread, periodic jobs and HTTP server, started and stopped in order.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tollgate_eventlog::EventLog;
use tollgate_settings::SecretTemplate;

use crate::api;
use crate::config::{Config, EmbeddedStoreConfig, StoreConfig};
use crate::consumer::{ConsumerThread, Parts};
use crate::error::Error;
use crate::loopback::{self, Access, Loopback};
use crate::price_book::PriceBook;
use crate::reconcile::{Reconciliation, reconcile};
use crate::rollup::Rollup;
use crate::server_thread::ServerThread;
use crate::store::clickhouse::{ServerEngine, ServerOptions};
use crate::store::embedded::{EmbeddedEngine, EmbeddedOptions};
use crate::store::{LedgerStore, StoreError};
use crate::telemetry::{Health, Metrics};

/// Statements that the embedded engine runs at the same time.
const EMBEDDED_CONNECTIONS: usize = 4;

/// A started service; dropping it stops it without waiting.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    ledger_addr: Option<SocketAddr>,
    http: Option<ServerThread>,
    loopback: Option<Loopback>,
    consumer: Option<ConsumerThread>,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    jobs: Vec<JoinHandle<()>>,
    embedded: Option<EmbeddedEngine>,
}

/// A ledger that this process has open.
#[derive(Debug)]
pub struct OpenLedger {
    /// The ledger, with its schema up to date.
    pub store: LedgerStore,
    /// The engine, if it runs in this process.
    pub embedded: Option<EmbeddedEngine>,
}

impl OpenLedger {
    /// Closes the ledger; no other handle may be left. The embedded engine must be closed before the process
    /// ends: its threads would crash in the library's exit handlers.
    pub async fn close(self) {
        drop(self.store);
        if let Some(engine) = self.embedded {
            engine.close().await;
        }
    }
}

/// Opens the ledger and brings its schema up to date.
///
/// # Errors
/// When the store cannot be reached or opened, or a secret is missing.
pub async fn open_ledger(config: &StoreConfig) -> Result<OpenLedger, Error> {
    let ledger = match config {
        StoreConfig::Clickhouse(server) => {
            let password = server.password.as_ref().map(SecretTemplate::resolve).transpose()?;
            let options = ServerOptions {
                url: server.url.clone(),
                ca: server.ca.clone(),
                database: server.database.clone(),
                user: server.user.clone(),
                timeout: server.timeout.0,
            };
            let engine = ServerEngine::open(&options, password.as_ref()).await?;
            OpenLedger { store: LedgerStore::new(Arc::new(engine)), embedded: None }
        }
        StoreConfig::Embedded(embedded) => {
            let engine = open_embedded(embedded).await?;
            OpenLedger { store: LedgerStore::new(Arc::new(engine.clone())), embedded: Some(engine) }
        }
    };
    ledger.store.migrate().await?;
    Ok(ledger)
}

async fn open_embedded(config: &EmbeddedStoreConfig) -> Result<EmbeddedEngine, Error> {
    let options = EmbeddedOptions {
        path: config.path.clone(),
        library: config.library.clone(),
        database: config.database.clone(),
        max_memory_mib: config.max_memory_mib,
        connections: EMBEDDED_CONNECTIONS,
    };
    let opened = spawn_blocking(move || EmbeddedEngine::open(&options)).await;
    Ok(opened.map_err(|error| Error::Internal(error.to_string()))??)
}

/// Reads and checks a price book.
///
/// # Errors
/// When the file cannot be read, or with every mistake in it.
pub fn load_price_book(path: &Path) -> Result<PriceBook, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Error::PriceBookFile { path: path.into(), error })?;
    PriceBook::parse(&text).map_err(|error| Error::PriceBook { path: path.into(), error })
}

/// Starts the service on this event log. Everything that can be wrong with the configuration is found
/// before anything runs.
///
/// # Errors
/// When the price book is wrong, the store or an address is not available, or the log refuses.
pub async fn start(config: Config, log: Arc<dyn EventLog>) -> Result<Handle, Error> {
    let book = Arc::new(load_price_book(&config.price_book)?);
    let listener = listen(config.listen)?;
    let ledger = open_ledger(&config.store).await?;
    ledger.store.keep_months(config.retention_months).await?;
    let loopback = open_loopback(&config.store, ledger.embedded.as_ref())?;
    let (metrics, health) = (Metrics::default(), Health::new());
    let rollup = Arc::new(Rollup::new(ledger.store.clone()));
    let app = api::App {
        store: ledger.store.clone(),
        rollup: Arc::clone(&rollup),
        metrics: metrics.clone(),
        health: Arc::clone(&health),
        grace: config.reconcile_grace.0,
        runtime: tokio::runtime::Handle::current(),
    };
    let handle_metrics = metrics.clone();
    let parts = Parts {
        log,
        group: config.group.clone(),
        store: ledger.store,
        book: Arc::clone(&book),
        limits: config.batch.into(),
        metrics,
        health,
        runtime: tokio::runtime::Handle::current(),
    };
    let consumer = spawn_blocking(move || ConsumerThread::start(parts)).await;
    let consumer = consumer.map_err(|error| Error::Internal(error.to_string()))??;
    // After everything that can fail: the server's thread would keep the ledger open for a moment longer.
    let http = api::serve(listener, app.clone())?;
    let (stop, stopped) = watch::channel(false);
    let jobs = vec![
        tokio::spawn(rollup_job(app.clone(), config.rollup_interval.0, stopped.clone())),
        tokio::spawn(reconcile_job(app, config.reconcile_interval.0, stopped)),
    ];
    let addr = http.addr();
    let ledger_addr = loopback.as_ref().map(Loopback::addr);
    tracing::info!(%addr, group = config.group, prices = book.entries(), "accounting started");
    let consumer = Some(consumer);
    let http = Some(http);
    Ok(Handle {
        addr,
        ledger_addr,
        http,
        loopback,
        consumer,
        metrics: handle_metrics,
        stop,
        jobs,
        embedded: ledger.embedded,
    })
}

impl Handle {
    /// Address of the HTTP server.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Address on which SQL clients may read the embedded ledger; `None` if that is off.
    #[must_use]
    pub fn ledger_addr(&self) -> Option<SocketAddr> {
        self.ledger_addr
    }

    /// Records that have not been read, as of the last poll (at most 100 ms ago while the log answers).
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.metrics.lag()
    }

    /// Stores and commits what has been read, then stops everything. Takes a few seconds at most.
    pub async fn shutdown(mut self) {
        if let Some(consumer) = self.consumer.take()
            && spawn_blocking(move || consumer.stop()).await.is_err()
        {
            tracing::error!("the consumer did not stop in good order");
        }
        let _ = self.stop.send(true);
        for job in self.jobs.drain(..) {
            let _ = job.await;
        }
        if let Some(http) = self.http.take() {
            http.stop().await;
        }
        if let Some(loopback) = self.loopback.take() {
            loopback.stop().await;
        }
        if let Some(engine) = self.embedded.take() {
            engine.close().await;
        }
        tracing::info!("accounting stopped");
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.jobs.iter().for_each(JoinHandle::abort);
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|error| Error::Listen { address, error })
}

fn open_loopback(config: &StoreConfig, engine: Option<&EmbeddedEngine>) -> Result<Option<Loopback>, Error> {
    let StoreConfig::Embedded(EmbeddedStoreConfig { http_listen: Some(address), .. }) = config else {
        return Ok(None);
    };
    engine.map(|engine| loopback::serve(engine, *address, Access::ReadOnly)).transpose()
}

/// Runs `work` every `interval` until told to stop; a run is finished before the stop.
async fn every<F: Future<Output = ()>>(
    interval: Duration,
    mut stopped: watch::Receiver<bool>,
    work: impl Fn() -> F,
) {
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(interval) => work().await,
        }
    }
}

async fn rollup_job(app: api::App, interval: Duration, stopped: watch::Receiver<bool>) {
    every(interval, stopped, || refresh_rollup(&app)).await;
}

/// Only the member that reads partition 0 does it: two would do the same work twice (and nothing worse).
async fn refresh_rollup(app: &api::App) {
    if !app.health.is_leader() {
        return;
    }
    match app.rollup.refresh().await {
        Ok(days) => {
            app.metrics.rollup_days.inc_by(days as u64);
        }
        // Costs freshness: the next run starts from the same watermark.
        Err(error) => {
            tracing::warn!(%error, "the rollup was not refreshed");
            app.metrics.rollup_failures.inc();
        }
    }
}

async fn reconcile_job(app: api::App, interval: Duration, stopped: watch::Receiver<bool>) {
    every(interval, stopped, || reconcile_once(&app)).await;
}

async fn reconcile_once(app: &api::App) {
    match reconcile_and_repair(app).await {
        Ok(found) => {
            app.metrics.reconciled(&found);
            if !found.is_clean() {
                tracing::error!(
                    missing = found.missing,
                    split = found.split,
                    rollup_difference = %found.rollup_difference,
                    rollup_wrong_days = found.rollup_wrong_days.len(),
                    "the ledger does not reconcile"
                );
            }
        }
        Err(error) => {
            tracing::warn!(%error, "the ledger was not reconciled");
            app.metrics.reconcile_failures.inc();
        }
    }
}

/// The rollup is made of the events, so a day that is wrong is built again; what is found then is what counts.
async fn reconcile_and_repair(app: &api::App) -> Result<Reconciliation, StoreError> {
    let found = reconcile(&app.store, jiff::Timestamp::now(), app.grace).await?;
    if found.rollup_wrong_days.is_empty() || !app.health.is_leader() {
        return Ok(found);
    }
    tracing::warn!(days = ?found.rollup_wrong_days, "days of the rollup are wrong and are built again");
    app.rollup.rebuild(&found.rollup_wrong_days).await?;
    app.metrics.rollup_repaired_days.inc_by(found.rollup_wrong_days.len() as u64);
    reconcile(&app.store, jiff::Timestamp::now(), app.grace).await
}
