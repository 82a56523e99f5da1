//! The index in a Qdrant server.
//!
//! Invariants:
//! * the client retries and waits on its own, so every call has our own time limit around it, and lookups a
//!   circuit breaker besides: an unreachable server costs a lookup next to nothing;
//! * all traffic runs on the runtime given at the start, because connections belong to a runtime and
//!   lookups come from many;
//! * collection and field indexes are made when they are missing, before the first other call.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use qdrant_client::qdrant::vectors_config::Config as VectorsOf;
use qdrant_client::qdrant::{
    CountPointsBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, DeletePointsBuilder,
    Direction, Distance, FieldType, Filter, IntegerIndexParamsBuilder, OrderByBuilder, PointId,
    PointsIdsList, QueryPointsBuilder, RetrievedPoint, ScrollPointsBuilder, UpsertPointsBuilder,
    VectorParamsBuilder,
};
use qdrant_client::{Qdrant, QdrantError};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tollgate_schemas::cache::{CacheInvalidate, CachePartition};
use tollgate_schemas::ids::EventId;

use super::breaker::Breaker;
use super::qdrant_points::{
    INTEGER_FIELDS, KEYWORD_FIELDS, STORED_AT, belongs_to, exact_filter, expired_filter, in_partition,
    invalidation_filter, search_filter, stored_at, to_found, to_point, to_point_id,
};
use super::{Capacity, Entry, Found, IndexError, IndexStats, Pending, Query, VectorIndex};
use crate::config::QdrantConfig;

/// Points with one exact key that are looked at: an old answer may live beside a new one until it expires.
const TWINS: u32 = 8;
/// Points removed at once when there are too many.
const TRIM: u32 = 1_000;

/// The index in a Qdrant server; a cheap handle.
#[derive(Debug, Clone)]
pub struct QdrantIndex {
    shared: Arc<Shared>,
    runtime: Handle,
}

struct Shared {
    client: Qdrant,
    collection: String,
    dimensions: usize,
    capacity: Capacity,
    lookup_timeout: Duration,
    write_timeout: Duration,
    breaker: Mutex<Breaker>,
    collection_made: OnceCell<()>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client would print its API key.
        f.debug_struct("QdrantIndex").field("collection", &self.collection).finish_non_exhaustive()
    }
}

impl QdrantIndex {
    /// An index by `config` for vectors of `dimensions` components. Does not connect yet.
    ///
    /// # Errors
    /// When address or credential cannot be used.
    pub fn new(
        config: &QdrantConfig,
        dimensions: usize,
        capacity: Capacity,
        runtime: Handle,
    ) -> Result<Self, IndexError> {
        let refused = |error: String| IndexError::Refused(error);
        let mut client = Qdrant::from_url(&config.url).skip_compatibility_check();
        client.timeout = Duration::from_millis(config.write_timeout_ms);
        client.connect_timeout = Duration::from_millis(config.write_timeout_ms);
        if let Some(key) = &config.api_key {
            let key = key.resolve().map_err(|error| refused(error.to_string()))?;
            client = client.api_key(key.expose_secret());
        }
        let shared = Shared {
            client: client.build().map_err(|error| refused(error.to_string()))?,
            collection: config.collection.clone(),
            dimensions,
            capacity,
            lookup_timeout: Duration::from_millis(config.lookup_timeout_ms),
            write_timeout: Duration::from_millis(config.write_timeout_ms),
            breaker: Mutex::default(),
            collection_made: OnceCell::new(),
        };
        Ok(Self { shared: Arc::new(shared), runtime })
    }

