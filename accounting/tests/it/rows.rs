//! What is written comes back as it was, by either engine; deliveries that repeat change no report.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tollgate_accounting::reports::{Chargeback, Dimension, Period, drill_down};
use tollgate_accounting::rollup::Rollup;
use tollgate_accounting::row::UsageRow;
use tollgate_accounting::store::LedgerStore;
use tollgate_eventlog::{Position, Topic};
use tollgate_schemas::money::Pico;
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::{Operation, Outcome, UsageEvent, UsageSource};

use crate::support::{NOW_MS, blocks, deliver, embedded, event, lines, number, prices, through_the_client};

fn november() -> Period {
    Period::month("2026-11").unwrap()
}

/// An event that has a value of its own in every field.
fn full_event() -> UsageEvent {
    let mut event = event(7);
    event.attempt = 2;
    event.version = 3;
    event.payer.app = "shop".into();
    event.payer.product = "gold".into();
    event.payer.subject = Some("hmac:1".into());
    event.payer.tags =
        BTreeMap::from([("env".into(), "prod".into()), ("naïve ' \" key".into(), "\u{1f600}\n".into())]);
    event.call.operation = Operation::Embeddings;
    event.call.region = "eu".into();
    event.call.stream = true;
    event.call.variant = Some("b".into());
    event.lines = lines(&[(TokenClass::Embedding, u64::from(u32::MAX)), (TokenClass::Input, 3)]);
    event.usage_source = UsageSource::Counted;
    event.outcome = Outcome::ClientAbort;
    event.http_status = 499;
    event.cached_from = Some(crate::support::event(1).event_id);
    event.error_code = Some("client_closed".into());
    event
}

