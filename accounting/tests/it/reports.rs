//! Reports and reconciliation against the engine.

use std::time::Duration;

use jiff::Timestamp;
use tollgate_accounting::reconcile::{SeqRange, reconcile, reconcile_in};
use tollgate_accounting::reports::{Chargeback, Dimension, Format, Period};
use tollgate_accounting::rollup::Rollup;
use tollgate_accounting::row::BootRow;
use tollgate_accounting::store::rowbinary::encode;
use tollgate_schemas::ids::BootId;
use tollgate_schemas::money::Pico;
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::{BootClosed, LedgerPosition, Outcome, UsageEvent, UsageSource};

use crate::support::{NOW_MS, deliver, embedded, event, lines};

fn november() -> Period {
    Period::month("2026-11").unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(NOW_MS + 3_600_000).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_count_once_however_many_attempts_they_took() {
    let Some(ledger) = embedded().await else { return };
    let failed = UsageEvent { outcome: Outcome::UpstreamError, lines: vec![], ..event(1) };
    let mut second = UsageEvent { attempt: 2, request_id: failed.request_id, ..event(2) };
    second.call.backend = "other".into();
    let cached = UsageEvent { attempt: 0, outcome: Outcome::CacheHit, lines: vec![], ..event(3) };
    let recovered = UsageEvent { version: 0, outcome: Outcome::Recovered, ..event(4) };
    deliver(&ledger.store, &[failed, second, cached, recovered], 0).await;
    let report = Chargeback::make(&ledger.store, november(), vec![Dimension::Backend]).await.unwrap();
    let backends: Vec<_> =
        report.rows.iter().map(|row| (row.values[0].as_str(), row.requests, row.attempts)).collect();
    assert_eq!(backends, [("other", 0, 1), ("sim", 3, 3)]);
    let total = &report.totals[0];
    assert_eq!((total.requests, total.attempts, total.cached, total.recovered), (3, 4, 1, 1));
    // Two calls of 1000 × 0.15 and 100 × 0.60 per million.
    assert_eq!(total.cost.to_string(), "0.000420000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_by_class_splits_the_cost_and_counts_each_event_once_in_the_total() {
    let Some(ledger) = embedded().await else { return };
    let image = UsageEvent { lines: lines(&[(TokenClass::Input, 10), (TokenClass::Image, 2)]), ..event(2) };
    let rejected = UsageEvent { attempt: 0, outcome: Outcome::Rejected, lines: vec![], ..event(3) };
    deliver(&ledger.store, &[event(1), image, rejected], 0).await;
    let report = Chargeback::make(&ledger.store, november(), vec![Dimension::Class]).await.unwrap();
    let classes: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.values[0].as_str(), row.attempts, row.input_tokens, row.output_tokens, row.unpriced))
        .collect();
    assert_eq!(
        classes,
        [("input", 2, 1010, 0, 0), ("output", 1, 0, 100, 0), ("", 1, 0, 0, 0), ("image", 1, 0, 0, 1)]
    );
    let total = &report.totals[0];
    assert_eq!((total.attempts, total.requests, total.unpriced), (3, 3, 1));
    assert_eq!(report.rows.iter().map(|row| row.cost).sum::<Pico>(), total.cost);
    let plain = Chargeback::make(&ledger.store, november(), vec![]).await.unwrap();
    assert_eq!(&plain.totals[0], total);
    assert!(plain.rows.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dimension_is_a_column_of_the_engine() {
    let Some(ledger) = embedded().await else { return };
    deliver(&ledger.store, &[event(1)], 0).await;
    for dimension in Dimension::ALL {
        let report = Chargeback::make(&ledger.store, november(), vec![*dimension]).await.unwrap();
        let count = if *dimension == Dimension::Class { 2 } else { 1 };
        assert_eq!(report.rows.len(), count, "{dimension:?}");
        let value = report.rows[0].values[0].as_str();
        match dimension {
            Dimension::Day => assert_eq!(value, "2026-11-18"),
            Dimension::Month => assert_eq!(value, "2026-11"),
            Dimension::Hour => assert_eq!(value, "2026-11-18T11:00:00Z"),
            Dimension::CostCenter => assert_eq!(value, "4711"),
            Dimension::Outcome => assert_eq!(value, "ok"),
            _ => {}
        }
    }
    let all = Chargeback::make(&ledger.store, november(), Dimension::ALL.to_vec()).await.unwrap();
    assert_eq!(all.rows.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_belongs_to_the_month_in_which_it_began() {
    let Some(ledger) = embedded().await else { return };
    let at = |n: u64, time: &str| UsageEvent {
        event_time_ms: time.parse::<Timestamp>().unwrap().as_millisecond(),
        ..event(n)
    };
    let edges = [
        at(1, "2026-10-31T23:59:59.999Z"),
        at(2, "2026-11-01T00:00:00Z"),
        at(3, "2026-11-30T23:59:59.999Z"),
        at(4, "2026-12-01T00:00:00Z"),
    ];
    deliver(&ledger.store, &edges, 0).await;
    for (month, attempts) in [("2026-09", 0), ("2026-10", 1), ("2026-11", 2), ("2026-12", 1)] {
        let period = Period::month(month).unwrap();
        let report = Chargeback::make(&ledger.store, period, vec![Dimension::Team]).await.unwrap();
        let given: u64 = report.totals.iter().map(|total| total.attempts).sum();
        assert_eq!(given, attempts, "{month}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_values_stay_values() {
    let Some(ledger) = embedded().await else { return };
    let mut hostile = event(1);
    hostile.payer.team = "'; DROP TABLE usage_events; --".into();
    hostile.payer.cost_center = "=cmd|' /C calc'!A0".into();
    deliver(&ledger.store, &[hostile], 0).await;
    let by = vec![Dimension::Team, Dimension::CostCenter];
    let report = Chargeback::make(&ledger.store, november(), by).await.unwrap();
    assert_eq!(report.rows[0].values[0], "'; DROP TABLE usage_events; --");
    assert!(report.render(Format::Csv).contains("'=cmd|"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_ledger_reconciles_and_a_hole_is_found() {
    let Some(ledger) = embedded().await else { return };
    let store = &ledger.store;
    let grace = Duration::from_secs(600);
    deliver(store, &(1..=5).map(event).collect::<Vec<_>>(), 0).await;
    Rollup::new(store.clone()).refresh().await.unwrap();
    let found = reconcile(store, now(), grace).await.unwrap();
    assert!(found.is_clean(), "{found:?}");
    assert_eq!((found.events, found.pending, found.unpriced, found.rollup_stale_days), (5, 0, 0, 0));

    deliver(store, &[event(7), event(9)], 5).await;
    let found = reconcile(store, now(), grace).await.unwrap();
    assert_eq!((found.missing, found.pending), (2, 0));
    assert_eq!((found.boots.len(), found.boots[0].missing), (1, 2));
    assert_eq!(numbers(&found.boots[0].missing_seqs), ["6", "8"]);
    assert_eq!(found.rollup_stale_days, 1);
    // While the attempts may still be running their holes are pending.
    let found = reconcile(store, Timestamp::from_millisecond(NOW_MS).unwrap(), grace).await.unwrap();
    assert_eq!((found.missing, found.pending), (0, 2));
    assert_eq!(numbers(&found.boots[0].pending_seqs), ["6", "8"]);

    deliver(store, &[event(6), event(8)], 7).await;
    let found = reconcile(store, now(), grace).await.unwrap();
    assert_eq!((found.missing, found.pending), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_boot_says_how_many_events_there_must_be() {
    let Some(ledger) = embedded().await else { return };
    let store = &ledger.store;
    deliver(store, &(1..=3).map(event).collect::<Vec<_>>(), 0).await;
    let closed = BootClosed { gateway_id: "gw-1".into(), boot_id: event(1).ledger.boot_id, last_seq: 5 };
    store.insert(&encode(&[BootRow(closed)], None).unwrap()).await.unwrap();
    let found = reconcile(store, now(), Duration::from_secs(24 * 3600)).await.unwrap();
    assert_eq!((found.missing, found.pending), (2, 0));
    assert_eq!(numbers(&found.boots[0].missing_seqs), ["4-5"]);
    assert!(!found.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holes_of_each_gateway_run_are_named_and_the_list_is_bounded() {
    let Some(ledger) = embedded().await else { return };
    let of = |boot: u128, seq: u64| {
        let mut event = event(1000 * boot as u64 + seq);
        event.ledger = LedgerPosition { boot_id: BootId(uuid::Uuid::from_u128(boot)), seq, ..event.ledger };
        event
    };
    let mut events: Vec<_> = [2, 3, 7].map(|seq| of(1, seq)).into();
    events.extend((1..=60).map(|n| of(2, 2 * n)));
    deliver(&ledger.store, &events, 0).await;
    let found = reconcile(&ledger.store, now(), Duration::from_secs(600)).await.unwrap();
    assert_eq!((found.missing, found.boots.len(), found.boots_left_out), (64, 2, 0));
    assert_eq!(numbers(&found.boots[0].missing_seqs), ["1", "4-6"]);
    let second = &found.boots[1];
    assert_eq!((second.missing, second.missing_seqs.len(), second.unnamed), (60, 50, 10));
    assert_eq!(numbers(&second.missing_seqs[48..]), ["97", "99"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_is_long_over_is_compared_when_it_is_asked_for() {
    let Some(ledger) = embedded().await else { return };
    let store = &ledger.store;
    let of = |seq: u64, time: &str| {
        let event_time_ms = time.parse::<Timestamp>().unwrap().as_millisecond();
        UsageEvent { event_time_ms, ended_at_ms: event_time_ms, ..event(seq) }
    };
    let march = [of(1, "2026-03-02T10:00:00Z"), of(3, "2026-03-31T23:00:00Z")];
    deliver(store, &march, 0).await;
    deliver(store, &[of(4, "2026-04-01T00:00:00Z")], 2).await;
    let (later, grace) = ("2027-03-01T00:00:00Z".parse().unwrap(), Duration::from_secs(600));
    let found = reconcile(store, later, grace).await.unwrap();
    assert_eq!((found.events, found.missing), (0, 0), "it looks at two months");
    for (month, events, missing) in [("2026-03", 2, 1), ("2026-04", 1, 1), ("2026-05", 0, 0)] {
        let period = Period::month(month).unwrap();
        let found = reconcile_in(store, later, grace, Some(period)).await.unwrap();
        assert_eq!((found.events, found.missing), (events, missing), "{month}");
        assert_eq!((found.since, found.until), (period.from, Some(period.to)));
    }
}

fn numbers(ranges: &[SeqRange]) -> Vec<String> {
    ranges.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_splits_and_missing_prices_are_told_apart() {
    let Some(ledger) = embedded().await else { return };
    let store = &ledger.store;
    store.execute("SYSTEM STOP MERGES usage_events").await.unwrap();
    deliver(store, &[event(1), event(2)], 0).await;
    deliver(store, &[event(1)], 0).await;
    let mut unknown = event(2);
    unknown.version = 2;
    unknown.call.model = "unknown".into();
    unknown.usage_source = UsageSource::Estimated;
    deliver(store, &[unknown], 2).await;
    let found = reconcile(store, now(), Duration::ZERO).await.unwrap();
    assert_eq!((found.duplicates, found.split, found.events, found.unpriced), (1, 0, 2, 1));
    let lacking: Vec<_> =
        found.unpriced_classes.iter().map(|lack| (lack.model.as_str(), lack.class.as_str())).collect();
    assert_eq!(lacking, [("unknown", "input"), ("unknown", "output")]);

    let mut moved = event(1);
    moved.payer.tenant = "another".into();
    deliver(store, &[moved], 3).await;
    assert_eq!(reconcile(store, now(), Duration::ZERO).await.unwrap().split, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollup_that_is_off_is_found() {
    let Some(ledger) = embedded().await else { return };
    let store = &ledger.store;
    deliver(store, &[event(1)], 0).await;
    Rollup::new(store.clone()).refresh().await.unwrap();
    store
        .execute("INSERT INTO rollup_hourly SELECT * FROM rollup_hourly WHERE class = 'output'")
        .await
        .unwrap();
    let found = reconcile(store, now(), Duration::ZERO).await.unwrap();
    assert_eq!(found.rollup_difference.to_string(), "0.000060000000");
    assert!(!found.is_clean());
    Rollup::new(store.clone()).refresh().await.unwrap();
    assert!(reconcile(store, now(), Duration::ZERO).await.unwrap().is_clean());
}
