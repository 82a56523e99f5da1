//! A message of librdkafka as a record of the log.

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers as _, Message};

use crate::port::{Headers, InRecord, Position, Topic};

/// `None` if the partition or the offset is out of range.
pub(super) fn in_record(topic: Topic, message: &BorrowedMessage<'_>) -> Option<InRecord> {
    Some(InRecord {
        at: Position {
            topic,
            partition: u16::try_from(message.partition()).ok()?,
            offset: u64::try_from(message.offset()).ok()?,
        },
        key: message.key().map_or_else(Bytes::new, Bytes::copy_from_slice),
        headers: headers_of(message),
        payload: message.payload().map(Bytes::copy_from_slice),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
    })
}

pub(super) fn headers_of(message: &BorrowedMessage<'_>) -> Headers {
    let Some(headers) = message.headers() else { return Vec::new() };
    let value = |value: Option<&[u8]>| value.map_or_else(Bytes::new, Bytes::copy_from_slice);
    headers.iter().map(|header| (header.key.to_owned().into(), value(header.value))).collect()
}
