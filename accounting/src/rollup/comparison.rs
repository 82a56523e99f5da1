//! Does the rollup say what the events say, day by day?

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use tollgate_schemas::money::Pico;

use super::OVERLAP;
use crate::store::{LedgerStore, StoreError};

/// Most days named at once: more are found again when these are right.
const MAX_DAYS: usize = 31;

/// What the rollup says about the days since a moment, beside the events.
#[derive(Debug, Deserialize)]
pub(crate) struct Comparison {
    /// Rollup cost minus event cost over the days that the rollup is up to date for.
    pub(crate) difference: Pico,
    /// Days that rows have arrived for since the rollup was built.
    pub(crate) stale_days: u64,
    /// Days that are wrong and that no refresh will look at: up to date by their times but with another cost
    /// or number of attempts, or stale although the watermark has long passed their newest row.
    pub(crate) wrong_days: Vec<Date>,
}

/// Compares the days since `since`, up to `until` where that is given; both must be the beginning of a day.
///
/// # Errors
/// When the store fails.
pub(crate) async fn compare(
    store: &LedgerStore,
    since: Timestamp,
    until: Option<Timestamp>,
) -> Result<Comparison, StoreError> {
    let found = store.row(&query(since.as_millisecond(), until.map(|until| until.as_millisecond()))).await?;
    found.ok_or_else(|| StoreError::Answer("an aggregate gave no row".to_owned()))
}

/// Days are compared only where no row has arrived since the rollup was built.
fn query(since_ms: i64, until_ms: Option<i64>) -> String {
    let within = |column: &str| {
        let since = format!("{column} >= fromUnixTimestamp64Milli({since_ms}, 'UTC')");
        let until = until_ms.map(|ms| format!(" AND {column} < fromUnixTimestamp64Milli({ms}, 'UTC')"));
        since + &until.unwrap_or_default()
    };
    let (events, hours) = (within("event_time"), within("hour"));
    let overlap_ms = OVERLAP.as_millis();
    format!(
        "WITH (SELECT toUnixTimestamp64Milli(max(watermark)) FROM rollup_state WHERE rollup = 'hourly') AS seen_ms
         SELECT sumIf(r.cost - e.cost, r.built_at >= e.newest) AS difference,
             countIf(r.built_at < e.newest) AS stale_days,
             groupArrayIf({MAX_DAYS})(toString(day), if(
                 r.built_at >= e.newest,
                 r.cost != e.cost OR r.attempts != e.attempts,
                 toUnixTimestamp64Milli(e.newest) < seen_ms - {overlap_ms})) AS wrong_days
         FROM (
             SELECT toDate(event_time) AS day, sum(u.cost) AS cost, count() AS attempts,
                 max(inserted_at) AS newest
             FROM usage_events AS u FINAL WHERE {events} GROUP BY day ORDER BY day
         ) AS e
         LEFT JOIN (
             SELECT toDate(hour) AS day, sum(h.cost) AS cost, sum(h.attempts) AS attempts,
                 min(h.built_at) AS built_at
             FROM rollup_hourly AS h WHERE {hours} GROUP BY day
         ) AS r USING (day)"
    )
}
