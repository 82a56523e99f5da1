//! Answers lookups: exact first, then by meaning, within a deadline.
//!
//! A lookup never fails: whatever goes wrong is a miss with a reason, and the caller asks the model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tollgate_schemas::cache::{CacheHit, CacheInvalidate, HitKind, LookupRequest, LookupResponse};

use crate::clock::Clock;
use crate::embed::{EmbedError, Embeddings};
use crate::guard::fingerprint;
use crate::index::{Found, IndexError, Meaning, Query, VectorIndex};
use crate::invalidations::Invalidations;
use crate::metrics::{LookupResult, Metrics};

/// The cache; a cheap handle that may be used from any thread and any tokio runtime.
#[derive(Debug, Clone)]
pub struct Cache {
    pub(crate) index: Arc<dyn VectorIndex>,
    pub(crate) embeddings: Option<Embeddings>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
    pub(crate) runtime: Handle,
    pub(crate) invalidations: Arc<Invalidations>,
}

/// Why nothing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Miss {
    /// Nothing fits.
    NotFound,
    /// The deadline came first.
    Deadline,
    /// There is no exact match, and the text cannot be compared by meaning.
    Unsuitable,
    /// There is no exact match, and the embedder failed.
    Embedder,
    /// The index failed or is unreachable.
    Index,
}

impl Miss {
    /// A stable word for headers and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Deadline => "deadline",
            Self::Unsuitable => "unsuitable",
            Self::Embedder => "embedder",
            Self::Index => "index",
        }
    }

    const fn result(self) -> LookupResult {
        match self {
            Self::NotFound => LookupResult::MissNotFound,
            Self::Deadline => LookupResult::MissDeadline,
            Self::Unsuitable => LookupResult::MissUnsuitable,
            Self::Embedder => LookupResult::MissEmbedder,
            Self::Index => LookupResult::MissIndex,
        }
    }
}

impl Cache {
    /// Is there an answer for this? Takes at most `deadline`, or the time of one file read.
    pub async fn lookup(&self, request: LookupRequest, deadline: Duration) -> LookupResponse {
        LookupResponse { hit: self.find(&request, deadline).await.ok() }
    }

    /// As [`Cache::lookup`], with the reason of a miss.
    ///
    /// # Errors
    /// The reason why there is no answer.
    pub async fn find(&self, request: &LookupRequest, deadline: Duration) -> Result<CacheHit, Miss> {
        let started = Instant::now();
        let found = tokio::time::timeout(deadline, self.search(request)).await.unwrap_or(Err(Miss::Deadline));
        self.metrics.lookup_seconds.observe(started.elapsed().as_secs_f64());
        self.metrics.lookup(match &found {
            Ok(CacheHit { kind: HitKind::Exact, .. }) => LookupResult::HitExact,
            Ok(CacheHit { kind: HitKind::Semantic, .. }) => LookupResult::HitSemantic,
            Err(miss) => miss.result(),
        });
        found
    }

    async fn search(&self, request: &LookupRequest) -> Result<CacheHit, Miss> {
        let now_ms = self.clock.now_ms();
        let exact = self.index.exact(&request.partition, &request.exact_key, now_ms).await;
        if let Some(found) = exact.map_err(index_miss)? {
            return Ok(hit(found, HitKind::Exact));
        }
        let Some(min_similarity) = request.min_similarity else { return Err(Miss::NotFound) };
        let Some(embeddings) = self.embeddings.as_ref().filter(|_| !request.text.is_empty()) else {
            return Err(Miss::NotFound);
        };
        let vector = embeddings.embed(&request.text).await.map_err(embed_miss)?;
        let query = Query {
            partition: request.partition.clone(),
            meaning: Meaning {
                vector: vector.to_vec(),
                guard: fingerprint(&request.text, embeddings.name()),
            },
            min_similarity,
            now_ms,
        };
        let found = self.index.search(&query).await.map_err(index_miss)?;
        // Every index filters already; what crosses this line goes to a client.
        let similar = found.filter(|found| found.similarity >= min_similarity);
        similar.map(|found| hit(found, HitKind::Semantic)).ok_or(Miss::NotFound)
    }

    /// Forgets what `filter` names, also what is still on its way here. Without `stored_before_ms`,
    /// everything that was stored before now.
    ///
    /// # Errors
    /// When the index could not do it; nothing is forgotten for sure then.
    pub async fn invalidate(&self, mut filter: CacheInvalidate) -> Result<(), IndexError> {
        filter.stored_before_ms.get_or_insert_with(|| self.clock.now_ms() + 1);
        self.invalidations.add(filter.clone());
        let (index, runtime) = (Arc::clone(&self.index), self.runtime.clone());
        // The embedded index waits for a disk here.
        let work = self.runtime.spawn_blocking(move || runtime.block_on(index.invalidate(&filter)));
        work.await.map_err(|error| IndexError::Refused(error.to_string()))?
    }
}

fn hit(found: Found, kind: HitKind) -> CacheHit {
    let Found { event_id, similarity, stored_at_ms, response } = found;
    CacheHit { kind, similarity, stored_at_ms, event_id, response }
}

fn index_miss(error: IndexError) -> Miss {
    // An open circuit has been logged when it opened.
    if !matches!(error, IndexError::CircuitOpen) {
        tracing::warn!(error = %tollgate_base::errors::chain(&error), "cache index failed a lookup");
    }
    Miss::Index
}

fn embed_miss(error: EmbedError) -> Miss {
    match error {
        EmbedError::Unsuitable(_) => Miss::Unsuitable,
        EmbedError::Failed(reason) => {
            tracing::warn!(reason, "embedding a lookup failed");
            Miss::Embedder
        }
    }
}
