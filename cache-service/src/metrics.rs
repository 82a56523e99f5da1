//! Every metric of the cache service. Labels are closed sets.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// How a lookup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LookupResult {
    /// Found by exact key.
    HitExact,
    /// Found by meaning.
    HitSemantic,
    /// Nothing fits.
    MissNotFound,
    /// Not in time.
    MissDeadline,
    /// The text cannot be compared by meaning, and there was no exact match.
    MissUnsuitable,
    /// The embedder failed.
    MissEmbedder,
    /// The index failed or is unreachable.
    MissIndex,
}

/// What became of a record of the cache topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordResult {
    /// Kept, to be found by meaning too.
    Stored,
    /// Kept for exact matches only, as asked for or because the text cannot be embedded.
    StoredExactOnly,
    /// An invalidation was carried out.
    Invalidated,
    /// Not kept: its time is over.
    SkippedExpired,
    /// Not kept: the answer is too large.
    SkippedTooLarge,
    /// Not kept: an invalidation that names it came first.
    SkippedInvalidated,
    /// Not understood.
    Unreadable,
}

impl LookupResult {
    const fn label(self) -> &'static str {
        match self {
            Self::HitExact => "hit_exact",
            Self::HitSemantic => "hit_semantic",
            Self::MissNotFound => "miss_not_found",
            Self::MissDeadline => "miss_deadline",
            Self::MissUnsuitable => "miss_unsuitable",
            Self::MissEmbedder => "miss_embedder",
            Self::MissIndex => "miss_index",
        }
    }
}

impl EncodeLabelValue for LookupResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.label(), encoder)
    }
}

impl RecordResult {
    const fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::StoredExactOnly => "stored_exact_only",
            Self::Invalidated => "invalidated",
            Self::SkippedExpired => "skipped_expired",
            Self::SkippedTooLarge => "skipped_too_large",
            Self::SkippedInvalidated => "skipped_invalidated",
            Self::Unreadable => "unreadable",
        }
    }
}

impl EncodeLabelValue for RecordResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.label(), encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookupLabels {
    result: LookupResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordLabels {
    result: RecordResult,
}

/// The metrics.
#[derive(Debug)]
pub struct Metrics {
    lookups: Family<LookupLabels, Counter>,
    records: Family<RecordLabels, Counter>,
    /// Failed tries to write to the index.
    pub index_failures: Counter,
    /// How long lookups take.
    pub lookup_seconds: Histogram,
    /// How long the model takes to embed a text.
    pub embed_seconds: Histogram,
    /// Entries in the index.
    pub entries: Gauge,
    /// Bytes of the index on disk; 0 where unknown.
    pub index_bytes: Gauge,
    /// Records of the cache topic that were not read yet.
    pub lag: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            lookups: Family::default(),
            records: Family::default(),
            index_failures: Counter::default(),
            lookup_seconds: Histogram::new(exponential_buckets(0.000_1, 2.5, 10)),
            embed_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 10)),
            entries: Gauge::default(),
            index_bytes: Gauge::default(),
            lag: Gauge::default(),
        }
    }
}

impl Metrics {
    /// One more lookup ended like this.
    pub fn lookup(&self, result: LookupResult) {
        self.lookups.get_or_create(&LookupLabels { result }).inc();
    }

    /// One more record of the topic ended like this.
    pub fn record(&self, result: RecordResult) {
        self.records.get_or_create(&RecordLabels { result }).inc();
    }

    /// Lookups that ended like this.
    #[must_use]
    pub fn lookups(&self, result: LookupResult) -> u64 {
        self.lookups.get_or_create(&LookupLabels { result }).get()
    }

    /// Records that ended like this.
    #[must_use]
    pub fn records(&self, result: RecordResult) -> u64 {
        self.records.get_or_create(&RecordLabels { result }).get()
    }

    /// A registry with all of them.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("tollgate_cache");
        registry.register("lookups", "Lookups by result", self.lookups.clone());
        registry.register("records", "Records of the cache topic by result", self.records.clone());
        registry.register("index_failures", "Failed writes to the index", self.index_failures.clone());
        registry.register("lookup_seconds", "Duration of lookups", self.lookup_seconds.clone());
        registry.register("embed_seconds", "Duration of embedding a text", self.embed_seconds.clone());
        registry.register("entries", "Entries in the index", self.entries.clone());
        registry.register("index_bytes", "Bytes of the index on disk", self.index_bytes.clone());
        registry.register("lag_records", "Records of the cache topic not read yet", self.lag.clone());
        registry
    }
}
