//! Holes in the gateways' sequences: how many, and which numbers.
//!
//! Every gateway run numbers its events from 1 without a gap, so a number that the ledger does not hold is an
//! event that is still on its way or lost. The runs with holes and the ranges of a run that are named are
//! bounded; what is left out is counted.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::reports::Period;
use crate::store::{LedgerStore, StoreError};

/// Runs without a row in this time are not looked at any more.
const BOOT_WINDOW: Duration = Duration::from_secs(62 * 24 * 3600);
/// Most runs that are named.
const MAX_BOOTS: usize = 100;
/// Most ranges of a run that are named.
const MAX_RANGES: usize = 50;

/// Sequence numbers from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeqRange {
    /// Lowest number.
    pub first: u64,
    /// Highest number.
    pub last: u64,
}

impl SeqRange {
    pub(super) fn count(self) -> u64 {
        self.last - self.first + 1
    }
}

impl fmt::Display for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
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
    /// The sequence numbers of `missing`, in ascending order.
    #[serde(default)]
    pub missing_seqs: Vec<SeqRange>,
    /// The sequence numbers of `pending`, in ascending order.
    #[serde(default)]
    pub pending_seqs: Vec<SeqRange>,
    /// How many of both are in neither list, because a run's 50 lowest ranges are named only.
    #[serde(default)]
    pub unnamed: u64,
}

/// All holes.
#[derive(Debug, Default)]
pub(super) struct Holes {
    pub(super) missing: u64,
    pub(super) pending: u64,
    /// Runs with holes, those with overdue events first.
    pub(super) boots: Vec<BootGap>,
    /// Runs with holes beyond those.
    pub(super) boots_left_out: u64,
}

/// How far a run's sequence should reach.
#[derive(Debug, Deserialize)]
struct Bound {
    gateway_id: String,
    boot_id: String,
    /// Everything up to here is overdue if it is not there.
    due: u64,
    /// Highest number seen or closed.
    newest: u64,
}

/// What is there of a run.
#[derive(Debug, Deserialize)]
struct Seen {
    gateway_id: String,
    boot_id: String,
    /// Different numbers up to the bound's `due`.
    due: u64,
    /// Different numbers.
    all: u64,
    /// Highest number.
    reach: u64,
}

/// Numbers that are not there, below one that is.
#[derive(Debug, Deserialize)]
struct Hole {
    gateway_id: String,
    boot_id: String,
    #[serde(flatten)]
    range: SeqRange,
}

/// A run with holes before their numbers are known.
#[derive(Debug)]
struct Gap {
    bound: Bound,
    reach: u64,
    missing: u64,
    pending: u64,
}

type Boot = (String, String);

/// Finds all holes of the runs that were heard of lately, or that have events in the period. Those of events younger than `grace` are pending, unless their gateway said that its run
/// has ended.
///
/// # Errors
/// When the store fails.
pub(super) async fn find(
    store: &LedgerStore,
    now: Timestamp,
    grace: Duration,
    period: Option<Period>,
) -> Result<Holes, StoreError> {
    let now_ms = now.as_millisecond();
    let runs = period.map_or_else(|| Runs::since(now_ms - BOOT_WINDOW.as_millis() as i64), Runs::within);
    let bounds = bounds(&runs, now_ms - grace.as_millis() as i64);
    let expected: Vec<Bound> = store.rows(&bounds).await?;
    let seen: Vec<Seen> = store.rows(&seen(&bounds)).await?;
    let mut gaps = gaps(expected, seen);
    let sum = |count: fn(&Gap) -> u64| gaps.iter().map(count).sum();
    let (missing, pending) = (sum(|gap| gap.missing), sum(|gap| gap.pending));
    // Stable: within both groups the order of gateways and runs stays.
    gaps.sort_by_key(|gap| gap.missing == 0);
    let boots_left_out = gaps.len().saturating_sub(MAX_BOOTS) as u64;
    gaps.truncate(MAX_BOOTS);
    let below = holes_below_the_highest(store, &gaps).await?;
    Ok(Holes { missing, pending, boots: named(gaps, below), boots_left_out })
}

fn gaps(expected: Vec<Bound>, seen: Vec<Seen>) -> Vec<Gap> {
    let seen: HashMap<Boot, (u64, u64, u64)> =
        seen.into_iter().map(|s| ((s.gateway_id, s.boot_id), (s.due, s.all, s.reach))).collect();
    let gap = |bound: Bound| {
        let key = (bound.gateway_id.clone(), bound.boot_id.clone());
        let (due, all, reach) = seen.get(&key).copied().unwrap_or_default();
        let missing = bound.due.saturating_sub(due);
        let pending = bound.newest.saturating_sub(all).saturating_sub(missing);
        Gap { bound, reach, missing, pending }
    };
    expected.into_iter().map(gap).filter(|gap| gap.missing + gap.pending > 0).collect()
}

