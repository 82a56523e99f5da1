//! Records that could not be read as an event: kept with the reason and the raw bytes, never dropped.

use bytes::Bytes;
use tollgate_eventlog::{Headers, InRecord, OutRecord, Position, Topic};

use crate::store::rowbinary::{Column, LedgerRow};

/// Longest `detail`, bytes.
const MAX_DETAIL: usize = 1024;

/// Why a record is not an event. A closed set: it is a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The headers are not a CloudEvents envelope.
    Envelope,
    /// The envelope names a type that this topic does not carry.
    UnknownType,
    /// There is no data.
    NoPayload,
    /// The data is not JSON of the type's shape.
    Data,
    /// A value is outside of what the ledger can hold.
    OutOfRange,
}

impl Reason {
    /// The name in the ledger and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::UnknownType => "unknown_type",
            Self::NoPayload => "no_payload",
            Self::Data => "data",
            Self::OutOfRange => "out_of_range",
        }
    }
}

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The record's place in the log.
    pub at: Position,
    /// Why it could not be read.
    pub reason: Reason,
    /// The words of the reader, at most 1024 bytes.
    pub detail: String,
    /// The record's key.
    pub key: Bytes,
    /// The record's headers.
    pub headers: Headers,
    /// The record's data as it came.
    pub payload: Bytes,
    /// The record's time, ms since the Unix epoch.
    pub timestamp_ms: i64,
}

impl DeadLetter {
    /// Sets a record aside.
    #[must_use]
    pub fn new(record: InRecord, reason: Reason, mut detail: String) -> Self {
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
        Self {
            at: record.at,
            reason,
            detail,
            key: record.key,
            headers: record.headers,
            payload: record.payload.unwrap_or_default(),
            timestamp_ms: record.timestamp_ms,
        }
    }

    /// The record for the dead letter topic: as it came, with headers that say where from and why.
    #[must_use]
    pub fn to_record(&self) -> OutRecord {
        let mut headers = self.headers.clone();
        let mut put = |name: &'static str, value: String| headers.push((name.into(), Bytes::from(value)));
        put("tollgate_dlq_reason", self.reason.as_str().to_owned());
        put("tollgate_dlq_detail", self.detail.clone());
        put("tollgate_dlq_topic", self.at.topic.name().to_owned());
        put("tollgate_dlq_partition", self.at.partition.to_string());
        put("tollgate_dlq_offset", self.at.offset.to_string());
        OutRecord {
            topic: Topic::UsageDeadLetter,
            key: self.key.clone(),
            headers,
            payload: Some(self.payload.clone()),
            timestamp_ms: self.timestamp_ms,
        }
    }
}

impl LedgerRow for DeadLetter {
    const TABLE: &'static str = "dead_letters";
    const COLUMNS: &'static [Column<Self>] = &[
        ("topic", "LowCardinality(String)", |row, out| out.text(row.at.topic.name())),
        ("log_partition", "UInt16", |row, out| out.u16(row.at.partition)),
        ("log_offset", "UInt64", |row, out| out.u64(row.at.offset)),
        ("reason", "LowCardinality(String)", |row, out| out.text(row.reason.as_str())),
        ("detail", "String", |row, out| out.text(&row.detail)),
        ("headers", "Map(String, String)", |row, out| {
            out.map(row.headers.iter().map(|(name, value)| (&**name, value.as_ref())));
        }),
        ("key", "String", |row, out| out.blob(&row.key)),
        ("payload", "String", |row, out| out.blob(&row.payload)),
    ];
}
