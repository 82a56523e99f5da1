//! Spool record to log record. Pure.

use bytes::Bytes;
use tollgate_eventlog::{Headers, OutRecord, Topic};
use tollgate_schemas::envelope::Envelope;

use super::super::record::Event;

/// Header of a dead letter: why the log refused the event.
pub(crate) const REASON_HEADER: &str = "tollgate-reason";
/// Header of a dead letter: the topic it was meant for.
pub(crate) const TOPIC_HEADER: &str = "tollgate-topic";

/// Longest reason, bytes.
const MAX_REASON: usize = 512;

/// The event as a CloudEvent in Kafka's binary mode.
pub(crate) fn wrap(event: &Event<'_>, gateway_id: &str) -> OutRecord {
    let envelope = Envelope {
        id: event.id,
        kind: event.kind.to_owned(),
        source: format!("/tollgate/gateway/{gateway_id}"),
        time_ms: event.time_ms,
        subject: event.subject.map(str::to_owned),
        partition_key: std::str::from_utf8(event.key).ok().map(str::to_owned),
        traceparent: event.traceparent.map(str::to_owned),
        sequence: event.sequence,
    };
    OutRecord {
        topic: event.topic,
        key: Bytes::copy_from_slice(event.key),
        headers: envelope.to_headers(),
        payload: Some(Bytes::copy_from_slice(event.data)),
        timestamp_ms: event.time_ms,
    }
}

/// The same event for the dead-letter topic.
pub(crate) fn dead_letter(record: OutRecord, reason: &str) -> OutRecord {
    let mut headers: Headers = record.headers;
    let cut = reason.floor_char_boundary(MAX_REASON);
    headers.push((REASON_HEADER.into(), Bytes::copy_from_slice(&reason.as_bytes()[..cut])));
    headers.push((TOPIC_HEADER.into(), Bytes::from_static(record.topic.name().as_bytes())));
    OutRecord { topic: Topic::UsageDeadLetter, headers, ..record }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn event() -> Event<'static> {
        Event {
            topic: Topic::Usage,
            id: Uuid::from_u128(5),
            time_ms: 1_795_000_123_456,
            sequence: Some(42),
            kind: "dev.tollgate.usage.recorded.v1",
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            key: b"key-1",
            subject: Some("checkout-team"),
            data: b"{}",
        }
    }

    #[test]
    fn the_envelope_says_who_what_and_when() {
        let record = wrap(&event(), "gw-1");
        let envelope = Envelope::from_headers(&record.headers).unwrap();
        assert_eq!(envelope.source, "/tollgate/gateway/gw-1");
        assert_eq!(envelope.partition_key.as_deref(), Some("key-1"));
        assert_eq!(envelope.sequence, Some(42));
        assert_eq!(envelope.traceparent.as_deref(), event().traceparent);
        assert_eq!((record.timestamp_ms, &record.key[..]), (1_795_000_123_456, &b"key-1"[..]));
        assert_eq!(record.payload.as_deref(), Some(&b"{}"[..]));
    }

    #[test]
    fn a_dead_letter_keeps_the_event_and_says_why() {
        let letter = dead_letter(wrap(&event(), "gw-1"), &"ä".repeat(400));
        assert_eq!(letter.topic, Topic::UsageDeadLetter);
        assert_eq!(letter.payload.as_deref(), Some(&b"{}"[..]));
        let find = |name| letter.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        assert_eq!(find(TOPIC_HEADER).unwrap(), "llm.usage.v1");
        assert_eq!(find(REASON_HEADER).unwrap().len(), 512);
        assert!(Envelope::from_headers(&letter.headers).is_ok());
    }
}
