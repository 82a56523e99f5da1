//! Keeps the hourly sums: rebuilds every day that rows have arrived for, from the events, and swaps it in.
//!
//! Invariants: a day in the rollup is always one complete rebuild, never a sum that was added to; running
//! it again, or dying anywhere in it, changes nothing but the time of the next run. It re-reads what
//! arrived up to [`OVERLAP`] before the watermark, because rows become visible later than the moment that
//! they are stamped with.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;

use crate::store::{LedgerStore, StoreError};

/// How far before the watermark arrivals are looked at again.
const OVERLAP: Duration = Duration::from_secs(600);

/// The rollup job. One run at a time.
#[derive(Debug)]
pub struct Rollup {
    store: LedgerStore,
    running: Mutex<()>,
}

#[derive(Debug, Deserialize)]
struct DirtyDay {
    /// `YYYY-MM-DD`, UTC.
    day: String,
    /// When its newest row arrived, ms since the Unix epoch.
    newest_ms: i64,
}

#[derive(Debug, Deserialize)]
struct Watermark {
    watermark_ms: i64,
}

impl Rollup {
    /// The rollup of this ledger.
    #[must_use]
    pub fn new(store: LedgerStore) -> Self {
        Self { store, running: Mutex::new(()) }
    }

    /// Rebuilds the days that rows arrived for since the last run; gives their number.
    ///
    /// # Errors
    /// When the store fails. Days rebuilt so far stay; the rest is done by the next run.
    pub async fn refresh(&self) -> Result<usize, StoreError> {
        let _one_at_a_time = self.running.lock().await;
        let since_ms = self.watermark_ms().await?.saturating_sub(OVERLAP.as_millis() as i64).max(0);
        let days: Vec<DirtyDay> = self.store.rows(&dirty_days(since_ms)).await?;
        for dirty in &days {
            self.rebuild(&dirty.day).await?;
        }
        // Saved last: dying before it costs the same rebuilds again.
        if let Some(newest_ms) = days.iter().map(|day| day.newest_ms).max() {
            self.store.execute(&save_watermark(newest_ms)).await?;
        }
        Ok(days.len())
    }

    async fn watermark_ms(&self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT toUnixTimestamp64Milli(max(watermark)) AS watermark_ms
            FROM rollup_state WHERE rollup = 'hourly'";
        Ok(self.store.row::<Watermark>(SQL).await?.map_or(0, |row| row.watermark_ms))
    }

    async fn rebuild(&self, day: &str) -> Result<(), StoreError> {
        let partition = day.replace('-', "");
        let clear = format!("ALTER TABLE rollup_hourly_stage DROP PARTITION {partition}");
        self.store.execute(&clear).await?;
        self.store.execute(&rebuild_day(day)).await?;
        let swap =
            format!("ALTER TABLE rollup_hourly REPLACE PARTITION {partition} FROM rollup_hourly_stage");
        self.store.execute(&swap).await?;
        self.store.execute(&clear).await
    }
}

fn dirty_days(since_ms: i64) -> String {
    format!(
        "SELECT toString(toDate(event_time)) AS day, toUnixTimestamp64Milli(max(inserted_at)) AS newest_ms
         FROM usage_events
         WHERE inserted_at >= fromUnixTimestamp64Milli({since_ms}, 'UTC')
         GROUP BY day ORDER BY day"
    )
}

fn save_watermark(newest_ms: i64) -> String {
    format!(
        "INSERT INTO rollup_state (rollup, watermark, built_at)
         SELECT 'hourly', fromUnixTimestamp64Milli({newest_ms}, 'UTC'), now64(3, 'UTC')"
    )
}

/// An event without lines has one row of class '' and quantity 0, so that it is counted too.
fn rebuild_day(day: &str) -> String {
    const KEY: &str = "tenant, cost_center, team, app, product, subscription, key_id, operation, provider, \
        backend, region, model_requested, model, outcome, usage_source";
    format!(
        "INSERT INTO rollup_hourly_stage
         (hour, {KEY}, class, sku, price_id, unit_price, currency,
          qty, cost, requests, attempts, unpriced, built_at)
         SELECT toStartOfHour(event_time) AS hour, {KEY},
             line_class, line_sku, line_price_id, line_unit_price, currency,
             sum(line_qty), sum(line_cost), countIf(line_no <= 1 AND attempt <= 1), countIf(line_no <= 1),
             countIf(line_no <= 1 AND unpriced = 1), now64(3, 'UTC')
         FROM usage_events FINAL
         LEFT ARRAY JOIN line.class AS line_class, line.sku AS line_sku, line.price_id AS line_price_id,
             line.unit_price AS line_unit_price, line.qty AS line_qty, line.cost AS line_cost,
             arrayEnumerate(line.class) AS line_no
         WHERE event_time >= toDateTime64('{day} 00:00:00', 3, 'UTC')
             AND event_time < toDateTime64('{day} 00:00:00', 3, 'UTC') + INTERVAL 1 DAY
         GROUP BY hour, {KEY}, line_class, line_sku, line_price_id, line_unit_price, currency"
    )
}
