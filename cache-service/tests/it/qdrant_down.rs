//! A Qdrant server that is away: lookups miss, answers wait in the log.

use tempfile::TempDir;
use tollgate_cache_service::qdrant_loopback::{Points, QdrantLoopback};

use crate::support::*;

#[tokio::test]
async fn lookups_miss_and_stores_wait_while_qdrant_is_away() {
    let points = Points::default();
    let qdrant = QdrantLoopback::start(points.clone(), ([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = qdrant.addr();
    let index = format!("{{ qdrant: {{ url: '{}', lookup_timeout_ms: 5000 }} }}", qdrant.url());
    qdrant.stop().await;

    let dir = TempDir::new().unwrap();
    let service = Service::start(&dir, &index, "none").await;
    service.publish(vec![store_record(&store(partition("acme"), "question", "answer"))]);
    let question = question(partition("acme"), "question", None);
    let (answer, headers) = service.lookup(&question).await;
    assert!(answer.hit.is_none());
    assert_eq!(headers["x-tollgate-cache-miss"], "index");
    let metrics = service.handle.metrics();
    until("a write to fail", async || metrics.index_failures.get() > 0).await;

    let qdrant = QdrantLoopback::start(points.clone(), address).await.unwrap();
    service.await_hit(&question).await;
    assert_eq!(points.count("tollgate_cache"), Some(1));
    service.stop().await;
    qdrant.stop().await;
}

#[tokio::test]
async fn a_collection_for_other_vectors_is_not_used() {
    let points = Points::default();
    let qdrant = QdrantLoopback::start(points.clone(), ([127, 0, 0, 1], 0).into()).await.unwrap();
    let index = format!("{{ qdrant: {{ url: '{}' }} }}", qdrant.url());
    let dir = TempDir::new().unwrap();
    let embedder = endpoint_embedder(dir.path(), embeddings_endpoint());
    let service = Service::start(&dir, &index, &embedder).await;
    service.publish(vec![store_record(&store(partition("acme"), "question", "answer"))]);
    service.await_hit(&question(partition("acme"), "question", None)).await;
    service.stop().await;

    // Without the embedder vectors have another length.
    let service = Service::start(&dir, &index, "none").await;
    let (answer, headers) = service.lookup(&question(partition("acme"), "question", None)).await;
    assert!(answer.hit.is_none());
    assert_eq!(headers["x-tollgate-cache-miss"], "index");
    service.stop().await;
}