async fn every_field_comes_back(store: &LedgerStore) {
    let event = full_event();
    deliver(store, std::slice::from_ref(&event), 5).await;
    let views = drill_down::events_of(store, event.request_id.0).await.unwrap();
    assert_eq!(views.len(), 1);
    let view = &views[0];
    assert_eq!((view.event_id, view.request_id), (event.event_id.0, event.request_id.0));
    assert_eq!((view.attempt, view.version), (2, 3));
    assert_eq!(view.event_time, "2026-11-18T11:08:43.463Z");
    assert_eq!(view.ended_at, "2026-11-18T11:08:44.363Z");
    let payer = [&view.tenant, &view.cost_center, &view.team, &view.app, &view.product];
    assert_eq!(payer, ["acme", "4711", "checkout", "shop", "gold"]);
    let payer = [&view.subscription, &view.key_id, &view.subject];
    assert_eq!(payer, ["checkout-team", "key-1", "hmac:1"]);
    assert_eq!(view.tags["naïve ' \" key"], "\u{1f600}\n");
    assert_eq!(view.tags["env"], "prod");
    let call = [&view.operation, &view.provider, &view.backend, &view.region, &view.model_requested];
    assert_eq!(call, ["embeddings", "sim", "sim", "eu", "small"]);
    let call = [&view.model, &view.api_format, &view.variant, &view.outcome, &view.usage_source];
    assert_eq!(call, ["sim-small", "openai", "b", "client_abort", "counted"]);
    assert!(view.stream && view.unpriced);
    assert_eq!((view.http_status, view.error_code.as_str()), (499, "client_closed"));
    assert_eq!(view.cached_from, event.cached_from.map(|id| id.0));
    assert_eq!((view.latency_ms, view.ttft_ms, view.gateway_us), (900, 210, 180));
    let row =
        UsageRow::price(event.clone(), Position { topic: Topic::Usage, partition: 0, offset: 5 }, &prices());
    let row = row.unwrap();
    for (given, expected) in view.lines.iter().zip(&row.lines) {
        assert_eq!((given.class.as_str(), given.qty), (expected.class.as_str(), expected.qty));
        assert_eq!((&given.sku, &given.price_id), (&expected.sku, &expected.price_id));
        assert_eq!((given.unit_price, given.cost), (expected.unit_price, expected.cost));
    }
    assert_eq!(view.lines.len(), 2);
    assert_eq!((view.input_tokens, view.output_tokens), (u64::from(u32::MAX) + 3, 0));
    assert_eq!((view.cost, view.currency.as_str()), (row.cost, "USD"));
    assert_eq!((view.gateway_id.as_str(), view.boot_id, view.seq), ("gw-1", event.ledger.boot_id.0, 7));
    assert_eq!(number(store, "SELECT log_offset FROM usage_events").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_comes_back_from_the_embedded_engine() {
    let Some(ledger) = embedded().await else { return };
    every_field_comes_back(&ledger.store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_comes_back_through_the_client() {
    let Some(ledger) = through_the_client().await else { return };
    every_field_comes_back(&ledger.store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_can_be_applied_again() {
    let Some(ledger) = embedded().await else { return };
    deliver(&ledger.store, &[event(1)], 0).await;
    ledger.store.migrate().await.unwrap();
    assert_eq!(number(&ledger.store, "SELECT count() FROM usage_events").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_kept_for_the_configured_number_of_months() {
    let Some(ledger) = embedded().await else { return };
    let store = &ledger.store;
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let aged = |n: u64, days: i64| UsageEvent { event_time_ms: now_ms - days * 86_400_000, ..event(n) };
    deliver(store, &[aged(1, 1), aged(2, 200), aged(3, 900)], 0).await;
    for (months, kept) in [(25, 2), (25, 2), (3, 1), (25, 1)] {
        store.keep_months(months).await.unwrap();
        store.execute("OPTIMIZE TABLE usage_events FINAL").await.unwrap();
        let left = number(store, "SELECT uniqExact(event_id) FROM usage_events").await;
        assert_eq!(left, kept, "{months} months");
    }
}

async fn repeats(store: &LedgerStore) {
    let block = &blocks(&[event(1)], 0, &prices())[0];
    store.insert(block).await.unwrap();
    store.insert(block).await.unwrap();
    assert_eq!(number(store, "SELECT count() FROM usage_events").await, 1, "the same block is kept once");
    deliver(store, &[event(2)], 0).await;
    let ids = "SELECT uniqExact(event_id) FROM usage_events";
    assert_eq!(number(store, ids).await, 2, "a log begun anew has other events at the same offsets");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_block_is_dropped_and_another_at_the_same_place_is_not() {
    let Some(ledger) = embedded().await else { return };
    repeats(&ledger.store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_block_is_dropped_and_another_at_the_same_place_is_not_through_the_client() {
    let Some(ledger) = through_the_client().await else { return };
    repeats(&ledger.store).await;
}

/// What a correct ledger reports, kept beside it.
#[derive(Default)]
struct Model {
    newest: BTreeMap<uuid::Uuid, UsageEvent>,
}

impl Model {
    fn take(&mut self, event: &UsageEvent) {
        let newest = self.newest.entry(event.event_id.0).or_insert_with(|| event.clone());
        if event.version >= newest.version {
            *newest = event.clone();
        }
    }

    /// By cost center: attempts, input tokens, output tokens, cost, recovered.
    fn sums(&self) -> BTreeMap<String, (u64, u64, u64, Pico, u64)> {
        let book = prices();
        let at = Position { topic: Topic::Usage, partition: 0, offset: 0 };
        let mut sums = BTreeMap::<String, (u64, u64, u64, Pico, u64)>::new();
        for event in self.newest.values() {
            let cost = UsageRow::price(event.clone(), at, &book).unwrap().cost;
            let sum = sums.entry(event.payer.cost_center.to_string()).or_default();
            sum.0 += 1;
            sum.1 += event.input_tokens();
            sum.2 += event.output_tokens();
            sum.3 = sum.3 + cost;
            sum.4 += u64::from(event.outcome == Outcome::Recovered);
        }
        sums
    }
}

/// Events over several days, each in up to three versions; a correction may move one to another cost center.
fn history(random: &mut StdRng, events: u64) -> Vec<UsageEvent> {
    const HOURS: i64 = 60;
    let classes = [TokenClass::Input, TokenClass::InputCacheRead, TokenClass::Output, TokenClass::Image];
    let mut log = Vec::new();
    for n in 1..=events {
        let mut base = event(n);
        base.event_time_ms = NOW_MS - random.random_range(0..HOURS) * 3_600_000;
        base.payer.cost_center = format!("cc-{}", random.random_range(0..4)).into();
        base.call.model = (*["sim-small", "sim-large", "unknown"].choose(random).unwrap()).into();
        let quantity = |random: &mut StdRng| {
            let count = random.random_range(0..4);
            classes[..count].iter().map(|class| (*class, random.random_range(0..100_000))).collect::<Vec<_>>()
        };
        if random.random_bool(0.2) {
            let lines = lines(&quantity(random));
            log.push(UsageEvent { version: 0, outcome: Outcome::Recovered, lines, ..base.clone() });
        }
        if random.random_bool(0.95) {
            log.push(UsageEvent { lines: lines(&quantity(random)), ..base.clone() });
        }
        if random.random_bool(0.1) {
            let mut corrected = UsageEvent { version: 2, lines: lines(&quantity(random)), ..base.clone() };
            corrected.payer.cost_center = format!("cc-{}", random.random_range(0..4)).into();
            log.push(corrected);
        }
    }
    log
}

/// Delivers a log as a consumer does that dies at random: it starts again from its last commit, cuts batches
/// elsewhere, repeats inserts, and now and then the producer had written records twice.
async fn crash_schedule(store: &LedgerStore, seed: u64) -> Model {
    let mut random = StdRng::seed_from_u64(seed);
    let mut log = history(&mut random, 300);
    for _ in 0..log.len() / 10 {
        let copy = log[random.random_range(0..log.len())].clone();
        log.insert(random.random_range(0..=log.len()), copy);
    }
    let rollup = Rollup::new(store.clone());
    let (mut committed, mut model) = (0, Model::default());
    while committed < log.len() {
        let mut at = committed;
        for _ in 0..random.random_range(1..5) {
            let end = (at + random.random_range(1..80)).min(log.len());
            if at < end {
                deliver(store, &log[at..end], at as u64).await;
                log[at..end].iter().for_each(|event| model.take(event));
            }
            at = end;
            // Dying here loses the commit: everything from `committed` on comes again.
            if random.random_bool(0.6) {
                committed = at;
            }
        }
        if random.random_bool(0.3) {
            rollup.refresh().await.unwrap();
        }
        if random.random_bool(0.1) {
            store.execute("OPTIMIZE TABLE usage_events FINAL").await.unwrap();
        }
    }
    rollup.refresh().await.unwrap();
    model
}

async fn check_sums(store: &LedgerStore, model: &Model) {
    let report = Chargeback::make(store, november(), vec![Dimension::CostCenter]).await.unwrap();
    let given: BTreeMap<_, _> = report
        .rows
        .iter()
        .map(|row| {
            let sums = (row.attempts, row.input_tokens, row.output_tokens, row.cost, row.recovered);
            (row.values[0].clone(), sums)
        })
        .collect();
    let expected = model.sums();
    assert_eq!(given, expected);
    let total: Pico = expected.values().map(|sums| sums.3).sum();
    assert_eq!(report.totals[0].cost, total);
    assert_eq!(report.totals[0].attempts, model.newest.len() as u64);
    check_rollup(store, &expected).await;
}

async fn check_rollup(store: &LedgerStore, expected: &BTreeMap<String, (u64, u64, u64, Pico, u64)>) {
    #[derive(serde::Deserialize)]
    struct Sum {
        cc: String,
        attempts: u64,
        cost: Pico,
    }
    let sql = "SELECT toString(cost_center) AS cc, sum(r.attempts) AS attempts, sum(r.cost) AS cost
        FROM rollup_hourly AS r GROUP BY cc";
    let rows: Vec<Sum> = store.rows(sql).await.unwrap();
    let given: BTreeMap<_, _> = rows.into_iter().map(|sum| (sum.cc, (sum.attempts, sum.cost))).collect();
    let expected: BTreeMap<_, _> = expected.iter().map(|(cc, sums)| (cc.clone(), (sums.0, sums.3))).collect();
    assert_eq!(given, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_and_duplicates_leave_reports_and_rollup_exact() {
    for seed in 0..8 {
        let Some(ledger) = embedded().await else { return };
        eprintln!("seed {seed}");
        let model = crash_schedule(&ledger.store, seed).await;
        check_sums(&ledger.store, &model).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_and_duplicates_leave_reports_and_rollup_exact_through_the_client() {
    for seed in 100..103 {
        let Some(ledger) = through_the_client().await else { return };
        eprintln!("seed {seed}");
        let model = crash_schedule(&ledger.store, seed).await;
        check_sums(&ledger.store, &model).await;
    }
}
