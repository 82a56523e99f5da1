//! Every metric of accounting, and whether the service is ready.
//!
//! Labels come from closed sets. `tollgate_ledger_missing_events` and `tollgate_ledger_split_events` are 0
//! in a healthy system; so is `tollgate_ledger_rollup_difference_pico`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tollgate_eventlog::LogError;

use crate::dead_letter::Reason;
use crate::reconcile::Reconciliation;
use crate::row::UsageRow;
use crate::store::StoreError;

/// An event that is further ahead of accounting's clock comes from a gateway whose clock is wrong.
const CLOCK_AHEAD_MS: i64 = 5 * 60 * 1000;
const INSERT_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabel {
    table: &'static str,
}

/// All metrics; a cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    records: Family<KindLabel, Counter>,
    dead_letters: Family<ReasonLabel, Counter>,
    rows_inserted: Family<TableLabel, Counter>,
    insert_seconds: InsertSeconds,
    unpriced: Counter,
    clock_ahead: Counter,
    lag: Gauge,
    pub(crate) insert_failures: Counter,
    pub(crate) poll_failures: Counter,
    pub(crate) commit_failures: Counter,
    pub(crate) dead_letter_topic_failures: Counter,
    pub(crate) rollup_days: Counter,
    /// Days of the rollup that a reconciliation found wrong and that were rebuilt.
    pub(crate) rollup_repaired_days: Counter,
    pub(crate) rollup_failures: Counter,
    pub(crate) reconcile_failures: Counter,
    ledger: LedgerGauges,
}

#[derive(Debug, Clone)]
struct InsertSeconds(Histogram);

impl Default for InsertSeconds {
    fn default() -> Self {
        Self(Histogram::new(INSERT_SECONDS))
    }
}

/// What the last reconciliation found.
#[derive(Debug, Clone, Default)]
struct LedgerGauges {
    missing: Gauge,
    pending: Gauge,
    duplicates: Gauge,
    split: Gauge,
    unpriced: Gauge,
    dead_letters: Gauge,
    rollup_difference: Gauge,
}

impl Metrics {
    pub(crate) fn usage_read(&self, row: &UsageRow, now_ms: i64) {
        self.records.get_or_create(&KindLabel { kind: "usage" }).inc();
        if row.unpriced {
            self.unpriced.inc();
        }
        if row.event.event_time_ms > now_ms + CLOCK_AHEAD_MS {
            self.clock_ahead.inc();
        }
    }

    pub(crate) fn boot_read(&self) {
        self.records.get_or_create(&KindLabel { kind: "boot_closed" }).inc();
    }

    pub(crate) fn dead_letter_read(&self, reason: Reason) {
        self.records.get_or_create(&KindLabel { kind: "dead_letter" }).inc();
        self.dead_letters.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }

    pub(crate) fn inserted(&self, table: &'static str, rows: usize, took: Duration) {
        self.rows_inserted.get_or_create(&TableLabel { table }).inc_by(rows as u64);
        self.insert_seconds.0.observe(took.as_secs_f64());
    }

    pub(crate) fn set_lag(&self, lag: Option<u64>) {
        if let Some(lag) = lag {
            self.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
        }
    }

    /// As of the last poll.
    pub(crate) fn lag(&self) -> u64 {
        u64::try_from(self.lag.get()).unwrap_or(0)
    }

    pub(crate) fn reconciled(&self, found: &Reconciliation) {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.ledger.missing.set(count(found.missing));
        self.ledger.pending.set(count(found.pending));
        self.ledger.duplicates.set(count(found.duplicates));
        self.ledger.split.set(count(found.split));
        self.ledger.unpriced.set(count(found.unpriced));
        self.ledger.dead_letters.set(count(found.dead_letters));
        self.ledger.rollup_difference.set(i64::try_from(found.rollup_difference.0).unwrap_or(i64::MAX));
    }

