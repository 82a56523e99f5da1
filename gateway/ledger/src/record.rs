//! What one spool record says. Pure: bytes in, bytes out.
//!
//! ```text
//! kind u8 | intent u64 | written at, ms i64
//! and, for every kind but a release:
//! topic u8 | event id 16 bytes | event time, ms i64 | sequence u64 (0: none)
//! | type, traceparent, key, subject (each: length u16, UTF-8 bytes) | data to the end
//! ```
//!
//! Everything that publishing needs stands before the data, so the publisher never parses JSON and recovery
//! reads seventeen bytes a record.

use tollgate_schemas::topics::Topic;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An attempt begins. Its event is what will be published if nothing else is heard of it.
    Intent = 1,
    /// An attempt ended; the event replaces the one of its intent.
    Settle = 2,
    /// Nothing else will be heard of an attempt: the intent's own event is published.
    Release = 3,
    /// A usage event without an attempt.
    Event = 4,
    /// A content or cache event.
    Content = 5,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) kind: Kind,
    /// Number of the intent; 0 for kinds that belong to none.
    pub(crate) intent: u64,
    /// When it was written, ms since the Unix epoch.
    pub(crate) written_ms: i64,
    /// `None` for a release only.
    pub(crate) event: Option<Event<'a>>,
}

/// An event with everything that its envelope needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    pub(crate) topic: Topic,
    pub(crate) id: Uuid,
    pub(crate) time_ms: i64,
    pub(crate) sequence: Option<u64>,
    pub(crate) kind: &'a str,
    pub(crate) traceparent: Option<&'a str>,
    pub(crate) key: &'a [u8],
    pub(crate) subject: Option<&'a str>,
    pub(crate) data: &'a [u8],
}

/// The part of a record that recovery and the cursor need, at the start of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) intent: u64,
    pub(crate) written_ms: i64,
}

impl Kind {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Intent, Self::Settle, Self::Release, Self::Event, Self::Content]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }

    /// Whether something is published when this record is reached.
    pub(crate) fn publishes(self) -> bool {
        self != Self::Intent
    }
}

/// Appends a record without its data, which the caller appends next.
pub(crate) fn encode(out: &mut Vec<u8>, head: Head, event: Option<&Event<'_>>) {
    out.push(head.kind as u8);
    out.extend_from_slice(&head.intent.to_le_bytes());
    out.extend_from_slice(&head.written_ms.to_le_bytes());
    let Some(event) = event else { return };
    out.push(topic_code(event.topic));
    out.extend_from_slice(event.id.as_bytes());
    out.extend_from_slice(&event.time_ms.to_le_bytes());
    out.extend_from_slice(&event.sequence.unwrap_or(0).to_le_bytes());
    put(out, event.kind.as_bytes());
    put(out, event.traceparent.unwrap_or_default().as_bytes());
    put(out, event.key);
    put(out, event.subject.unwrap_or_default().as_bytes());
    out.extend_from_slice(event.data);
}

/// Kind, intent and time of a record; `None` if the bytes are no record.
pub(crate) fn head(bytes: &[u8]) -> Option<Head> {
    let mut input = Input(bytes);
    Some(Head {
        kind: Kind::from_code(input.array::<1>()?[0])?,
        intent: u64::from_le_bytes(input.array()?),
        written_ms: i64::from_le_bytes(input.array()?),
    })
}

/// The record in `bytes`; `None` if they are no record.
pub(crate) fn decode(bytes: &[u8]) -> Option<Record<'_>> {
    let Head { kind, intent, written_ms } = head(bytes)?;
    let mut input = Input(bytes.get(17..)?);
    if kind == Kind::Release {
        return Some(Record { kind, intent, written_ms, event: None });
    }
    let topic = topic_of(input.array::<1>()?[0])?;
    let id = Uuid::from_bytes(input.array()?);
    let time_ms = i64::from_le_bytes(input.array()?);
    let sequence = Some(u64::from_le_bytes(input.array()?)).filter(|sequence| *sequence > 0);
    let event_kind = input.text()?;
    let traceparent = input.text().map(|text| Some(text).filter(|text| !text.is_empty()))?;
    let key = input.bytes()?;
    let subject = input.text().map(|text| Some(text).filter(|text| !text.is_empty()))?;
    let event =
        Event { topic, id, time_ms, sequence, kind: event_kind, traceparent, key, subject, data: input.0 };
    Some(Record { kind, intent, written_ms, event: Some(event) })
}

/// Names and keys are short; one above 64 KiB is cut, because a record must never be refused for it.
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len().min(usize::from(u16::MAX));
    while length < bytes.len() && length > 0 && bytes[length] & 0xc0 == 0x80 {
        length -= 1;
    }
    out.extend_from_slice(&(length as u16).to_le_bytes());
    out.extend_from_slice(&bytes[..length]);
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// Codes are part of the file format: new topics get new codes, and a code is never reused.
const TOPIC_CODES: [(Topic, u8); 6] = [
    (Topic::Usage, 1),
    (Topic::Prompt, 2),
    (Topic::Completion, 3),
    (Topic::Cache, 4),
    (Topic::BackendState, 5),
    (Topic::UsageDeadLetter, 6),
];

fn topic_code(topic: Topic) -> u8 {
    TOPIC_CODES.iter().find(|(known, _)| *known == topic).map_or(0, |(_, code)| *code)
}

fn topic_of(code: u8) -> Option<Topic> {
    TOPIC_CODES.iter().find(|(_, known)| *known == code).map(|(topic, _)| *topic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_topic_has_a_code_of_its_own() {
        for topic in Topic::ALL {
            assert_eq!(topic_of(topic_code(topic)), Some(topic));
        }
    }

    #[test]
    fn a_release_is_seventeen_bytes() {
        let mut bytes = Vec::new();
        let release = Head { kind: Kind::Release, intent: 9, written_ms: 5 };
        encode(&mut bytes, release, None);
        assert_eq!(bytes.len(), 17);
        assert_eq!(
            decode(&bytes),
            Some(Record { kind: Kind::Release, intent: 9, written_ms: 5, event: None })
        );
    }

    #[test]
    fn an_overlong_name_is_cut_at_a_character() {
        let mut bytes = Vec::new();
        put(&mut bytes, "ä".repeat(40_000).as_bytes());
        assert_eq!(Input(&bytes).text().unwrap().len(), 65_534);
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was(
            kind in prop_oneof![Just(Kind::Intent), Just(Kind::Settle), Just(Kind::Event), Just(Kind::Content)],
            (intent, written_ms, id, time_ms) in any::<(u64, i64, u128, i64)>(),
            sequence in proptest::option::of(1..u64::MAX),
            topic in 0..Topic::ALL.len(),
            (name, key) in (".{0,30}", proptest::collection::vec(any::<u8>(), 0..40)),
            traceparent in proptest::option::of("[0-9a-f-]{55}"),
            subject in proptest::option::of(".{1,20}"),
            data in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let event = Event {
                topic: Topic::ALL[topic],
                id: Uuid::from_u128(id),
                time_ms,
                sequence,
                kind: &name,
                traceparent: traceparent.as_deref(),
                key: &key,
                subject: subject.as_deref(),
                data: &data,
            };
            let mut bytes = Vec::new();
            encode(&mut bytes, Head { kind, intent, written_ms }, Some(&event));
            prop_assert_eq!(head(&bytes), Some(Head { kind, intent, written_ms }));
            prop_assert_eq!(decode(&bytes), Some(Record { kind, intent, written_ms, event: Some(event) }));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
