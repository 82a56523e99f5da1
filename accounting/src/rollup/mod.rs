//! Keeps the hourly sums: rebuilds every day that rows have arrived for, from the events, and swaps it in.
//!
//! Invariants: a day in the rollup is always one complete rebuild, never a sum that was added to; running
//! it again, or dying anywhere in it, changes nothing but the time of the next run. Every run builds in a
//! stage table of its own, so two members that run at once (a rebalance can end in the middle of a run)
//! never see each other's rows, and whichever swap comes last leaves a complete day.
//!
//! A run re-reads what arrived up to [`OVERLAP`] before the watermark, because rows become visible later than
//! the moment that they are stamped with. What escapes that too (a swap that came late, with an older state of
//! the day) is found by [`comparison`] and rebuilt with [`Rollup::rebuild`].

pub(crate) mod comparison;

use std::time::Duration;

use jiff::civil::Date;
use serde::Deserialize;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::store::{LedgerStore, StoreError};

/// How far before the watermark arrivals are looked at again.
const OVERLAP: Duration = Duration::from_secs(600);
/// What the names of stage tables begin with; the id of the run follows.
const STAGE: &str = "rollup_hourly_stage";

/// The rollup job of this process: its runs come one after the other.
#[derive(Debug)]
pub struct Rollup {
    store: LedgerStore,
    running: Mutex<()>,
}

#[derive(Debug, Deserialize)]
struct DirtyDay {
    day: Date,
    /// When its newest row arrived, ms since the Unix epoch.
    newest_ms: i64,
}

#[derive(Debug, Deserialize)]
struct Watermark {
    watermark_ms: i64,
}

#[derive(Debug, Deserialize)]
struct Table {
    name: String,
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
        let dirty: Vec<DirtyDay> = self.store.rows(&dirty_days(since_ms)).await?;
        let days: Vec<_> = dirty.iter().map(|dirty| dirty.day).collect();
        self.build(&days).await?;
        // Saved last: dying before it costs the same rebuilds again.
        if let Some(newest_ms) = dirty.iter().map(|dirty| dirty.newest_ms).max() {
            self.store.execute(&save_watermark(newest_ms)).await?;
        }
        Ok(days.len())
    }

    /// Rebuilds these days, whatever has arrived for them.
    ///
    /// # Errors
    /// When the store fails. Days rebuilt so far stay.
    pub async fn rebuild(&self, days: &[Date]) -> Result<(), StoreError> {
        let _one_at_a_time = self.running.lock().await;
        self.build(days).await
    }

    async fn watermark_ms(&self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT toUnixTimestamp64Milli(max(watermark)) AS watermark_ms
            FROM rollup_state WHERE rollup = 'hourly'";
        Ok(self.store.row::<Watermark>(SQL).await?.map_or(0, |row| row.watermark_ms))
    }

    async fn build(&self, days: &[Date]) -> Result<(), StoreError> {
        if days.is_empty() {
            return Ok(());
        }
        self.drop_abandoned_stages().await?;
        let stage = format!("{STAGE}_{}", Uuid::now_v7().simple());
        self.store.execute(&format!("CREATE TABLE {stage} AS rollup_hourly")).await?;
        let outcome = self.build_in(&stage, days).await;
        if let Err(error) = self.store.execute(&format!("DROP TABLE IF EXISTS {stage}")).await {
            // Costs disk space until a run finds it abandoned.
            tracing::warn!(%error, stage, "the rollup's stage table was not dropped");
        }
        outcome
    }

    async fn build_in(&self, stage: &str, days: &[Date]) -> Result<(), StoreError> {
        for day in days {
            self.store.execute(&build_day(stage, *day)).await?;
            let partition = day.strftime("%Y%m%d");
            let swap = format!("ALTER TABLE rollup_hourly REPLACE PARTITION {partition} FROM {stage}");
            self.store.execute(&swap).await?;
        }
        Ok(())
    }

    /// Drops what runs left behind that died: no run takes a day.
    async fn drop_abandoned_stages(&self) -> Result<(), StoreError> {
        let abandoned = format!(
            "SELECT name FROM system.tables WHERE database = currentDatabase()
                 AND startsWith(name, '{STAGE}') AND metadata_modification_time < now() - INTERVAL 1 DAY"
        );
        let tables: Vec<Table> = self.store.rows(&abandoned).await?;
        for Table { name } in tables.iter().filter(|table| is_stage(&table.name)) {
            self.store.execute(&format!("DROP TABLE IF EXISTS {name}")).await?;
            tracing::info!(name, "an abandoned stage table of the rollup was dropped");
        }
        Ok(())
    }
}

/// The name is written into a statement: it must be one that a run can have given.
fn is_stage(name: &str) -> bool {
    let rest = name.strip_prefix(STAGE).unwrap_or("?");
    rest.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
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
fn build_day(stage: &str, day: Date) -> String {
    const KEY: &str = "tenant, cost_center, team, app, product, subscription, key_id, operation, provider, \
        backend, region, model_requested, model, outcome, usage_source";
    format!(
        "INSERT INTO {stage}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stage_tables_are_ever_dropped() {
        for name in ["rollup_hourly_stage", "rollup_hourly_stage_0192f0c1d2e3"] {
            assert!(is_stage(name), "{name}");
        }
        for name in ["rollup_hourly", "usage_events", "rollup_hourly_stage; DROP TABLE boots", ""] {
            assert!(!is_stage(name), "{name}");
        }
    }

    #[test]
    fn a_day_is_built_in_the_stage_table_of_its_run() {
        let sql = build_day("rollup_hourly_stage_1", "2026-11-18".parse().unwrap());
        assert!(sql.starts_with("INSERT INTO rollup_hourly_stage_1\n"), "{sql}");
        assert!(sql.contains("event_time >= toDateTime64('2026-11-18 00:00:00', 3, 'UTC')"), "{sql}");
    }
}
