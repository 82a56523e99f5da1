//! Puts the parts together, and takes them apart again in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use tokio::runtime::Handle as Runtime;
use tokio::task::AbortHandle;
use tollgate_eventlog::{Consumer, EventLog, Topic};
use tollgate_settings::SecretTemplate;

use crate::api::{Api, routes};
use crate::clock::Clock;
use crate::config::{Config, EmbedderConfig, IndexConfig};
use crate::embed::minilm::MiniLm;
use crate::embed::openai::OpenAiEmbedder;
use crate::embed::{Embedder, Embeddings};
use crate::error::Error;
use crate::expiry;
use crate::index::embedded::EmbeddedIndex;
use crate::index::qdrant::QdrantIndex;
use crate::index::{IndexError, VectorIndex};
use crate::invalidations::Invalidations;
use crate::lookup::Cache;
use crate::metrics::Metrics;
use crate::store::{Filler, Progress};
use tollgate_base::errors::chain;

/// Vectors of the embedded index when nothing embeds: any fixed length will do.
const WITHOUT_EMBEDDER: usize = 384;
const DRAIN_S: u64 = 5;

/// A running service. Dropping this leaves it running; [`Handle::shutdown`] ends it.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    cache: Cache,
    server: ServerHandle,
    filler: JoinHandle<()>,
    sweeper: AbortHandle,
    progress: Arc<Progress>,
}

impl Handle {
    /// Where lookups are served.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The cache itself, for callers in the same process.
    #[must_use]
    pub fn cache(&self) -> Cache {
        self.cache.clone()
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.cache.metrics)
    }

    /// Stops accepting, ends what is under way, stops reading events.
    pub async fn shutdown(self) {
        self.progress.stop();
        self.sweeper.abort();
        self.server.stop(true).await;
        // The thread notices within one poll; what it has not committed is read again next time.
        let joined = tokio::task::spawn_blocking(move || self.filler.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the cache's consumer thread ended badly");
        }
    }
}

/// Starts the service within the current tokio runtime, reading events from `log`.
///
/// # Errors
/// When a part cannot be set up. An unreachable Qdrant server or broker is not an error: the service starts
/// and answers with misses until they are there.
pub async fn start(config: Config, log: Arc<dyn EventLog>) -> Result<Handle, Error> {
    let metrics = Arc::new(Metrics::default());
    let (embedder, seats) = embedder(config.embedder.clone()).await?;
    let dimensions = embedder.as_ref().map_or(WITHOUT_EMBEDDER, |embedder| embedder.dimensions());
    let index = index(&config, dimensions).await?;
    let bounds = config.limits.embedding(seats);
    let embeddings =
        embedder.map(|model| Embeddings::new(model, Arc::clone(&metrics), Runtime::current(), bounds));
    let cache = Cache {
        index,
        embeddings,
        metrics,
        clock: Clock::system(),
        runtime: Runtime::current(),
        invalidations: Arc::new(Invalidations::default()),
    };
    start_parts(&config, cache, log).await
}

/// Opens the port before events are read, so that a taken port leaves nothing behind.
async fn start_parts(config: &Config, cache: Cache, log: Arc<dyn EventLog>) -> Result<Handle, Error> {
    let progress = Arc::new(Progress::default());
    let api = Data::new(Api {
        cache: cache.clone(),
        registry: cache.metrics.registry(),
        token: config.token.as_ref().map(SecretTemplate::resolve).transpose()?,
        progress: Arc::clone(&progress),
    });
    let max_request_bytes = config.limits.max_request_bytes;
    let server =
        HttpServer::new(move || App::new().configure(|app| routes(app, api.clone(), max_request_bytes)))
            .workers(config.workers.max(1))
            .shutdown_timeout(DRAIN_S)
            .disable_signals()
            .bind(config.listen)
            .map_err(|source| Error::Listen { address: config.listen, source })?;
    let address = server.addrs().first().copied().unwrap_or(config.listen);
    let consumer = consumer(log, config.group.clone()).await?;
    let filler = Filler::new(cache.clone(), consumer, config.limits.clone(), Arc::clone(&progress));
    let filler = std::thread::Builder::new()
        .name("cache-filler".to_owned())
        .spawn(move || filler.run())
        .map_err(|error| Error::Thread(error.to_string()))?;
    let server = server.run();
    let server_handle = server.handle();
    cache.runtime.spawn(server);
    let interval = Duration::from_secs(config.limits.sweep_interval_s.max(1));
    let sweeper = cache.runtime.spawn(expiry::sweep_forever(cache.clone(), interval)).abort_handle();
    tracing::info!(address = %address, "cache service is up");
    Ok(Handle { address, cache, server: server_handle, filler, sweeper, progress })
}

/// Joins the consumer group; creates the topic where it does not exist.
async fn consumer(log: Arc<dyn EventLog>, group: String) -> Result<Box<dyn Consumer>, Error> {
    let join = move || {
        if let Err(error) = log.ensure_topics(&[Topic::Cache.spec()]) {
            tracing::warn!(error = %chain(&error), "the cache topic cannot be created yet");
        }
        log.consumer(&group, &[Topic::Cache])
    };
    Ok(blocking(join).await??)
}

/// The embedder, if there is one, and how many texts of lookups it may have at a time.
async fn embedder(config: EmbedderConfig) -> Result<(Option<Arc<dyn Embedder>>, usize), Error> {
    Ok(match config {
        EmbedderConfig::None => (None, 1),
        EmbedderConfig::Minilm(config) => {
            let seats = config.sessions;
            let load = move || MiniLm::load(&config.model_dir, &config.onnxruntime, config.sessions);
            (Some(Arc::new(blocking(load).await??)), seats)
        }
        EmbedderConfig::Openai(config) => {
            let embedder = OpenAiEmbedder::new(&config, Runtime::current())?;
            (Some(Arc::new(embedder)), config.concurrency)
        }
    })
}

async fn index(config: &Config, dimensions: usize) -> Result<Arc<dyn VectorIndex>, Error> {
    let capacity = config.limits.capacity();
    Ok(match &config.index {
        IndexConfig::Embedded(embedded) => {
            let path = embedded.path.clone();
            let open = move || EmbeddedIndex::open(&path, dimensions, capacity);
            Arc::new(blocking(open).await?.map_err(IndexError::from)?)
        }
        IndexConfig::Qdrant(qdrant) => {
            Arc::new(QdrantIndex::new(qdrant, dimensions, capacity, Runtime::current())?)
        }
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Thread(error.to_string()))
}
