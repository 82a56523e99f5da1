//! Does the ledger hold what the gateways said, once, and does the rollup agree?
//!
//! Read only. `missing`, `split` and `rollup_difference` are 0 in a healthy system, and no day of the rollup is
//! wrong; `duplicates` is informative (they are merged in the background and never reach a report).

use std::collections::HashMap;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde::{Deserialize, Serialize};
use tollgate_schemas::money::Pico;

use crate::rollup::comparison;
use crate::store::{LedgerStore, StoreError};

/// Boots without a row in this time are not looked at any more.
const BOOT_WINDOW: Duration = Duration::from_secs(62 * 24 * 3600);

/// What was found.
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
    /// What they lack.
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
    /// Gateway runs with holes.
    pub boots: Vec<BootGap>,
    /// Events before this moment were left out (except for `missing` and `pending`).
    pub since: Timestamp,
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

/// A gateway run with holes in its sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootGap {
    /// Gateway.
    pub gateway_id: String,
    /// Its run.
    pub boot_id: String,
    /// Overdue events.
    pub missing: u64,
    /// Events that may still come.
    pub pending: u64,
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

/// Compares what is in the ledger with what should be. `grace` is the longest that an attempt may take:
/// holes of younger events are pending, not missing.
///
/// # Errors
/// When the store fails.
pub async fn reconcile(
    store: &LedgerStore,
    now: Timestamp,
    grace: Duration,
) -> Result<Reconciliation, StoreError> {
    let since = start_of_previous_month(now);
    let boots = sequences(store, now, grace).await?;
    let raw: RawCounts = one(store, &raw_counts(since)).await?;
    let counts: Counts = one(store, &counts(since)).await?;
    let rollup = comparison::compare(store, since).await?;
    Ok(Reconciliation {
        missing: boots.iter().map(|boot| boot.missing).sum(),
        pending: boots.iter().map(|boot| boot.pending).sum(),
        duplicates: raw.duplicates,
        split: counts.split,
        events: counts.events,
        recovered: counts.recovered,
        unpriced: counts.unpriced,
        unpriced_classes: store.rows(&unpriced_classes(since)).await?,
        dead_letters: one::<DeadLetters>(store, DEAD_LETTERS).await?.dead_letters,
        rollup_difference: rollup.difference,
        rollup_stale_days: rollup.stale_days,
        rollup_wrong_days: rollup.wrong_days,
        boots: boots.into_iter().filter(|boot| boot.missing + boot.pending > 0).collect(),
        since,
    })
}

async fn one<T: serde::de::DeserializeOwned>(store: &LedgerStore, sql: &str) -> Result<T, StoreError> {
    store.row(sql).await?.ok_or_else(|| StoreError::Answer("an aggregate gave no row".to_owned()))
}

/// How far a boot's sequence should reach, and how far it does.
#[derive(Debug, Deserialize)]
struct Bound {
    gateway_id: String,
    boot_id: String,
    /// Everything up to here is due.
    due: u64,
    /// Highest number seen or closed.
    newest: u64,
}

#[derive(Debug, Deserialize)]
struct Seen {
    gateway_id: String,
    boot_id: String,
    due: u64,
    all: u64,
}

async fn sequences(store: &LedgerStore, now: Timestamp, grace: Duration) -> Result<Vec<BootGap>, StoreError> {
    let now_ms = now.as_millisecond();
    let bounds = bounds(now_ms - BOOT_WINDOW.as_millis() as i64, now_ms - grace.as_millis() as i64);
    let expected: Vec<Bound> = store.rows(&bounds).await?;
    let seen: Vec<Seen> = store.rows(&seen(&bounds)).await?;
    Ok(gaps(expected, seen))
}

fn gaps(expected: Vec<Bound>, seen: Vec<Seen>) -> Vec<BootGap> {
    let seen: HashMap<(String, String), (u64, u64)> =
        seen.into_iter().map(|s| ((s.gateway_id, s.boot_id), (s.due, s.all))).collect();
    let gap = |bound: Bound| {
        let key = (bound.gateway_id, bound.boot_id);
        let (due, all) = seen.get(&key).copied().unwrap_or_default();
        let missing = bound.due.saturating_sub(due);
        let pending = bound.newest.saturating_sub(all).saturating_sub(missing);
        BootGap { gateway_id: key.0, boot_id: key.1, missing, pending }
    };
    expected.into_iter().map(gap).collect()
}