async fn holes_below_the_highest(store: &LedgerStore, gaps: &[Gap]) -> Result<Vec<Hole>, StoreError> {
    // Read as ids: text that a gateway wrote never becomes part of a statement.
    let boots: Vec<Uuid> = gaps.iter().filter_map(|gap| gap.bound.boot_id.parse().ok()).collect();
    if boots.is_empty() { Ok(Vec::new()) } else { store.rows(&holes(&boots)).await }
}

/// Gives each run its ranges: those below its highest number, and what is missing after it.
fn named(gaps: Vec<Gap>, below: Vec<Hole>) -> Vec<BootGap> {
    let mut ranges = HashMap::<Boot, Vec<SeqRange>>::new();
    for hole in below {
        ranges.entry((hole.gateway_id, hole.boot_id)).or_default().push(hole.range);
    }
    let boot = |gap: Gap| {
        let Bound { gateway_id, boot_id, due, newest } = gap.bound;
        let key = (gateway_id, boot_id);
        let mut holes = ranges.remove(&key).unwrap_or_default();
        if gap.reach < newest {
            holes.push(SeqRange { first: gap.reach + 1, last: newest });
        }
        holes.truncate(MAX_RANGES);
        let (missing_seqs, pending_seqs) = split_at(due, &holes);
        let count: u64 = holes.iter().map(|range| range.count()).sum();
        let unnamed = (gap.missing + gap.pending).saturating_sub(count);
        let (missing, pending) = (gap.missing, gap.pending);
        BootGap { gateway_id: key.0, boot_id: key.1, missing, pending, missing_seqs, pending_seqs, unnamed }
    };
    gaps.into_iter().map(boot).collect()
}

/// What is overdue (up to `due`), and the rest.
fn split_at(due: u64, holes: &[SeqRange]) -> (Vec<SeqRange>, Vec<SeqRange>) {
    let up_to_due = holes.iter().map(|hole| SeqRange { first: hole.first, last: hole.last.min(due) });
    let after = holes.iter().map(|hole| SeqRange { first: hole.first.max(due + 1), last: hole.last });
    let not_empty = |range: &SeqRange| range.first <= range.last;
    (up_to_due.filter(not_empty).collect(), after.filter(not_empty).collect())
}

/// Which runs are looked at.
struct Runs {
    /// Condition over the events of a run.
    events: String,
    /// Condition over the end of a run.
    ends: String,
}

impl Runs {
    /// Those that were heard of since then.
    fn since(window_ms: i64) -> Self {
        let recent = format!(">= fromUnixTimestamp64Milli({window_ms}, 'UTC')");
        Self { events: format!("max(inserted_at) {recent}"), ends: format!("inserted_at {recent}") }
    }

    /// Those with events in a period, or that ended in it.
    fn within(period: Period) -> Self {
        let within = period.sql();
        let ended = within.replace("event_time", "inserted_at");
        let with_events =
            format!("toString(boot_id) IN (SELECT toString(boot_id) FROM usage_events WHERE {within})");
        Self { events: format!("countIf({within}) > 0"), ends: format!("(({ended}) OR {with_events})") }
    }
}

/// A run that was closed is due up to its end; another one up to its newest event older than the grace.
fn bounds(runs: &Runs, due_before_ms: i64) -> String {
    let Runs { events, ends } = runs;
    format!(
        "SELECT gateway_id, boot_id, max(due_seq) AS due, max(newest_seq) AS newest FROM (
             SELECT gateway_id, toString(boot_id) AS boot_id,
                 maxIf(seq, event_time < fromUnixTimestamp64Milli({due_before_ms}, 'UTC')) AS due_seq,
                 max(seq) AS newest_seq
             FROM usage_events
             GROUP BY gateway_id, boot_id
             HAVING {events}
             UNION ALL
             SELECT gateway_id, toString(boot_id) AS boot_id, max(last_seq), max(last_seq)
             FROM boots
             WHERE {ends}
             GROUP BY gateway_id, boot_id
         ) GROUP BY gateway_id, boot_id ORDER BY gateway_id, boot_id"
    )
}

