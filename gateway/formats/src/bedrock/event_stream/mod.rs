//! `application/vnd.amazon.eventstream`: the binary framing of AWS streams.
//!
//! ```text
//! total length u32 │ headers length u32 │ CRC32 of these eight bytes u32
//! headers          │ payload            │ CRC32 of everything before it u32
//! ```
//! Integers are big-endian, CRC32 is the IEEE polynomial, both lengths count bytes and the total includes the
//! checksums. A header is a length byte and a name, a type byte, and a value whose length the type gives or
//! that begins with a `u16` length. Invariants: no more than one unfinished message is held, and none is begun
//! that says to be larger than the bound; after an error the parser stays broken, because the next frame's
//! beginning cannot be known.

#[cfg(any(test, feature = "encode"))]
mod encode;

use bytes::BytesMut;
use smallvec::SmallVec;

use crate::error::FormatError;

#[cfg(any(test, feature = "encode"))]
pub use encode::{encode, encode_event};

/// Largest message the gateway takes, bytes; AWS documents 16 MiB as the most of a payload.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Most bytes of headers (AWS's own bound).
const MAX_HEADERS_BYTES: usize = 128 * 1024;
/// Total length, headers length and their checksum, bytes.
const PRELUDE: usize = 12;
/// Prelude and the message's checksum, bytes: the smallest message.
const OVERHEAD: usize = PRELUDE + 4;

/// A stream of frames that cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventStreamError {
    /// The lengths contradict each other.
    #[error("a message of {total} bytes says that {headers} of them are headers")]
    Length {
        /// Bytes of the whole message, as it says.
        total: u32,
        /// Bytes of its headers, as it says.
        headers: u32,
    },
    /// A message is larger than the bound.
    #[error("a message of {total} bytes is larger than {limit}")]
    TooLarge {
        /// Bytes of the message, as it says.
        total: u32,
        /// The bound in bytes.
        limit: usize,
    },
    /// The checksum of the lengths is wrong.
    #[error("the checksum of a message's lengths is wrong")]
    PreludeChecksum,
    /// The checksum of the message is wrong.
    #[error("the checksum of a message is wrong")]
    MessageChecksum,
    /// The headers cannot be read.
    #[error("the headers of a message cannot be read: {0}")]
    Headers(&'static str),
    /// The stream ended within a message.
    #[error("the stream ended within a message")]
    Truncated,
}

impl From<EventStreamError> for FormatError {
    fn from(error: EventStreamError) -> Self {
        match error {
            EventStreamError::Truncated => Self::CutShort,
            other => Self::invalid(format!("the event stream cannot be read: {other}"), None),
        }
    }
}

/// Value of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// `true` or `false` (types 0 and 1).
    Bool(bool),
    /// One byte (type 2).
    Byte(i8),
    /// 16 bits (type 3).
    Short(i16),
    /// 32 bits (type 4).
    Int(i32),
    /// 64 bits (type 5).
    Long(i64),
    /// Bytes (type 6).
    Bytes(&'a [u8]),
    /// UTF-8 (type 7).
    Text(&'a str),
    /// Milliseconds since the Unix epoch (type 8).
    Timestamp(i64),
    /// 16 bytes (type 9).
    Uuid([u8; 16]),
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name: `:event-type`.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// What a message tells (its `:message-type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// The next step of the stream.
    Event,
    /// An error that the service's model knows.
    Exception,
    /// An error that it does not know.
    Error,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its headers, in order.
    pub headers: SmallVec<[Header<'a>; 4]>,
    /// Its payload.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// A header's text; `None` if it is absent or not a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|header| header.name == name).and_then(|header| match header.value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    /// What it tells; a message without `:message-type` is an event.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match self.text(":message-type") {
            Some("exception") => MessageKind::Exception,
            Some("error") => MessageKind::Error,
            _ => MessageKind::Event,
        }
    }

    /// Name of the event, exception or error.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.text(match self.kind() {
            MessageKind::Event => ":event-type",
            MessageKind::Exception => ":exception-type",
            MessageKind::Error => ":error-code",
        })
    }
}

/// Finds the messages in bytes that are cut anywhere.
#[derive(Debug)]
pub struct Parser {
    /// Bytes of the message that has begun but not ended.
    partial: BytesMut,
    limit: usize,
    broken: Option<EventStreamError>,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new(MAX_MESSAGE_BYTES)
    }
}