/// A boot that was closed is due up to its end; another one up to its newest event older than the grace.
fn bounds(window_ms: i64, due_before_ms: i64) -> String {
    format!(
        "SELECT gateway_id, boot_id, max(due_seq) AS due, max(newest_seq) AS newest FROM (
             SELECT gateway_id, toString(boot_id) AS boot_id,
                 maxIf(seq, event_time < fromUnixTimestamp64Milli({due_before_ms}, 'UTC')) AS due_seq,
                 max(seq) AS newest_seq
             FROM usage_events
             GROUP BY gateway_id, boot_id
             HAVING max(inserted_at) >= fromUnixTimestamp64Milli({window_ms}, 'UTC')
             UNION ALL
             SELECT gateway_id, toString(boot_id) AS boot_id, max(last_seq), max(last_seq)
             FROM boots
             WHERE inserted_at >= fromUnixTimestamp64Milli({window_ms}, 'UTC')
             GROUP BY gateway_id, boot_id
         ) GROUP BY gateway_id, boot_id ORDER BY gateway_id, boot_id"
    )
}

fn seen(bounds: &str) -> String {
    format!(
        "SELECT gateway_id, boot_id, uniqExactIf(seq, seq >= 1 AND seq <= b.due) AS due,
             uniqExactIf(seq, seq >= 1) AS all
         FROM (SELECT gateway_id, toString(boot_id) AS boot_id, seq FROM usage_events) AS e
         INNER JOIN ({bounds}) AS b USING (gateway_id, boot_id)
         GROUP BY gateway_id, boot_id"
    )
}

#[derive(Debug, Deserialize)]
struct RawCounts {
    duplicates: u64,
}

fn raw_counts(since: Timestamp) -> String {
    format!(
        "SELECT count() - uniqExact(event_id, version) AS duplicates FROM usage_events WHERE {}",
        from(since)
    )
}

#[derive(Debug, Deserialize)]
struct Counts {
    events: u64,
    split: u64,
    recovered: u64,
    unpriced: u64,
}

fn counts(since: Timestamp) -> String {
    format!(
        "SELECT uniqExact(event_id) AS events, count() - uniqExact(event_id) AS split,
             countIf(outcome = 'recovered') AS recovered, countIf(unpriced = 1) AS unpriced
         FROM usage_events FINAL WHERE {}",
        from(since)
    )
}

fn unpriced_classes(since: Timestamp) -> String {
    format!(
        "SELECT provider, model, line_class AS class, count() AS events
         FROM usage_events FINAL
         ARRAY JOIN line.class AS line_class, line.qty AS line_qty, line.price_id AS line_price_id
         WHERE {} AND unpriced = 1 AND line_qty > 0 AND line_price_id = ''
         GROUP BY provider, model, class ORDER BY events DESC, provider, model, class LIMIT 20",
        from(since)
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

    fn bound(boot: &str, due: u64, newest: u64) -> Bound {
        Bound { gateway_id: "gw".to_owned(), boot_id: boot.to_owned(), due, newest }
    }

    fn check(due: u64, newest: u64, seen: Option<(u64, u64)>, expected: (u64, u64)) {
        let seen =
            seen.map(|(due, all)| Seen { gateway_id: "gw".to_owned(), boot_id: "b".to_owned(), due, all });
        let gaps = gaps(vec![bound("b", due, newest)], seen.into_iter().collect());
        assert_eq!((gaps[0].missing, gaps[0].pending), expected);
    }

    #[test]
    fn holes_below_what_is_due_are_missing_and_above_it_pending() {
        check(10, 10, Some((10, 10)), (0, 0));
        check(10, 12, Some((9, 10)), (1, 1));
        check(0, 5, Some((0, 3)), (0, 2));
    }

    #[test]
    fn a_closed_boot_without_any_event_is_missing_as_a_whole() {
        check(7, 7, None, (7, 0));
    }

    #[test]
    fn the_window_begins_with_the_month_before() {
        let since = |now: &str| start_of_previous_month(now.parse().unwrap()).to_string();
        assert_eq!(since("2026-11-21T10:00:00Z"), "2026-10-01T00:00:00Z");
        assert_eq!(since("2026-01-01T00:00:00Z"), "2025-12-01T00:00:00Z");
        assert_eq!(since("2026-03-31T23:59:59Z"), "2026-02-01T00:00:00Z");
    }
}
