//! Does the ledger hold what the gateways said, once, and does the rollup agree?
//!
//! Read only. `missing`, `split` and `rollup_difference` are 0 in a healthy system, and no day of the rollup is
//! wrong; `duplicates` is informative (they are merged in the background and never reach a report).

mod holes;
mod render;

use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde::{Deserialize, Serialize};
use tollgate_schemas::money::Pico;

use crate::reports::Period;
use crate::rollup::comparison;
use crate::store::{LedgerStore, StoreError};

pub use holes::{BootGap, SeqRange};

/// The result of a reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Events that are overdue: holes in a gateway's sequence below its closed end, or below an event that
    /// began longer ago than the grace time.
    pub missing: u64,
    /// Holes that may still be filled: their attempts may be running.
    pub pending: u64,
    /// Rows stored more than once and not merged yet.
    pub duplicates: u64,
    /// Events whose versions disagree about tenant or time: reports would count them twice.
    pub split: u64,
    /// Events (each once) since `since`.
    pub events: u64,
    /// Events written by recovery after a crash.
    pub recovered: u64,
    /// Events with a quantity that has no price.
    pub unpriced: u64,
    /// The prices that they lack, those of most events first, at most 20.
    pub unpriced_classes: Vec<UnpricedClass>,
    /// Records set aside as unreadable.
    pub dead_letters: u64,
    /// Rollup cost minus event cost over the days that the rollup is up to date for.
    pub rollup_difference: Pico,
    /// Days that rows have arrived for since the rollup was built.
    pub rollup_stale_days: u64,
    /// Days of the rollup that have to be rebuilt, at most 31 of them. Days that differ in opposite directions
    /// leave no trace in `rollup_difference`.
    #[serde(default)]
    pub rollup_wrong_days: Vec<Date>,
    /// Gateway runs with holes, at most 100, those with overdue events first.
    pub boots: Vec<BootGap>,
    /// Gateway runs with holes beyond those.
    #[serde(default)]
    pub boots_left_out: u64,
    /// Events before this moment were left out (except for `missing` and `pending`, which are those of all gateway runs
    /// that have events in the time that is looked at).
    pub since: Timestamp,
    /// Events from this moment on were left out too; absent where all others were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Reconciliation {
    /// Whether everything that must be 0 is 0.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missing == 0
            && self.split == 0
            && self.rollup_difference == Pico::ZERO
            && self.rollup_wrong_days.is_empty()
    }
}

/// A price that the price book lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpricedClass {
    /// Provider.
    pub provider: String,
    /// Model at the provider.
    pub model: String,
    /// Token class.
    pub class: String,
    /// Events that use it.
    pub events: u64,
}

/// Compares what is in the ledger since the month before this one with what should be. `grace` is the longest that an
/// attempt may take: holes of younger events are pending, not missing.
///
/// # Errors
/// When the store fails.
pub async fn reconcile(
    store: &LedgerStore,
    now: Timestamp,
    grace: Duration,
) -> Result<Reconciliation, StoreError> {
    reconcile_in(store, now, grace, None).await
}

/// The same for the days of another period, such as a month that is long over.
///
/// # Errors
/// When the store fails.
pub async fn reconcile_in(
    store: &LedgerStore,
    now: Timestamp,
    grace: Duration,
    period: Option<Period>,
) -> Result<Reconciliation, StoreError> {
    let since = period.map_or_else(|| start_of_previous_month(now), |period| period.from);
    let within = period.map_or_else(|| from(since), |period| period.sql());
    let holes = holes::find(store, now, grace, period).await?;
    let raw: RawCounts = one(store, &raw_counts(&within)).await?;
    let counts: Counts = one(store, &counts(&within)).await?;
    let rollup = comparison::compare(store, since, period.map(|period| period.to)).await?;
    Ok(Reconciliation {
        missing: holes.missing,
        pending: holes.pending,
        duplicates: raw.duplicates,
        split: counts.split,
        events: counts.events,
        recovered: counts.recovered,
        unpriced: counts.unpriced,
        unpriced_classes: store.rows(&unpriced_classes(&within)).await?,
        dead_letters: one::<DeadLetters>(store, DEAD_LETTERS).await?.dead_letters,
        rollup_difference: rollup.difference,
        rollup_stale_days: rollup.stale_days,
        rollup_wrong_days: rollup.wrong_days,
        boots: holes.boots,
        boots_left_out: holes.boots_left_out,
        since,
        until: period.map(|period| period.to),
    })
}

async fn one<T: serde::de::DeserializeOwned>(store: &LedgerStore, sql: &str) -> Result<T, StoreError> {
    store.row(sql).await?.ok_or_else(|| StoreError::Answer("an aggregate gave no row".to_owned()))
}

#[derive(Debug, Deserialize)]
struct RawCounts {
    duplicates: u64,
}

fn raw_counts(within: &str) -> String {
    format!("SELECT count() - uniqExact(event_id, version) AS duplicates FROM usage_events WHERE {within}")
}

#[derive(Debug, Deserialize)]
struct Counts {
    events: u64,
    split: u64,
    recovered: u64,
    unpriced: u64,
}

fn counts(within: &str) -> String {
    format!(
        "SELECT uniqExact(event_id) AS events, count() - uniqExact(event_id) AS split,
             countIf(outcome = 'recovered') AS recovered, countIf(unpriced = 1) AS unpriced
         FROM usage_events FINAL WHERE {within}"
    )
}

fn unpriced_classes(within: &str) -> String {
    format!(
        "SELECT provider, model, line_class AS class, count() AS events
         FROM usage_events FINAL
         ARRAY JOIN line.class AS line_class, line.qty AS line_qty, line.price_id AS line_price_id
         WHERE {within} AND unpriced = 1 AND line_qty > 0 AND line_price_id = ''
         GROUP BY provider, model, class ORDER BY events DESC, provider, model, class LIMIT 20"
    )
}

#[derive(Debug, Deserialize)]
struct DeadLetters {
    dead_letters: u64,
}

const DEAD_LETTERS: &str = "SELECT count() AS dead_letters FROM dead_letters FINAL";

fn from(since: Timestamp) -> String {
    format!("event_time >= fromUnixTimestamp64Milli({}, 'UTC')", since.as_millisecond())
}

fn start_of_previous_month(now: Timestamp) -> Timestamp {
    let first = now.to_zoned(TimeZone::UTC).first_of_month();
    let before = first.and_then(|day| day.checked_sub(1.month())).and_then(|day| day.start_of_day());
    before.map_or(Timestamp::UNIX_EPOCH, |day| day.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_begins_with_the_month_before() {
        let since = |now: &str| start_of_previous_month(now.parse().unwrap()).to_string();
        assert_eq!(since("2026-11-21T10:00:00Z"), "2026-10-01T00:00:00Z");
        assert_eq!(since("2026-01-01T00:00:00Z"), "2025-12-01T00:00:00Z");
        assert_eq!(since("2026-03-31T23:59:59Z"), "2026-02-01T00:00:00Z");
    }
}