fn seen(bounds: &str) -> String {
    format!(
        "SELECT gateway_id, boot_id, uniqExactIf(seq, seq >= 1 AND seq <= b.due) AS due,
             uniqExactIf(seq, seq >= 1) AS all, max(seq) AS reach
         FROM (SELECT gateway_id, toString(boot_id) AS boot_id, seq FROM usage_events) AS e
         INNER JOIN ({bounds}) AS b USING (gateway_id, boot_id)
         GROUP BY gateway_id, boot_id"
    )
}

fn holes(boots: &[Uuid]) -> String {
    let boots: Vec<_> = boots.iter().map(|boot| format!("'{boot}'")).collect();
    let boots = boots.join(", ");
    format!(
        "SELECT gateway_id, boot_id, before + 1 AS first, seq - 1 AS last FROM (
             SELECT gateway_id, boot_id, seq, lagInFrame(seq, 1, 0) OVER (
                 PARTITION BY gateway_id, boot_id ORDER BY seq
                 ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS before
             FROM (
                 SELECT DISTINCT gateway_id, toString(u.boot_id) AS boot_id, seq
                 FROM usage_events AS u WHERE seq >= 1 AND toString(u.boot_id) IN ({boots})
             )
         ) WHERE seq > before + 1
         ORDER BY gateway_id, boot_id, first LIMIT {MAX_RANGES} BY gateway_id, boot_id"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(due: u64, newest: u64) -> Bound {
        Bound { gateway_id: "gw".to_owned(), boot_id: "b".to_owned(), due, newest }
    }

    fn counted(due: u64, newest: u64, seen: Option<(u64, u64)>) -> (u64, u64) {
        let (gateway_id, boot_id) = ("gw".to_owned(), "b".to_owned());
        let seen = seen.map(|(due, all)| Seen { gateway_id, boot_id, due, all, reach: all });
        let gaps = gaps(vec![bound(due, newest)], seen.into_iter().collect());
        gaps.first().map_or((0, 0), |gap| (gap.missing, gap.pending))
    }

    #[test]
    fn holes_below_what_is_due_are_missing_and_above_it_pending() {
        assert_eq!(counted(10, 10, Some((10, 10))), (0, 0));
        assert_eq!(counted(10, 12, Some((9, 10))), (1, 1));
        assert_eq!(counted(0, 5, Some((0, 3))), (0, 2));
    }

    #[test]
    fn a_closed_boot_without_any_event_is_missing_as_a_whole() {
        assert_eq!(counted(7, 7, None), (7, 0));
    }

    fn ranges(text: &[(u64, u64)]) -> Vec<SeqRange> {
        text.iter().map(|&(first, last)| SeqRange { first, last }).collect()
    }

    fn one(gap: Gap, below: &[(u64, u64)]) -> BootGap {
        let hole = |range| Hole { gateway_id: "gw".to_owned(), boot_id: "b".to_owned(), range };
        named(vec![gap], ranges(below).into_iter().map(hole).collect()).remove(0)
    }

    #[test]
    fn a_range_is_cut_where_overdue_numbers_end_and_the_end_of_the_run_is_a_range_too() {
        let gap = Gap { bound: bound(8, 12), reach: 10, missing: 4, pending: 3 };
        let boot = one(gap, &[(2, 3), (7, 9)]);
        assert_eq!(boot.missing_seqs, ranges(&[(2, 3), (7, 8)]));
        assert_eq!(boot.pending_seqs, ranges(&[(9, 9), (11, 12)]));
        assert_eq!(boot.unnamed, 0);
    }

    #[test]
    fn a_run_of_which_nothing_arrived_is_one_range() {
        let boot = one(Gap { bound: bound(7, 7), reach: 0, missing: 7, pending: 0 }, &[]);
        assert_eq!((boot.missing_seqs, boot.pending_seqs), (ranges(&[(1, 7)]), vec![]));
    }

    #[test]
    fn what_is_beyond_the_longest_list_is_counted() {
        let every_second: Vec<_> = (1..=MAX_RANGES as u64).map(|n| (2 * n, 2 * n)).collect();
        let gap = Gap { bound: bound(1000, 1000), reach: 901, missing: 450 + 99, pending: 0 };
        let boot = one(gap, &every_second);
        assert_eq!(boot.missing_seqs.len(), MAX_RANGES);
        assert_eq!(boot.unnamed, 450 + 99 - MAX_RANGES as u64);
    }

    #[test]
    fn text_of_a_gateway_does_not_become_sql() {
        let sql = holes(&[Uuid::from_u128(1)]);
        assert!(sql.contains("IN ('00000000-0000-0000-0000-000000000001')"), "{sql}");
    }
}
