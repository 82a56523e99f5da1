//! From a record of the log to an event of the current version. Pure.
//!
//! Reads every released `v1` event: unknown fields and headers are ignored, absent optional ones have
//! their defaults. What cannot be read comes back with its reason; nothing is skipped in silence.

use tollgate_eventlog::InRecord;
use tollgate_schemas::envelope::Envelope;
use tollgate_schemas::usage::{BOOT_CLOSED_TYPE, BootClosed, EVENT_TYPE, UsageEvent};

use crate::dead_letter::Reason;

/// A record that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decoded {
    Usage(Box<UsageEvent>),
    /// A gateway stopped in good order.
    BootClosed(BootClosed),
}

/// The range of `DateTime64(3)` that its conversion to `DateTime` (in sort key and TTL) can hold:
/// 1970-01-01 to 2106-02-01, ms since the Unix epoch.
const TIME_RANGE_MS: std::ops::Range<i64> = 0..4_294_425_600_000;

/// Why a record is not an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Unreadable {
    pub(crate) fn new(reason: Reason, detail: impl ToString) -> Self {
        Self { reason, detail: detail.to_string() }
    }
}

/// Reads a record.
///
/// # Errors
/// With the reason why the record becomes a dead letter.
pub(crate) fn decode(record: &InRecord) -> Result<Decoded, Unreadable> {
    let envelope =
        Envelope::from_headers(&record.headers).map_err(|error| Unreadable::new(Reason::Envelope, error))?;
    let payload = record
        .payload
        .as_deref()
        .ok_or_else(|| Unreadable::new(Reason::NoPayload, "the record has no data"))?;
    let data = |error: serde_json::Error| Unreadable::new(Reason::Data, error);
    match envelope.kind.as_str() {
        EVENT_TYPE => {
            let event: UsageEvent = serde_json::from_slice(payload).map_err(data)?;
            check(&event).map_err(|detail| Unreadable::new(Reason::OutOfRange, detail))?;
            Ok(Decoded::Usage(Box::new(event)))
        }
        BOOT_CLOSED_TYPE => Ok(Decoded::BootClosed(serde_json::from_slice(payload).map_err(data)?)),
        other => Err(Unreadable::new(Reason::UnknownType, format_args!("type {other}"))),
    }
}

/// Refuses values that the ledger's columns cannot hold, or would change.
fn check(event: &UsageEvent) -> Result<(), String> {
    for (name, time_ms) in [("event_time_ms", event.event_time_ms), ("ended_at_ms", event.ended_at_ms)] {
        if !TIME_RANGE_MS.contains(&time_ms) {
            return Err(format!("{name} {time_ms} is outside of 1970 to 2106"));
        }
    }
    let sum = |input: bool| {
        let mut lines = event
            .lines
            .iter()
            .filter(|line| if input { line.class.is_input() } else { line.class.is_output() });
        lines.try_fold(0_u64, |sum, line| sum.checked_add(line.qty))
    };
    sum(true).and(sum(false)).map(|_| ()).ok_or_else(|| "the quantities do not fit 64 bits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW_MS, event, position};
    use bytes::Bytes;
    use proptest::prelude::*;
    use tollgate_schemas::tokens::TokenClass;

    fn record(kind: &str, payload: Option<Vec<u8>>) -> InRecord {
        let envelope = Envelope {
            id: uuid::Uuid::now_v7(),
            kind: kind.to_owned(),
            source: "/tollgate/gateway/gw-1".to_owned(),
            time_ms: NOW_MS,
            subject: None,
            partition_key: None,
            traceparent: None,
            sequence: None,
        };
        InRecord {
            at: position(5),
            key: Bytes::from_static(b"key-1"),
            headers: envelope.to_headers(),
            payload: payload.map(Bytes::from),
            timestamp_ms: NOW_MS,
        }
    }

    fn refused(record: InRecord, reason: Reason, detail: &str) {
        let unreadable = decode(&record).unwrap_err();
        assert_eq!(unreadable.reason, reason, "{unreadable:?}");
        assert!(unreadable.detail.contains(detail), "{}", unreadable.detail);
    }

    #[test]
    fn a_usage_event_is_read_as_it_was_written() {
        let sent = event(1, &[(TokenClass::Input, 10)]);
        let payload = serde_json::to_vec(&sent).unwrap();
        assert_eq!(decode(&record(EVENT_TYPE, Some(payload))).unwrap(), Decoded::Usage(Box::new(sent)));
    }

    #[test]
    fn the_end_of_a_boot_is_read() {
        let closed =
            BootClosed { gateway_id: "gw-1".into(), boot_id: event(1, &[]).ledger.boot_id, last_seq: 9 };
        let payload = serde_json::to_vec(&closed).unwrap();
        assert_eq!(decode(&record(BOOT_CLOSED_TYPE, Some(payload))).unwrap(), Decoded::BootClosed(closed));
    }

    #[test]
    fn every_released_usage_event_is_read() {
        let folder = format!("{}/../schemas/golden/usage.v1", std::env::var("CARGO_MANIFEST_DIR").unwrap());
        let mut files = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let kind = if path.ends_with("boot_closed.json") { BOOT_CLOSED_TYPE } else { EVENT_TYPE };
            let payload = std::fs::read(&path).unwrap();
            assert!(decode(&record(kind, Some(payload))).is_ok(), "{}", path.display());
            files += 1;
        }
        assert!(files >= 5);
    }

    #[test]
    fn what_cannot_be_read_is_set_aside_with_its_reason() {
        refused(record(EVENT_TYPE, None), Reason::NoPayload, "no data");
        refused(record(EVENT_TYPE, Some(b"{\"event_id\"".to_vec())), Reason::Data, "EOF");
        refused(record(EVENT_TYPE, Some(b"{}".to_vec())), Reason::Data, "missing field");
        refused(record("dev.tollgate.usage.recorded.v2", Some(b"{}".to_vec())), Reason::UnknownType, "v2");
        let mut bare = record(EVENT_TYPE, Some(b"{}".to_vec()));
        bare.headers.clear();
        refused(bare, Reason::Envelope, "ce_specversion");
    }

    #[test]
    fn values_that_the_ledger_cannot_hold_are_set_aside() {
        let refuse = |event: UsageEvent, detail: &str| {
            refused(
                record(EVENT_TYPE, Some(serde_json::to_vec(&event).unwrap())),
                Reason::OutOfRange,
                detail,
            );
        };
        refuse(UsageEvent { event_time_ms: -1, ..event(1, &[]) }, "event_time_ms");
        refuse(UsageEvent { ended_at_ms: i64::MAX, ..event(1, &[]) }, "ended_at_ms");
        refuse(event(1, &[(TokenClass::Input, u64::MAX), (TokenClass::InputAudio, 1)]), "64 bits");
        refuse(event(1, &[(TokenClass::Output, u64::MAX), (TokenClass::OutputAudio, 1)]), "64 bits");
    }

    proptest! {
        #[test]
        fn hostile_data_never_panics(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&record(EVENT_TYPE, Some(data.clone())));
            let _ = decode(&record(BOOT_CLOSED_TYPE, Some(data)));
        }
    }
}
