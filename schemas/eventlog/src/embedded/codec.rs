//! A log record as the payload of a segment record.
//!
//! ```text
//! offset u64 | timestamp ms i64 | flags u8 (1: has data) | key length u32 | headers u16
//! | key | headers × (name length u16, value length u32, name, value) | data to the end
//! ```

use std::ops::Range;

use bytes::Bytes;

use crate::port::{Headers, OutRecord};

const HAS_DATA: u8 = 1;

/// A record with its offset in the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) offset: u64,
    pub(super) timestamp_ms: i64,
    pub(super) key: Bytes,
    pub(super) headers: Headers,
    pub(super) payload: Option<Bytes>,
}

/// What retention and compaction need to know of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) offset: u64,
    pub(super) timestamp_ms: i64,
    pub(super) has_data: bool,
}

/// The lengths fit into their fields: the producer has bounded the record by its topic's limit.
pub(super) fn encode(out: &mut Vec<u8>, offset: u64, record: &OutRecord) {
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&record.timestamp_ms.to_le_bytes());
    out.push(if record.payload.is_some() { HAS_DATA } else { 0 });
    out.extend_from_slice(&(record.key.len() as u32).to_le_bytes());
    out.extend_from_slice(&(record.headers.len() as u16).to_le_bytes());
    out.extend_from_slice(&record.key);
    for (name, value) in &record.headers {
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value);
    }
    if let Some(data) = &record.payload {
        out.extend_from_slice(data);
    }
}

/// The record in `bytes`, or `None` if they are not one. Copies once; key, headers and data share the copy.
pub(super) fn decode(bytes: &[u8]) -> Option<Stored> {
    let head = head(bytes)?;
    let mut cursor = Cursor { bytes, at: 17 };
    let key_bytes = cursor.u32()?;
    let count = cursor.u16()?;
    let shared = Bytes::copy_from_slice(bytes);
    let key = shared.slice(cursor.take(key_bytes)?);
    let mut headers = Headers::with_capacity(count.min(64));
    for _ in 0..count {
        let name_bytes = cursor.u16()?;
        let value_bytes = cursor.u32()?;
        let name = std::str::from_utf8(&bytes[cursor.take(name_bytes)?]).ok()?.to_owned();
        headers.push((name.into(), shared.slice(cursor.take(value_bytes)?)));
    }
    let payload = head.has_data.then(|| shared.slice(cursor.at..));
    Some(Stored { offset: head.offset, timestamp_ms: head.timestamp_ms, key, headers, payload })
}

/// Offset, time and kind of the record in `bytes`, without copying it.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let (offset, rest) = bytes.split_first_chunk::<8>()?;
    let (timestamp, rest) = rest.split_first_chunk::<8>()?;
    let flags = *rest.first()?;
    Some(Head {
        offset: u64::from_le_bytes(*offset),
        timestamp_ms: i64::from_le_bytes(*timestamp),
        has_data: flags & HAS_DATA != 0,
    })
}

pub(super) fn key(bytes: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor { bytes, at: 17 };
    let length = cursor.u32()?;
    cursor.u16()?;
    Some(&bytes[cursor.take(length)?])
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, length: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let range = self.at..end;
        self.at = end;
        Some(range)
    }

    fn u16(&mut self) -> Option<usize> {
        let range = self.take(2)?;
        Some(usize::from(u16::from_le_bytes(*self.bytes[range].first_chunk()?)))
    }

    fn u32(&mut self) -> Option<usize> {
        let range = self.take(4)?;
        Some(u32::from_le_bytes(*self.bytes[range].first_chunk()?) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Topic;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was(
            offset: u64,
            timestamp_ms: i64,
            key in proptest::collection::vec(any::<u8>(), 0..50),
            headers in proptest::collection::vec((".{0,10}", proptest::collection::vec(any::<u8>(), 0..20)), 0..5),
            payload in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
        ) {
            let headers: Headers = headers.into_iter().map(|(name, value)| (name.into(), Bytes::from(value))).collect();
            let record = OutRecord {
                topic: Topic::Usage,
                key: Bytes::from(key),
                headers,
                payload: payload.map(Bytes::from),
                timestamp_ms,
            };
            let mut bytes = Vec::new();
            encode(&mut bytes, offset, &record);
            let stored = decode(&bytes).unwrap();
            prop_assert_eq!(stored.offset, offset);
            prop_assert_eq!(stored.timestamp_ms, record.timestamp_ms);
            prop_assert_eq!(key_of(&bytes), &record.key[..]);
            prop_assert_eq!(stored.key, record.key);
            prop_assert_eq!(stored.headers, record.headers);
            prop_assert_eq!(stored.payload, record.payload);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
            let _ = key(&bytes);
        }
    }

    fn key_of(bytes: &[u8]) -> &[u8] {
        key(bytes).unwrap()
    }
}
