//! One story for both indexes, and what only HTTP shows.

use http::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tollgate_cache_service::qdrant_loopback::{Points, QdrantLoopback};
use tollgate_schemas::cache::{CacheInvalidate, HitKind};

use crate::support::*;

/// Stored answers are found by key and by meaning, only where they belong, until they are invalidated.
async fn the_life_of_an_answer(dir: &TempDir, index: &str) {
    let embedder = endpoint_embedder(dir.path(), embeddings_endpoint());
    let service = Service::start(dir, index, &embedder).await;
    let text = "how do I bake bread with walnuts";
    let stored = store(partition("acme"), text, "slowly");
    service.publish(vec![store_record(&stored)]);

    let exact = service.await_hit(&question(partition("acme"), text, None)).await.hit.unwrap();
    assert_eq!((exact.kind, exact.event_id), (HitKind::Exact, stored.event_id));
    assert_eq!(exact.response.get(), r#"{"answer":"slowly"}"#);
    assert_eq!(exact.stored_at_ms, stored.stored_at_ms);

    let near = question(partition("acme"), "how do I bake a bread with walnuts", Some(0.8));
    let semantic = service.lookup(&near).await.0.hit.unwrap();
    assert_eq!((semantic.kind, semantic.event_id), (HitKind::Semantic, stored.event_id));
    assert!(semantic.similarity > 0.8 && semantic.similarity < 1.0, "{}", semantic.similarity);

    for (question, reason) in [
        (question(partition("acme"), "how do I bake a bread with walnuts", None), "not_found"),
        (question(partition("acme"), "how do I bake a bread with walnuts", Some(0.999)), "not_found"),
        (question(partition("acme"), "how do I not bake bread with walnuts", Some(0.8)), "not_found"),
        (question(partition("acme"), "how do I bake 2 breads with walnuts", Some(0.5)), "not_found"),
        (question(partition("umbrella"), text, Some(0.0)), "not_found"),
        (question(partition("acme"), &"too long ".repeat(2_000), Some(0.5)), "unsuitable"),
    ] {
        let (answer, headers) = service.lookup(&question).await;
        assert!(answer.hit.is_none(), "{question:?}");
        assert_eq!(headers["x-tollgate-cache-miss"], reason, "{question:?}");
    }

    // The same event again changes nothing; an invalidation of another tenant neither.
    let other =
        CacheInvalidate { tenant: "umbrella".into(), scope: None, model: None, stored_before_ms: None };
    service.publish(vec![store_record(&stored), invalidate_record(&other)]);
    service.await_records(3).await;
    assert!(service.lookup(&near).await.0.hit.is_some());

    let (status, _, _) = service.post("/v1/invalidate", &json!({ "tenant": "acme" }), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(service.lookup(&near).await.0.hit.is_none());
    assert!(service.lookup(&question(partition("acme"), text, None)).await.0.hit.is_none());
    // An answer from before the invalidation that arrives after it stays out.
    service.publish(vec![store_record(&stored)]);
    service.await_records(4).await;
    assert!(service.lookup(&near).await.0.hit.is_none());
    service.stop().await;
}

#[tokio::test]
async fn the_embedded_index_keeps_answers_until_they_are_invalidated() {
    let dir = TempDir::new().unwrap();
    the_life_of_an_answer(&dir, &embedded_index(dir.path())).await;
}

#[tokio::test]
async fn qdrant_keeps_answers_until_they_are_invalidated() {
    let qdrant = QdrantLoopback::start(Points::default(), ([127, 0, 0, 1], 0).into()).await.unwrap();
    let dir = TempDir::new().unwrap();
    the_life_of_an_answer(&dir, &format!("{{ qdrant: {{ url: '{}' }} }}", qdrant.url())).await;
}

#[tokio::test]
async fn answers_survive_a_restart() {
    let dir = TempDir::new().unwrap();
    let index = embedded_index(dir.path());
    let service = Service::start(&dir, &index, "none").await;
    service.publish(vec![store_record(&store(partition("acme"), "question", "answer"))]);
    let question = question(partition("acme"), "question", None);
    service.await_hit(&question).await;
    service.stop().await;
    let service = Service::start(&dir, &index, "none").await;
    assert!(service.lookup(&question).await.0.hit.is_some());
    service.stop().await;
}

#[tokio::test]
async fn the_cache_serves_callers_in_its_own_process() {
    let dir = TempDir::new().unwrap();
    let service = Service::start(&dir, &embedded_index(dir.path()), "none").await;
    service.publish(vec![store_record(&store(partition("acme"), "question", "answer"))]);
    let question = question(partition("acme"), "question", Some(0.9));
    service.await_hit(&question).await;
    let cache = service.handle.cache();
    // From a thread with a runtime of its own, as the gateway's workers are.
    let found = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(cache.lookup(question, PATIENCE))
    });
    assert_eq!(found.join().unwrap().hit.unwrap().kind, HitKind::Exact);
    service.stop().await;
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_a_miss() {
    let dir = TempDir::new().unwrap();
    let embedder = endpoint_embedder(dir.path(), embeddings_endpoint());
    let service = Service::start(&dir, &embedded_index(dir.path()), &embedder).await;
    let question = question(partition("acme"), "never asked before", Some(0.5));
    let miss = service.handle.cache().find(&question, std::time::Duration::ZERO).await.unwrap_err();
    assert_eq!(miss.code(), "deadline");
    service.stop().await;
}

#[tokio::test]
async fn an_embedder_that_fails_is_a_miss_and_exact_answers_still_hit() {
    let dir = TempDir::new().unwrap();
    // Nobody listens there.
    let embedder = endpoint_embedder(dir.path(), ([127, 0, 0, 1], 1).into());
    let service = Service::start(&dir, &embedded_index(dir.path()), &embedder).await;
    service.publish(vec![store_record(&store(partition("acme"), "question", "answer"))]);
    service.await_hit(&question(partition("acme"), "question", Some(0.5))).await;
    let (answer, headers) = service.lookup(&question(partition("acme"), "another", Some(0.5))).await;
    assert!(answer.hit.is_none());
    assert_eq!(headers["x-tollgate-cache-miss"], "embedder");
    service.stop().await;
}

#[tokio::test]
async fn bad_requests_and_wrong_tokens_are_refused() {
    let dir = TempDir::new().unwrap();
    let secret = dir.path().join("token");
    std::fs::write(&secret, "sesame").unwrap();
    let more =
        format!("token: '${{secret:file:{}}}'\nlimits: {{ max_request_bytes: 1000 }}", secret.display());
    let service = Service::start_with(&dir, &embedded_index(dir.path()), "none", &more).await;
    let good = serde_json::to_value(question(partition("acme"), "q", None)).unwrap();
    let mut wide = good.clone();
    wide["min_similarity"] = json!(1.5);
    let mut large = good.clone();
    large["text"] = json!("x".repeat(2_000));
    for (path, body, token, expected) in [
        ("/v1/lookup", &good, Some("sesame"), StatusCode::OK),
        ("/v1/lookup", &good, None, StatusCode::UNAUTHORIZED),
        ("/v1/lookup", &good, Some("Sesame"), StatusCode::UNAUTHORIZED),
        ("/v1/invalidate", &json!({ "tenant": "acme" }), None, StatusCode::UNAUTHORIZED),
        ("/v1/lookup", &json!({ "text": 1 }), Some("sesame"), StatusCode::BAD_REQUEST),
        ("/v1/lookup", &wide, Some("sesame"), StatusCode::BAD_REQUEST),
        ("/v1/lookup", &large, Some("sesame"), StatusCode::PAYLOAD_TOO_LARGE),
        ("/v1/invalidate", &json!({}), Some("sesame"), StatusCode::BAD_REQUEST),
        ("/v1/nothing", &good, Some("sesame"), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(service.post(path, body, token).await.0, expected, "{path} {token:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn health_and_metrics_tell_how_it_is() {
    let dir = TempDir::new().unwrap();
    let service = Service::start(&dir, &embedded_index(dir.path()), "none").await;
    assert_eq!(service.get("/healthz").await.0, StatusCode::OK);
    until("the service to be ready", async || service.get("/readyz").await.0 == StatusCode::OK).await;
    service.publish(vec![store_record(&store(partition("acme"), "q", "a"))]);
    service.await_hit(&question(partition("acme"), "q", None)).await;
    // An entry can be found a moment before it is counted.
    let stored = "tollgate_cache_records_total{result=\"stored_exact_only\"} 1";
    until("the entry to be counted", async || service.get("/metrics").await.2.contains(stored)).await;
    let (_, _, metrics) = service.get("/metrics").await;
    for line in [
        "tollgate_cache_lookups_total{result=\"hit_exact\"} 2",
        "tollgate_cache_lookup_seconds_count ",
        "tollgate_cache_entries ",
        "tollgate_cache_index_bytes ",
        "tollgate_cache_lag_records ",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = TempDir::new().unwrap();
    let mut config = config(dir.path(), &embedded_index(dir.path()), "none", "");
    config.listen = taken.local_addr().unwrap();
    let log = tollgate_eventlog::open(&config.events).unwrap();
    let error = tollgate_cache_service::start(config, log).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {}", taken.local_addr().unwrap()));
}