    /// Runs a lookup behind the breaker.
    async fn look<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, IndexError>> + Send + 'static,
    ) -> Result<T, IndexError> {
        if !self.shared.breaker.lock().admit(Instant::now()) {
            return Err(IndexError::CircuitOpen);
        }
        let shared = Arc::clone(&self.shared);
        // The outcome is recorded even when the caller has gone.
        self.run(async move {
            let result = within(shared.lookup_timeout, work).await;
            match &result {
                Ok(_) => shared.breaker.lock().succeeded(),
                Err(error) if shared.breaker.lock().failed(Instant::now()) => {
                    tracing::warn!(error = %error, "qdrant keeps failing, lookups leave it alone for a while");
                }
                Err(_) => {}
            }
            result
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, IndexError>> + Send + 'static,
    ) -> Result<T, IndexError> {
        self.run(within(self.shared.write_timeout, work)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, IndexError>> + Send + 'static,
    ) -> Result<T, IndexError> {
        let done = self.runtime.spawn(work).await;
        done.map_err(|error| IndexError::Unreachable(error.to_string()))?
    }
}

impl Shared {
    /// Makes collection and field indexes once per process; what exists stays as it is.
    async fn ensure_collection(&self) -> Result<(), IndexError> {
        self.collection_made.get_or_try_init(|| self.make_collection()).await.map(|_| ())
    }

    async fn make_collection(&self) -> Result<(), IndexError> {
        if self.client.collection_exists(&self.collection).await.map_err(classify)? {
            self.check_dimensions().await?;
        } else {
            let vectors = VectorParamsBuilder::new(self.dimensions as u64, Distance::Cosine);
            let create = CreateCollectionBuilder::new(&self.collection).vectors_config(vectors);
            match self.client.create_collection(create).await {
                // Another replica was faster.
                Err(error) if is_already_there(&error) => {}
                made => drop(made.map_err(classify)?),
            }
        }
        for field in KEYWORD_FIELDS {
            let index = CreateFieldIndexCollectionBuilder::new(&self.collection, field, FieldType::Keyword);
            self.client.create_field_index(index.wait(true)).await.map_err(classify)?;
        }
        for field in INTEGER_FIELDS {
            let index = CreateFieldIndexCollectionBuilder::new(&self.collection, field, FieldType::Integer)
                .field_index_params(IntegerIndexParamsBuilder::new(false, true).build());
            self.client.create_field_index(index.wait(true)).await.map_err(classify)?;
        }
        Ok(())
    }

    async fn check_dimensions(&self) -> Result<(), IndexError> {
        let info = self.client.collection_info(&self.collection).await.map_err(classify)?;
        let vectors = info.result.and_then(|info| info.config?.params?.vectors_config?.config);
        match vectors {
            Some(VectorsOf::Params(params)) if params.size != self.dimensions as u64 => {
                Err(IndexError::Refused(format!(
                    "collection {} is for vectors of {} components, the embedder makes {}; configure another collection",
                    self.collection, params.size, self.dimensions
                )))
            }
            _ => Ok(()),
        }
    }

    async fn exact(
        &self,
        partition: CachePartition,
        exact_key: String,
        now_ms: i64,
    ) -> Result<Option<Found>, IndexError> {
        self.ensure_collection().await?;
        let filter = exact_filter(&partition, &exact_key, now_ms);
        let scroll =
            ScrollPointsBuilder::new(&self.collection).filter(filter).limit(TWINS).with_payload(true);
        let twins = self.client.scroll(scroll).await.map_err(classify)?.result;
        let twins = twins.into_iter().filter(|point| belongs_to(&point.payload, &partition));
        let newest = twins.max_by_key(|point| stored_at(&point.payload));
        newest.map(|point| to_found(point.id, point.payload, 1.0)).transpose()
    }

    async fn search(&self, query: Query) -> Result<Option<Found>, IndexError> {
        self.ensure_collection().await?;
        let search = QueryPointsBuilder::new(&self.collection)
            .query(query.meaning.vector.clone())
            .filter(search_filter(&query))
            .score_threshold(query.min_similarity)
            .limit(1)
            .with_payload(true);
        let found = self.client.query(search).await.map_err(classify)?.result;
        let best = found.into_iter().find(|point| belongs_to(&point.payload, &query.partition));
        best.map(|point| to_found(point.id, point.payload, point.score.clamp(-1.0, 1.0))).transpose()
    }

    async fn upsert(&self, entries: Vec<Entry>) -> Result<(), IndexError> {
        self.ensure_collection().await?;
        let mut partitions: Vec<CachePartition> = Vec::new();
        for entry in &entries {
            if !partitions.contains(&entry.partition) {
                partitions.push(entry.partition.clone());
            }
        }
        let points: Vec<_> = entries.into_iter().map(|entry| to_point(entry, self.dimensions)).collect();
        let upsert = UpsertPointsBuilder::new(&self.collection, points).wait(true);
        self.client.upsert_points(upsert).await.map_err(classify)?;
        for partition in partitions {
            self.trim(Filter::must(in_partition(&partition)), self.capacity.per_partition).await?;
        }
        Ok(())
    }

    /// Removes the oldest points above `keep`, at most [`TRIM`] of them.
    async fn trim(&self, filter: Filter, keep: usize) -> Result<(), IndexError> {
        let count = CountPointsBuilder::new(&self.collection).filter(filter.clone()).exact(true);
        let count = self.client.count(count).await.map_err(classify)?.result.map_or(0, |count| count.count);
        let excess = count.saturating_sub(keep as u64);
        if excess == 0 {
            return Ok(());
        }
        let oldest = OrderByBuilder::new(STORED_AT).direction(Direction::Asc.into());
        let scroll = ScrollPointsBuilder::new(&self.collection)
            .filter(filter)
            .order_by(oldest)
            .limit(u32::try_from(excess).unwrap_or(TRIM).min(TRIM))
            .with_payload(false);
        let oldest = self.client.scroll(scroll).await.map_err(classify)?.result;
        self.delete_points(oldest.into_iter().filter_map(|point: RetrievedPoint| point.id).collect()).await
    }

    async fn delete_points(&self, ids: Vec<PointId>) -> Result<(), IndexError> {
        self.ensure_collection().await?;
        let delete = DeletePointsBuilder::new(&self.collection).points(PointsIdsList { ids }).wait(true);
        self.client.delete_points(delete).await.map(drop).map_err(classify)
    }

    async fn delete_matching(&self, filter: Filter) -> Result<(), IndexError> {
        self.ensure_collection().await?;
        let delete = DeletePointsBuilder::new(&self.collection).points(filter).wait(true);
        self.client.delete_points(delete).await.map(drop).map_err(classify)
    }

    async fn sweep(&self, now_ms: i64) -> Result<(), IndexError> {
        self.delete_matching(expired_filter(now_ms)).await?;
        self.trim(Filter::default(), self.capacity.total).await
    }

    async fn count(&self) -> Result<IndexStats, IndexError> {
        self.ensure_collection().await?;
        let count = CountPointsBuilder::new(&self.collection).exact(false);
        let count = self.client.count(count).await.map_err(classify)?;
        Ok(IndexStats { entries: count.result.map_or(0, |count| count.count), bytes: 0 })
    }
}

impl VectorIndex for QdrantIndex {
    fn exact<'a>(
        &'a self,
        partition: &'a CachePartition,
        exact_key: &'a str,
        now_ms: i64,
    ) -> Pending<'a, Option<Found>> {
        let shared = Arc::clone(&self.shared);
        let (partition, exact_key) = (partition.clone(), exact_key.to_owned());
        Box::pin(self.look(async move { shared.exact(partition, exact_key, now_ms).await }))
    }

    fn search<'a>(&'a self, query: &'a Query) -> Pending<'a, Option<Found>> {
        let (shared, query) = (Arc::clone(&self.shared), query.clone());
        if query.meaning.vector.len() != shared.dimensions {
            return Box::pin(async { Ok(None) });
        }
        Box::pin(self.look(async move { shared.search(query).await }))
    }

    fn upsert(&self, entries: Vec<Entry>) -> Pending<'_, ()> {
        let shared = Arc::clone(&self.shared);
        Box::pin(self.write(async move { shared.upsert(entries).await }))
    }

    fn remove<'a>(&'a self, ids: &'a [EventId]) -> Pending<'a, ()> {
        let (shared, ids) = (Arc::clone(&self.shared), ids.iter().copied().map(to_point_id).collect());
        Box::pin(self.write(async move { shared.delete_points(ids).await }))
    }

    fn invalidate<'a>(&'a self, filter: &'a CacheInvalidate) -> Pending<'a, ()> {
        let (shared, filter) = (Arc::clone(&self.shared), invalidation_filter(filter));
        Box::pin(self.write(async move { shared.delete_matching(filter).await }))
    }

    fn sweep(&self, now_ms: i64) -> Pending<'_, ()> {
        let shared = Arc::clone(&self.shared);
        Box::pin(self.write(async move { shared.sweep(now_ms).await }))
    }

    fn stats(&self) -> Pending<'_, IndexStats> {
        let shared = Arc::clone(&self.shared);
        Box::pin(self.write(async move { shared.count().await }))
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, IndexError>>,
) -> Result<T, IndexError> {
    let late = |_| IndexError::Unreachable(format!("no answer within {} ms", limit.as_millis()));
    tokio::time::timeout(limit, work).await.map_err(late)?
}

/// The client's own text may repeat what was sent; only code and message of the server are kept.
fn classify(error: QdrantError) -> IndexError {
    match error {
        QdrantError::ResponseError { status } => {
            IndexError::Unreachable(format!("{:?}: {}", status.code(), status.message()))
        }
        QdrantError::ResourceExhaustedError { .. } => IndexError::Unreachable("it is overloaded".to_owned()),
        other => IndexError::Refused(other.to_string()),
    }
}

fn is_already_there(error: &QdrantError) -> bool {
    let QdrantError::ResponseError { status } = error else { return false };
    status.message().contains("already exists")
}
