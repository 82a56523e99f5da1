//! Rollups of two members at once, and days that came out wrong.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tollgate_accounting::reconcile::{Reconciliation, reconcile};
use tollgate_accounting::rollup::Rollup;
use tollgate_accounting::store::embedded::EmbeddedEngine;
use tollgate_accounting::store::engine::Answer;
use tollgate_accounting::store::{Block, Engine, LedgerStore};

use crate::support::{Ledger, NOW_MS, deliver, embedded, event, number};

/// The engine as a slow member sees it: a statement that contains `before` waits until it may go on.
#[derive(Debug)]
struct Paused {
    engine: EmbeddedEngine,
    before: &'static str,
    reached: Notify,
    go_on: Notify,
}

impl Engine for Paused {
    fn execute<'a>(&'a self, sql: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            if sql.contains(self.before) {
                self.reached.notify_one();
                self.go_on.notified().await;
            }
            self.engine.execute(sql).await
        })
    }

    fn select<'a>(&'a self, sql: &'a str, format: &'a str) -> Answer<'a, Vec<u8>> {
        self.engine.select(sql, format)
    }

    fn insert<'a>(&'a self, block: &'a Block) -> Answer<'a, ()> {
        self.engine.insert(block)
    }
}

/// A refresh that stands before one of its statements.
struct SlowMember {
    engine: Arc<Paused>,
    run: tokio::task::JoinHandle<usize>,
}

impl SlowMember {
    async fn refresh_until(ledger: &Ledger, before: &'static str) -> Self {
        let (reached, go_on) = (Notify::new(), Notify::new());
        let engine = Arc::new(Paused { engine: ledger.embedded.clone(), before, reached, go_on });
        let rollup = Rollup::new(LedgerStore::new(Arc::clone(&engine) as Arc<dyn Engine>));
        let run = tokio::spawn(async move { rollup.refresh().await.unwrap() });
        engine.reached.notified().await;
        Self { engine, run }
    }

    async fn finish(self) {
        self.engine.go_on.notify_one();
        assert_eq!(self.run.await.unwrap(), 1);
    }
}

const FIVE: [u64; 5] = [1, 2, 3, 4, 5];
const BUILD: &str = "INSERT INTO rollup_hourly_stage";
const SWAP: &str = "REPLACE PARTITION";

async fn five_events() -> Option<Ledger> {
    let ledger = embedded().await?;
    deliver(&ledger.store, &FIVE.map(event), 0).await;
    Some(ledger)
}

async fn attempts(store: &LedgerStore) -> u64 {
    number(store, "SELECT sum(attempts) FROM rollup_hourly").await
}

async fn stages(store: &LedgerStore) -> u64 {
    let sql = "SELECT count() FROM system.tables
        WHERE database = currentDatabase() AND startsWith(name, 'rollup_hourly_stage')";
    number(store, sql).await
}

async fn found(store: &LedgerStore) -> Reconciliation {
    let now = Timestamp::from_millisecond(NOW_MS + 3_600_000).unwrap();
    reconcile(store, now, Duration::ZERO).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_swaps_after_another_ones_whole_run_does_not_empty_the_day() {
    let Some(ledger) = five_events().await else { return };
    let slow = SlowMember::refresh_until(&ledger, SWAP).await;
    Rollup::new(ledger.store.clone()).refresh().await.unwrap();
    assert_eq!(attempts(&ledger.store).await, 5);
    slow.finish().await;
    assert_eq!(attempts(&ledger.store).await, 5);
    assert_eq!(stages(&ledger.store).await, 0, "each run drops its stage table");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_that_build_the_same_day_at_once_do_not_double_it() {
    let Some(ledger) = five_events().await else { return };
    let first = SlowMember::refresh_until(&ledger, BUILD).await;
    let second = SlowMember::refresh_until(&ledger, SWAP).await;
    first.finish().await;
    assert_eq!(attempts(&ledger.store).await, 5);
    second.finish().await;
    assert_eq!(attempts(&ledger.store).await, 5);
    assert!(found(&ledger.store).await.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_swapped_in_with_an_older_state_is_found_and_rebuilt_when_the_watermark_has_passed_it() {
    let Some(ledger) = five_events().await else { return };
    let store = &ledger.store;
    let slow = SlowMember::refresh_until(&ledger, SWAP).await;
    deliver(store, &[event(6)], 5).await;
    let rollup = Rollup::new(store.clone());
    rollup.refresh().await.unwrap();
    slow.finish().await;
    assert_eq!(attempts(store).await, 5, "the older state came last");
    store
        .execute(
            "INSERT INTO rollup_state (rollup, watermark, built_at)
             SELECT 'hourly', now64(3, 'UTC') + INTERVAL 1 HOUR, now64(3, 'UTC') + INTERVAL 1 HOUR",
        )
        .await
        .unwrap();
    assert_eq!(rollup.refresh().await.unwrap(), 0, "no refresh looks at the day any more");
    let wrong = found(store).await;
    assert!(!wrong.is_clean());
    let days: Vec<_> = wrong.rollup_wrong_days.iter().map(ToString::to_string).collect();
    assert_eq!(days, ["2026-11-18"]);
    rollup.rebuild(&wrong.rollup_wrong_days).await.unwrap();
    assert_eq!(attempts(store).await, 6);
    assert!(found(store).await.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_differ_in_opposite_directions_are_both_named() {
    let Some(ledger) = embedded().await else { return };
    let store = &ledger.store;
    let mut earlier = event(2);
    earlier.event_time_ms -= 24 * 3_600_000;
    deliver(store, &[event(1), earlier], 0).await;
    let rollup = Rollup::new(store.clone());
    rollup.refresh().await.unwrap();
    for statement in [
        "INSERT INTO rollup_hourly SELECT * FROM rollup_hourly WHERE toDate(hour) = '2026-11-18'",
        "INSERT INTO rollup_hourly SELECT * REPLACE (-cost AS cost, 0 AS attempts)
             FROM rollup_hourly WHERE toDate(hour) = '2026-11-17'",
    ] {
        store.execute(statement).await.unwrap();
    }
    let wrong = found(store).await;
    assert_eq!(wrong.rollup_difference.to_string(), "0.000000000000");
    let days: Vec<_> = wrong.rollup_wrong_days.iter().map(ToString::to_string).collect();
    assert_eq!(days, ["2026-11-17", "2026-11-18"]);
    rollup.rebuild(&wrong.rollup_wrong_days).await.unwrap();
    assert!(found(store).await.is_clean());
}
