//! Answers are used again for the same question and for one that means the same, never across tenants.

use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_schemas::usage::Outcome;
use tollgate_tests::harness::cache::Cache;
use tollgate_tests::harness::gateway::{Gateway, GatewayConfig, Subscriber, chat, chat_stream};
use tollgate_tests::harness::http::Reply;
use tollgate_tests::harness::topic::UsageTopic;
use tollgate_tests::harness::wait;
use tollgate_tests::sim::{Options, Sim};

use crate::support::{CHAT, shared_kafka, sim, team, text_of};

struct CacheBed {
    gateway: Gateway,
    sim: Sim,
    topic: UsageTopic,
    _cache: Cache,
    _folder: TempDir,
}

/// Alias `chat` is cached for a team, alias `large` is not; tenants acme (checkout) and other (stranger).
async fn cache_bed(prefix: &str) -> Option<CacheBed> {
    if !Cache::model_available() {
        return None;
    }
    let kafka = shared_kafka().await?;
    let folder = tempfile::tempdir().unwrap();
    let sim = sim(Options::default()).await;
    let cache = Cache::start(folder.path(), kafka.events(prefix)).await.unwrap();
    let semantic = json!({ "semantic": { "min_similarity": 0.9, "ttl": "1h", "scope": "team" } });
    let stranger =
        Subscriber { name: "stranger", product: "gold", tenant: "other", cost_center: "9", team: "checkout" };
    let gateway = GatewayConfig::usual(folder.path(), &sim.url())
        .unwrap()
        .events(kafka.events(prefix))
        .set("models.chat.cache", semantic)
        .set("cache_service", cache.config())
        .subscription(&stranger)
        .subscription(&team("search", "gold", "4712"))
        .start()
        .await
        .unwrap();
    let topic = UsageTopic::new(&kafka.broker(), prefix);
    Some(CacheBed { gateway, sim, topic, _cache: cache, _folder: folder })
}

impl CacheBed {
    async fn ask(&self, who: &str, body: &Value) -> Reply {
        let reply = self.gateway.client(who).post(CHAT, body).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply
    }

    /// Asks until the cache answers with `verdict`: stored answers take a moment to arrive.
    async fn ask_until(&self, who: &str, body: &Value, verdict: &str) -> Reply {
        let probe = || async {
            Some(self.ask(who, body).await).filter(|reply| reply.header("x-tollgate-cache") == verdict)
        };
        wait::until(&format!("the cache says {verdict}"), wait::EFFECT, probe).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_is_answered_once_and_paid_once() {
    let Some(mut bed) = cache_bed("exact.").await else { return };
    let question = chat("chat", "What are the opening hours of the shop in Krakow?");
    let first = bed.ask("checkout", &question).await;
    assert_eq!(first.header("x-tollgate-cache"), "miss");
    let hit = bed.ask_until("checkout", &question, "hit-exact").await;
    assert_eq!(text_of(&hit), text_of(&first));
    let calls = bed.sim.state().model_stats("sim-small").requests;
    bed.ask_until("checkout", &question, "hit-exact").await;
    assert_eq!(bed.sim.state().model_stats("sim-small").requests, calls, "a hit went to the backend");

    bed.gateway.stop().await.unwrap();
    let cached = |records: &tollgate_tests::harness::topic::Records| {
        let hits = records.rows().into_iter().filter(|row| row.outcome == Outcome::CacheHit);
        hits.filter(|row| row.cached_from.is_some()).count()
    };
    bed.topic.read_until(wait::EFFECT, |records| cached(records) >= 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_means_the_same_is_a_hit_and_one_with_other_numbers_is_not() {
    let Some(bed) = cache_bed("semantic.").await else { return };
    let question = chat("chat", "How can I reset my password?");
    let first = bed.ask("checkout", &question).await;
    // Once it is stored the paraphrase can be found; asked earlier it would be stored itself.
    bed.ask_until("checkout", &question, "hit-exact").await;
    let hit = bed.ask("checkout", &chat("chat", "How do I reset my password?")).await;
    assert_eq!(hit.header("x-tollgate-cache"), "hit-semantic");
    assert_eq!(text_of(&hit), text_of(&first));

    bed.ask("checkout", &chat("chat", "What was the revenue in 2023?")).await;
    bed.ask_until("checkout", &chat("chat", "What was the revenue in 2023?"), "hit-exact").await;
    let other_year = bed.ask("checkout", &chat("chat", "What was the revenue in 2024?")).await;
    assert_eq!(other_year.header("x-tollgate-cache"), "miss");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_the_answers_of_another_tenant_or_team() {
    let Some(bed) = cache_bed("tenants.").await else { return };
    let question = chat("chat", "Which customers left us last year?");
    bed.ask("checkout", &question).await;
    bed.ask_until("checkout", &question, "hit-exact").await;
    for other in ["stranger", "search"] {
        assert_eq!(bed.ask(other, &question).await.header("x-tollgate-cache"), "miss", "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_models_without_a_cache_are_not_looked_up() {
    let Some(bed) = cache_bed("bypass.").await else { return };
    for _ in 0..2 {
        assert_eq!(bed.ask("checkout", &chat("large", "Hello")).await.header("x-tollgate-cache"), "");
    }
    let client = bed.gateway.client("checkout");
    let mut stream = client.stream(CHAT, &chat_stream("chat", "Hello")).await.unwrap();
    assert_eq!(stream.headers["x-tollgate-cache"], "bypass");
    stream.rest().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_away_costs_nothing_but_the_hit() {
    let nobody = tollgate_tests::harness::ports::free().unwrap();
    let bed = crate::support::bed(Options::default(), |config| {
        config
            .set(
                "models.chat.cache",
                json!({ "semantic": { "min_similarity": 0.9, "ttl": "1h", "scope": "team" } }),
            )
            .set("cache_service", json!({ "url": format!("http://{nobody}"), "deadline": "50ms" }))
    })
    .await;
    let reply = bed.gateway.client("checkout").post(CHAT, &chat("chat", "Hello")).await.unwrap();
    text_of(&reply);
    assert_eq!(reply.header("x-tollgate-cache"), "miss");
}
