//! No answer crosses a wall, whatever the walls are called.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::value::RawValue;
use tempfile::TempDir;
use tollgate_cache_service::config::QdrantConfig;
use tollgate_cache_service::guard::Fingerprint;
use tollgate_cache_service::index::embedded::EmbeddedIndex;
use tollgate_cache_service::index::qdrant::QdrantIndex;
use tollgate_cache_service::index::{Capacity, Entry, Meaning, Query, VectorIndex};
use tollgate_cache_service::qdrant_loopback::{Points, QdrantLoopback};
use tollgate_schemas::cache::CachePartition;
use tollgate_schemas::ids::EventId;
use uuid::Uuid;

use crate::support::now_ms;

const DIMENSIONS: usize = 8;
const CAPACITY: Capacity = Capacity { per_partition: 10_000, total: 1_000_000 };

/// Names that are easily mixed up: prefixes, separators, empty, case.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[ab]{1,2}",
        "[ab]:[ab]",
        "[aA]b?",
        Just("a/b".to_owned()),
        Just("a\u{0}b".to_owned()),
        Just("a b".to_owned()),
        Just("b a".to_owned()),
        Just("*".to_owned()),
        Just("é".to_owned()),
    ]
}

fn partitions() -> impl Strategy<Value = Vec<CachePartition>> {
    let one = (name(), name(), name(), name()).prop_map(|(tenant, scope, model, context)| CachePartition {
        tenant: tenant.into(),
        scope: scope.into(),
        model: model.into(),
        context_hash: context.into(),
    });
    proptest::collection::vec(one, 2..40)
}

fn entry(n: usize, partition: &CachePartition) -> Entry {
    Entry {
        event_id: EventId(Uuid::from_u128(n as u128 + 1)),
        partition: partition.clone(),
        // Everybody asks the same question, so that only the walls tell the answers apart.
        exact_key: "the same".into(),
        meaning: Some(meaning()),
        stored_at_ms: now_ms(),
        expires_at_ms: now_ms() + 600_000,
        response: RawValue::from_string(n.to_string()).unwrap(),
    }
}

fn meaning() -> Meaning {
    Meaning { vector: vec![1.0 / (DIMENSIONS as f32).sqrt(); DIMENSIONS], guard: Fingerprint(1) }
}

/// Every second partition has an answer; looks into all of them. Returns the number of lookups.
async fn check(index: &dyn VectorIndex, partitions: &[CachePartition]) -> usize {
    let distinct: Vec<&CachePartition> = partitions.iter().collect::<HashSet<_>>().into_iter().collect();
    let entries = distinct.iter().enumerate().filter(|(n, _)| n % 2 == 0);
    index.upsert(entries.map(|(n, partition)| entry(n, partition)).collect()).await.unwrap();
    for (n, partition) in distinct.iter().enumerate() {
        let expected = (n % 2 == 0).then(|| n.to_string());
        let exact = index.exact(partition, "the same", now_ms()).await.unwrap();
        assert_eq!(exact.map(|found| found.response.get().to_owned()), expected, "{partition:?}");
        let query = Query {
            partition: (*partition).clone(),
            meaning: meaning(),
            min_similarity: 0.0,
            now_ms: now_ms(),
        };
        let near = index.search(&query).await.unwrap();
        assert_eq!(near.map(|found| found.response.get().to_owned()), expected, "{partition:?}");
    }
    distinct.len() * 2
}

#[test]
fn no_lookup_in_the_embedded_index_crosses_a_wall() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lookups = std::cell::Cell::new(0);
    proptest!(ProptestConfig { cases: 200, ..ProptestConfig::default() }, |(partitions in partitions())| {
        let dir = TempDir::new().unwrap();
        let index = EmbeddedIndex::open(dir.path(), DIMENSIONS, CAPACITY).unwrap();
        lookups.set(lookups.get() + runtime.block_on(check(&index, &partitions)));
    });
    println!("lookups={} crossings=0", lookups.get());
}

#[test]
fn no_lookup_in_qdrant_crosses_a_wall() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server =
        runtime.block_on(QdrantLoopback::start(Points::default(), ([127, 0, 0, 1], 0).into())).unwrap();
    let case = std::cell::Cell::new(0);
    proptest!(ProptestConfig { cases: 12, ..ProptestConfig::default() }, |(partitions in partitions())| {
        case.set(case.get() + 1);
        let config = QdrantConfig {
            url: server.url(),
            api_key: None,
            collection: format!("case-{}", case.get()),
            lookup_timeout_ms: 20_000,
            write_timeout_ms: 20_000,
        };
        let index = QdrantIndex::new(&config, DIMENSIONS, CAPACITY, runtime.handle().clone()).unwrap();
        runtime.block_on(check(&index, &partitions));
    });
    runtime.block_on(server.stop());
}

#[test]
fn the_oldest_entries_leave_qdrant_when_it_is_full() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let points = Points::default();
        let server = QdrantLoopback::start(points.clone(), ([127, 0, 0, 1], 0).into()).await.unwrap();
        let config = QdrantConfig {
            url: server.url(),
            api_key: None,
            collection: "full".to_owned(),
            lookup_timeout_ms: 20_000,
            write_timeout_ms: 20_000,
        };
        let capacity = Capacity { per_partition: 3, total: 4 };
        let index =
            QdrantIndex::new(&config, DIMENSIONS, capacity, tokio::runtime::Handle::current()).unwrap();
        let at = |n: usize, tenant: &str| Entry {
            exact_key: Arc::from(n.to_string()),
            stored_at_ms: now_ms() + n as i64,
            ..entry(n, &crate::support::partition(tenant))
        };
        index.upsert((0..5).map(|n| at(n, "acme")).collect()).await.unwrap();
        assert_eq!(points.count("full"), Some(3));
        index.upsert((5..8).map(|n| at(n, "umbrella")).collect()).await.unwrap();
        index.sweep(now_ms()).await.unwrap();
        assert_eq!(points.count("full"), Some(4));
        for (n, tenant, kept) in
            [(1, "acme", false), (3, "acme", false), (4, "acme", true), (5, "umbrella", true)]
        {
            let partition = crate::support::partition(tenant);
            let found = index.exact(&partition, &n.to_string(), now_ms()).await.unwrap();
            assert_eq!(found.is_some(), kept, "{n}");
        }
        server.stop().await;
    });
}