impl Parser {
    /// A parser that refuses messages of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { partial: BytesMut::new(), limit, broken: None }
    }

    /// Takes the next bytes and shows every message that is complete now, in order. Messages before a broken
    /// one are shown.
    ///
    /// # Errors
    /// When the frames cannot be understood; every later call fails alike.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Message<'_>)) -> Result<(), EventStreamError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let done = if self.partial.is_empty() {
            self.split(chunk, &mut each)
        } else {
            self.partial.extend_from_slice(chunk);
            let mut joined = std::mem::take(&mut self.partial);
            let done = self.split_joined(&mut joined, &mut each);
            self.partial = joined;
            done
        };
        done.inspect_err(|error| {
            self.broken = Some(*error);
            self.partial = BytesMut::new();
        })
    }

    /// The bytes ended.
    ///
    /// # Errors
    /// [`EventStreamError::Truncated`] within a message; the error that broke the stream before.
    pub fn finish(&self) -> Result<(), EventStreamError> {
        match self.broken {
            Some(error) => Err(error),
            None if self.partial.is_empty() => Ok(()),
            None => Err(EventStreamError::Truncated),
        }
    }

    /// Bytes that wait for the rest of their message.
    #[must_use]
    pub fn held(&self) -> usize {
        self.partial.len()
    }

    fn split(
        &mut self,
        mut bytes: &[u8],
        each: &mut impl FnMut(Message<'_>),
    ) -> Result<(), EventStreamError> {
        while let Some(length) = message_length(bytes, self.limit)? {
            let Some((frame, rest)) = bytes.split_at_checked(length) else { break };
            each(parse(frame)?);
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn split_joined(
        &self,
        joined: &mut BytesMut,
        each: &mut impl FnMut(Message<'_>),
    ) -> Result<(), EventStreamError> {
        while let Some(length) = message_length(joined, self.limit)? {
            if joined.len() < length {
                break;
            }
            each(parse(&joined.split_to(length))?);
        }
        Ok(())
    }
}

/// Length of the message that begins here, bytes; `None` while its prelude is incomplete.
fn message_length(bytes: &[u8], limit: usize) -> Result<Option<usize>, EventStreamError> {
    let Some(prelude) = bytes.first_chunk::<PRELUDE>() else { return Ok(None) };
    let [t0, t1, t2, t3, h0, h1, h2, h3, c0, c1, c2, c3] = *prelude;
    if crc32fast::hash(&[t0, t1, t2, t3, h0, h1, h2, h3]) != u32::from_be_bytes([c0, c1, c2, c3]) {
        return Err(EventStreamError::PreludeChecksum);
    }
    let total = u32::from_be_bytes([t0, t1, t2, t3]);
    let headers = u32::from_be_bytes([h0, h1, h2, h3]);
    let length = usize::try_from(total).unwrap_or(usize::MAX);
    if length > limit {
        return Err(EventStreamError::TooLarge { total, limit });
    }
    let room = length.checked_sub(OVERHEAD).ok_or(EventStreamError::Length { total, headers })?;
    let headers_length = usize::try_from(headers).unwrap_or(usize::MAX);
    if headers_length > room || headers_length > MAX_HEADERS_BYTES {
        return Err(EventStreamError::Length { total, headers });
    }
    Ok(Some(length))
}

/// Reads one whole message whose lengths [`message_length`] has checked.
fn parse(frame: &[u8]) -> Result<Message<'_>, EventStreamError> {
    let (body, checksum) = frame.split_last_chunk::<4>().ok_or(EventStreamError::Truncated)?;
    if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
        return Err(EventStreamError::MessageChecksum);
    }
    let mut cursor = Cursor(body);
    cursor.array::<4>()?;
    let headers_length = usize::try_from(u32::from_be_bytes(cursor.array()?)).unwrap_or(usize::MAX);
    cursor.array::<4>()?;
    let mut headers = Cursor(cursor.take(headers_length)?);
    let mut found = SmallVec::new();
    while !headers.0.is_empty() {
        found.push(headers.header()?);
    }
    Ok(Message { headers: found, payload: cursor.0 })
}

/// What is left to read of a message.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], EventStreamError> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(EventStreamError::Headers("a length is too large"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EventStreamError> {
        let (taken, rest) =
            self.0.split_first_chunk::<N>().ok_or(EventStreamError::Headers("a value is cut off"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn sized(&mut self) -> Result<&'a [u8], EventStreamError> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(usize::from(length))
    }

    fn header(&mut self) -> Result<Header<'a>, EventStreamError> {
        let utf8 =
            |bytes| std::str::from_utf8(bytes).map_err(|_| EventStreamError::Headers("a text is not UTF-8"));
        let [name_length] = self.array()?;
        let name = utf8(self.take(usize::from(name_length))?)?;
        let [kind] = self.array()?;
        let value = match kind {
            0 => Value::Bool(true),
            1 => Value::Bool(false),
            2 => Value::Byte(i8::from_be_bytes(self.array()?)),
            3 => Value::Short(i16::from_be_bytes(self.array()?)),
            4 => Value::Int(i32::from_be_bytes(self.array()?)),
            5 => Value::Long(i64::from_be_bytes(self.array()?)),
            6 => Value::Bytes(self.sized()?),
            7 => Value::Text(utf8(self.sized()?)?),
            8 => Value::Timestamp(i64::from_be_bytes(self.array()?)),
            9 => Value::Uuid(self.array()?),
            _ => return Err(EventStreamError::Headers("a value has an unknown type")),
        };
        Ok(Header { name, value })
    }
}

#[cfg(test)]
mod tests;
