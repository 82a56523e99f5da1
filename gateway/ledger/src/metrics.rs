//! The ledger's metric families.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::status::LedgerStatus;

/// What is read off a status for one family.
type Reading = fn(&LedgerStatus) -> u64;

/// Name, help and reading of each family, in the order in which they are shown.
const FAMILIES: [(&str, &str, Reading); 14] = [
    ("spool_bytes", "Bytes of usage records on the disk", |now| now.spool_bytes),
    ("spool_backlog_records", "Usage records that the event log has not confirmed", |now| {
        now.backlog_records
    }),
    ("spool_backlog_age_ms", "Age of the oldest of them, ms", |now| now.backlog_age_ms),
    ("spool_open_intents", "Attempts under way", |now| now.open_intents),
    ("spool_published", "Usage records confirmed by the event log since the start", |now| now.published),
    ("spool_recovered", "Attempts of gateways that died, written down at the start", |now| now.recovered),
    ("spool_content_shed", "Content events given up for lack of room", |now| now.shed),
    ("spool_refused", "Requests refused because the spool could not take them", |now| now.refused),
    ("spool_unmetered", "Requests served without an event because the spool was full", |now| now.unmetered),
    ("spool_deferred", "Settled events that wait in memory because they could not be written", |now| {
        now.deferred
    }),
    ("spool_dead_letters", "Events that the event log refused for good", |now| now.dead_letters),
    ("spool_unreadable", "Usage records that could not be read and whose events are missing", |now| {
        now.unreadable
    }),
    ("spool_failed_fsyncs", "Failed fsyncs of the spool", |now| now.failed_fsyncs),
    ("ledger_seq", "Last sequence number of this boot", |now| now.seq),
];

/// The ledger's families in a registry.
#[derive(Debug)]
pub struct LedgerMetrics {
    gauges: [(Gauge, Reading); 14],
}

impl LedgerMetrics {
    /// Registers the families; they show 0 until [`LedgerMetrics::set`].
    pub fn register(registry: &mut Registry) -> Self {
        let gauges = FAMILIES.map(|(name, help, reading)| {
            let gauge: Gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            (gauge, reading)
        });
        Self { gauges }
    }

    /// Has the families show `now`.
    pub fn set(&self, now: &LedgerStatus) {
        for (gauge, reading) in &self.gauges {
            gauge.set(i64::try_from(reading(now)).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_shows_its_own_number() {
        let mut registry = Registry::with_prefix("tollgate");
        let metrics = LedgerMetrics::register(&mut registry);
        metrics.set(&LedgerStatus {
            backlog_age_ms: 7,
            failed_fsyncs: 2,
            seq: u64::MAX,
            ..Default::default()
        });
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "tollgate_spool_backlog_age_ms 7",
            "tollgate_spool_failed_fsyncs 2",
            "tollgate_spool_refused 0",
            "tollgate_ledger_seq 9223372036854775807",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
