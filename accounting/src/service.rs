//! The running service: store, consumer thread, periodic jobs and HTTP server, started and stopped in order.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tollgate_eventlog::EventLog;

use crate::config::{Config, EmbeddedStoreConfig, StoreConfig};
use crate::consumer::{ConsumerThread, Parts};
use crate::error::Error;
use crate::loopback::{self, Access, Loopback};
use crate::price_book::PriceBook;
use crate::rollup::Rollup;
use crate::server_thread::ServerThread;
use crate::store::LedgerStore;
use crate::store::embedded::EmbeddedEngine;
use crate::telemetry::{Health, Metrics};
use crate::{api, jobs, ledger};

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
    let ledger = ledger::open(&config.store).await?;
    ledger.store.keep_months(config.retention_months).await?;
    let loopback = open_loopback(&config.store, ledger.embedded.as_ref())?;
    let app = app(&config, ledger.store);
    let consumer = start_consumer(&config, log, Arc::clone(&book), &app).await?;
    // After everything that can fail: the server's thread would keep the ledger open for a moment longer.
    let http = api::serve(listener, app.clone())?;
    let (stop, stopped) = watch::channel(false);
    let jobs = jobs::start(&app, &config, &stopped);
    let addr = http.addr();
    tracing::info!(%addr, group = config.group, prices = book.entries(), "accounting started");
    Ok(Handle {
        addr,
        ledger_addr: loopback.as_ref().map(Loopback::addr),
        http: Some(http),
        loopback,
        consumer: Some(consumer),
        metrics: app.metrics.clone(),
        stop,
        jobs,
        embedded: ledger.embedded,
    })
}

fn app(config: &Config, store: LedgerStore) -> api::App {
    api::App {
        rollup: Arc::new(Rollup::new(store.clone())),
        store,
        metrics: Metrics::default(),
        health: Health::new(),
        grace: config.reconcile_grace.0,
        runtime: tokio::runtime::Handle::current(),
    }
}

async fn start_consumer(
    config: &Config,
    log: Arc<dyn EventLog>,
    book: Arc<PriceBook>,
    app: &api::App,
) -> Result<ConsumerThread, Error> {
    let parts = Parts {
        log,
        group: config.group.clone(),
        store: app.store.clone(),
        book,
        limits: config.batch.into(),
        metrics: app.metrics.clone(),
        health: Arc::clone(&app.health),
        runtime: app.runtime.clone(),
    };
    let started = spawn_blocking(move || ConsumerThread::start(parts)).await;
    Ok(started.map_err(|error| Error::Internal(error.to_string()))??)
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