    /// The metrics in the Prometheus text format.
    #[must_use]
    pub(crate) fn to_text(&self) -> String {
        let mut registry = Registry::with_prefix("tollgate");
        self.register_consumer(&mut registry);
        self.register_ledger(&mut registry);
        let mut text = String::new();
        match encode(&mut text, &registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }

    fn register_consumer(&self, to: &mut Registry) {
        to.register("accounting_records", "Records read, by what they were", self.records.clone());
        to.register("accounting_dead_letters", "Records set aside, by reason", self.dead_letters.clone());
        to.register("accounting_rows_inserted", "Rows stored, by table", self.rows_inserted.clone());
        to.register(
            "accounting_insert_seconds",
            "Time of an insert that worked",
            self.insert_seconds.0.clone(),
        );
        to.register("accounting_insert_failures", "Failed tries to insert", self.insert_failures.clone());
        to.register("accounting_poll_failures", "Failed polls of the event log", self.poll_failures.clone());
        to.register("accounting_commit_failures", "Offsets not committed", self.commit_failures.clone());
        to.register(
            "accounting_dead_letter_topic_failures",
            "Dead letters not copied to their topic",
            self.dead_letter_topic_failures.clone(),
        );
        to.register("accounting_unpriced", "Events read that have no price", self.unpriced.clone());
        to.register(
            "accounting_clock_ahead",
            "Events more than 5 minutes ahead of now",
            self.clock_ahead.clone(),
        );
        to.register("accounting_lag_records", "Records not yet read", self.lag.clone());
        to.register("accounting_rollup_days", "Days rebuilt in the rollup", self.rollup_days.clone());
        to.register(
            "accounting_rollup_repaired_days",
            "Days of the rollup found wrong and rebuilt",
            self.rollup_repaired_days.clone(),
        );
        to.register("accounting_rollup_failures", "Failed rollup runs", self.rollup_failures.clone());
        to.register(
            "accounting_reconcile_failures",
            "Failed reconciliations",
            self.reconcile_failures.clone(),
        );
    }

    fn register_ledger(&self, to: &mut Registry) {
        let ledger = &self.ledger;
        to.register("ledger_missing_events", "Holes in the gateways' sequences", ledger.missing.clone());
        to.register("ledger_pending_events", "Holes that may still be filled", ledger.pending.clone());
        to.register(
            "ledger_duplicate_rows",
            "Rows stored more than once, not yet merged",
            ledger.duplicates.clone(),
        );
        to.register("ledger_split_events", "Events that reports would count twice", ledger.split.clone());
        to.register("ledger_unpriced_events", "Events without a price", ledger.unpriced.clone());
        to.register("ledger_dead_letters", "Records set aside", ledger.dead_letters.clone());
        to.register(
            "ledger_rollup_difference_pico",
            "Rollup cost minus event cost, 1e-12 of the currency",
            ledger.rollup_difference.clone(),
        );
    }
}

/// Whether the service does its work, as seen by its own parts.
#[derive(Debug)]
pub(crate) struct Health {
    log: Mutex<Option<String>>,
    store: Mutex<Option<String>>,
    leader: AtomicBool,
    last_poll_ms: AtomicI64,
}

/// A consumer that has not polled for this long is stuck.
const POLL_OVERDUE_MS: i64 = 60_000;

impl Health {
    #[must_use]
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            log: Mutex::new(Some("the event log has not been read yet".to_owned())),
            store: Mutex::new(None),
            leader: AtomicBool::new(false),
            last_poll_ms: AtomicI64::new(0),
        })
    }

    pub(crate) fn log_answered(&self) {
        self.last_poll_ms.store(jiff::Timestamp::now().as_millisecond(), Ordering::Relaxed);
        *self.log.lock() = None;
    }

    pub(crate) fn log_failed(&self, error: &LogError) {
        *self.log.lock() = Some(error.to_string());
    }

    pub(crate) fn store_answered(&self) {
        *self.store.lock() = None;
    }

    pub(crate) fn store_failed(&self, error: &StoreError) {
        *self.store.lock() = Some(error.to_string());
    }

    pub(crate) fn set_leader(&self, leads: bool) {
        self.leader.store(leads, Ordering::Relaxed);
    }

    /// Whether this instance does the group's common work (rollups).
    #[must_use]
    pub(crate) fn is_leader(&self) -> bool {
        self.leader.load(Ordering::Relaxed)
    }

    /// Why the service is not ready; `None` if it is.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<String> {
        let log = self.log.lock().clone();
        let silent_ms = jiff::Timestamp::now().as_millisecond() - self.last_poll_ms.load(Ordering::Relaxed);
        let stuck = (log.is_none() && silent_ms > POLL_OVERDUE_MS)
            .then(|| format!("the event log has not been read for {} s", silent_ms / 1000));
        log.or_else(|| self.store.lock().clone()).or(stuck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_until_it_is_over() {
        let health = Health::new();
        assert!(health.trouble().is_some());
        health.log_answered();
        assert_eq!(health.trouble(), None);
        health.store_failed(&StoreError::Unreachable("gone".to_owned()));
        assert!(health.trouble().unwrap().contains("gone"));
        health.store_answered();
        assert_eq!(health.trouble(), None);
    }

    #[test]
    fn metrics_carry_the_products_prefix() {
        let metrics = Metrics::default();
        metrics.dead_letter_read(Reason::Data);
        let text = metrics.to_text();
        assert!(text.contains("tollgate_accounting_dead_letters_total{reason=\"data\"} 1"), "{text}");
        assert!(text.contains("tollgate_ledger_missing_events 0"), "{text}");
    }
}
