//! The real model with the guard: paraphrases hit, look-alikes do not.

use std::sync::Arc;

use tempfile::TempDir;
use tollgate_cache_service::config::EmbedderConfig;
use tollgate_cache_service::embed::Embedder;
use tollgate_cache_service::embed::minilm::MiniLm;
use tollgate_schemas::cache::{HitKind, LookupRequest};

use crate::support::*;

/// The similarity that separates the pairs below, together with the guard.
const MIN_SIMILARITY: f32 = 0.80;

#[tokio::test]
async fn paraphrases_hit_and_look_alikes_miss() {
    let Some(model) = installed_model() else { return };
    let dir = TempDir::new().unwrap();
    let mut config = config(dir.path(), &embedded_index(dir.path()), "none", "");
    config.embedder = EmbedderConfig::Minilm(model);
    let log = tollgate_eventlog::open(&config.events).unwrap();
    let handle = tollgate_cache_service::start(config, Arc::clone(&log)).await.unwrap();
    let service = Service { handle, log };

    let paraphrases = [
        ("How do I reset my password?", "How can I reset the password?"),
        ("What is the capital of France?", "Which city is the capital of France?"),
        ("How do I enable 2FA on my account?", "How can I activate 2FA for my account?"),
        ("Explain how photosynthesis works", "Can you explain how photosynthesis works?"),
        ("What was the revenue in 2023?", "How much was the revenue in 2023?"),
        ("How long does it take to run 10 miles?", "How much time does it take to run 10 miles?"),
        ("Suggest a recipe for banana bread", "Can you suggest a banana bread recipe?"),
    ];
    let look_alikes = [
        ("What was the revenue in 2023?", "What was the revenue in 2024?"),
        ("How long does it take to run 10 miles?", "How long does it take to run 25 miles?"),
        ("How do I enable 2FA on my account?", "How do I disable 2FA on my account?"),
        ("good morning", "good night"),
        ("What is the capital of France?", "What is the capital of Spain?"),
        ("Is this mushroom safe to eat?", "Is this mushroom not safe to eat?"),
        ("Translate \"cat\" to French", "Translate \"dog\" to French"),
        ("How do I reset my password?", "Who invented the telephone?"),
    ];
    let asked: Vec<&str> = paraphrases.iter().chain(&look_alikes).map(|(asked, _)| *asked).collect();
    let stores: Vec<_> = asked.iter().map(|text| store(partition(text), text, text)).collect();
    service.publish(stores.iter().map(store_record).collect());
    service.await_records(stores.len() as u64).await;

    let ask = async |asked: &str, text: &str| {
        let lookup: LookupRequest = question(partition(asked), text, Some(MIN_SIMILARITY));
        service.lookup(&lookup).await.0.hit
    };
    for (asked, again) in paraphrases {
        let hit = ask(asked, again).await;
        assert_eq!(hit.map(|hit| hit.kind), Some(HitKind::Semantic), "{asked} / {again}");
    }
    for (asked, other) in look_alikes {
        assert!(ask(asked, other).await.is_none(), "{asked} / {other}");
    }
    service.stop().await;
}

#[test]
fn the_model_gives_unit_vectors_and_refuses_what_it_cannot_see_whole() {
    let Some(config) = installed_model() else { return };
    let model = MiniLm::load(&config.model_dir, &config.onnxruntime, 1).unwrap();
    let cosine = |a: &str, b: &str| -> f32 {
        let (a, b) = (model.embed(a).unwrap(), model.embed(b).unwrap());
        a.iter().zip(&b).map(|(a, b)| a * b).sum()
    };
    assert_eq!(model.embed("hello").unwrap().len(), model.dimensions());
    assert!((cosine("hello", "hello") - 1.0).abs() < 1e-5);
    // What the guard is for.
    assert!(cosine("What was the revenue in 2023?", "What was the revenue in 2024?") > 0.9);
    assert!(cosine("How do I reset my password?", "Who invented the telephone?") < 0.3);
    assert!(model.embed(&"word ".repeat(300)).is_err(), "more than it reads at once");
    assert!(model.embed("\u{1F9A9}\u{1F9A9} what is this").is_err(), "a sign it does not know");
}

#[test]
fn a_model_that_is_not_installed_is_named() {
    let dir = TempDir::new().unwrap();
    let error = MiniLm::load(dir.path(), &dir.path().join("lib.so"), 1).unwrap_err().to_string();
    assert!(error.contains("model.onnx is missing; deploy/setup/minilm installs it"), "{error}");
}
