//! CloudEvents 1.0 in Kafka binary mode: attributes are `ce_` headers, the value is the data alone.
//!
//! Source: CloudEvents "Kafka Protocol Binding" 1.0.2, §3.2. Consumers route without parsing the value.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use bytes::Bytes;
use jiff::Timestamp;
use smallvec::SmallVec;
use uuid::Uuid;

/// The attributes of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `ce_id`: unique together with the source.
    pub id: Uuid,
    /// `ce_type`, for example [`crate::usage::EVENT_TYPE`].
    pub kind: String,
    /// `ce_source`: `/tollgate/gateway/<gateway id>`.
    pub source: String,
    /// `ce_time`, ms since the Unix epoch.
    pub time_ms: i64,
    /// `ce_subject`: what the event is about, for example the subscription.
    pub subject: Option<String>,
    /// `ce_partitionkey`: equals the record's key.
    pub partition_key: Option<String>,
    /// `ce_traceparent`: W3C trace context of the request.
    pub traceparent: Option<String>,
    /// `ce_sequence`: position within the source's boot.
    pub sequence: Option<u64>,
}

/// Why headers are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A required header is missing.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// A header has a value that cannot be read.
    #[error("header {name} cannot be read: {value}")]
    Invalid {
        /// Which header.
        name: &'static str,
        /// What it said, cut at 128 characters.
        value: String,
    },
    /// The envelope is of another CloudEvents version.
    #[error("CloudEvents version {0} is not supported")]
    Version(String),
}

/// Record headers in order. The names that Tollgate writes itself cost no allocation.
pub type Headers = Vec<(Cow<'static, str>, Bytes)>;

impl Envelope {
    /// As record headers. Their values share one allocation.
    #[must_use]
    pub fn to_headers(&self) -> Headers {
        let mut values = Values::with_capacity(256);
        values.text("ce_id", self.id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        values.text("ce_source", &self.source);
        values.format("ce_time", format_args!("{}", Rfc3339(self.time_ms)));
        for (name, value) in [
            ("ce_subject", &self.subject),
            ("ce_partitionkey", &self.partition_key),
            ("ce_traceparent", &self.traceparent),
        ] {
            if let Some(value) = value {
                values.text(name, value);
            }
        }
        if let Some(sequence) = self.sequence {
            values.format("ce_sequence", format_args!("{sequence:020}"));
        }
        let mut headers = Headers::with_capacity(10);
        headers.push((Cow::Borrowed("ce_specversion"), Bytes::from_static(b"1.0")));
        headers.push((Cow::Borrowed("ce_type"), kind(&self.kind)));
        values.append_to(&mut headers);
        headers.push((Cow::Borrowed("content-type"), Bytes::from_static(b"application/json")));
        headers
    }

    /// Reads record headers; unknown ones are ignored.
    ///
    /// # Errors
    /// When a required attribute is missing or cannot be read.
    pub fn from_headers(headers: &[(Cow<'static, str>, Bytes)]) -> Result<Self, EnvelopeError> {
        let find = |name: &'static str| {
            headers
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        let need = |name: &'static str| find(name).ok_or(EnvelopeError::Missing(name));
        let version = need("ce_specversion")?;
        if version != "1.0" {
            return Err(EnvelopeError::Version(cut(version)));
        }
        let parse = |name: &'static str, value: String| EnvelopeError::Invalid { name, value: cut(value) };
        let id = need("ce_id")?;
        let time = need("ce_time")?;
        let sequence = find("ce_sequence");
        Ok(Self {
            id: Uuid::from_str(&id).map_err(|_| parse("ce_id", id))?,
            kind: need("ce_type")?,
            source: need("ce_source")?,
            time_ms: Timestamp::from_str(&time).map_err(|_| parse("ce_time", time))?.as_millisecond(),
            subject: find("ce_subject"),
            partition_key: find("ce_partitionkey"),
            traceparent: find("ce_traceparent"),
            sequence: sequence
                .map(|text| text.parse().map_err(|_| parse("ce_sequence", text)))
                .transpose()?,
        })
    }
}

/// The type that nearly every event has is not copied.
fn kind(value: &str) -> Bytes {
    match value {
        crate::usage::EVENT_TYPE => Bytes::from_static(crate::usage::EVENT_TYPE.as_bytes()),
        other => Bytes::copy_from_slice(other.as_bytes()),
    }
}

/// Values of headers, one after the other in one buffer.
struct Values {
    buffer: String,
    ends: SmallVec<[(&'static str, usize); 8]>,
}

impl Values {
    fn with_capacity(bytes: usize) -> Self {
        Self { buffer: String::with_capacity(bytes), ends: SmallVec::new() }
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.buffer.push_str(value);
        self.ends.push((name, self.buffer.len()));
    }

    fn format(&mut self, name: &'static str, value: fmt::Arguments<'_>) {
        // A text takes whatever is written.
        let _ = self.buffer.write_fmt(value);
        self.ends.push((name, self.buffer.len()));
    }

    fn append_to(self, headers: &mut Headers) {
        let mut rest = Bytes::from(self.buffer);
        let mut start = 0;
        for (name, end) in self.ends {
            headers.push((Cow::Borrowed(name), rest.split_to(end - start)));
            start = end;
        }
    }
}

/// A time in ms since the Unix epoch as RFC 3339 in UTC with milliseconds; the epoch itself when there is no such
/// time.
struct Rfc3339(i64);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => f.write_str("1970-01-01T00:00:00.000Z"),
        }
    }
}

fn cut(mut value: String) -> String {
    if let Some((at, _)) = value.char_indices().nth(128) {
        value.truncate(at);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Envelope {
        Envelope {
            id: Uuid::now_v7(),
            kind: crate::usage::EVENT_TYPE.to_owned(),
            source: "/tollgate/gateway/gw-1".to_owned(),
            time_ms: 1_795_000_123_456,
            subject: Some("checkout-team".to_owned()),
            partition_key: Some("key-1".to_owned()),
            traceparent: None,
            sequence: Some(42),
        }
    }

    #[test]
    fn headers_and_back_give_the_same_envelope() {
        let envelope = sample();
        assert_eq!(Envelope::from_headers(&envelope.to_headers()).unwrap(), envelope);
    }

    #[test]
    fn time_is_rfc3339_with_milliseconds() {
        assert_eq!(Rfc3339(1_795_000_123_456).to_string(), "2026-11-18T11:08:43.456Z");
    }

    #[test]
    fn a_missing_id_is_named() {
        let headers: Headers =
            sample().to_headers().into_iter().filter(|(name, _)| name != "ce_id").collect();
        assert_eq!(Envelope::from_headers(&headers), Err(EnvelopeError::Missing("ce_id")));
    }

    proptest! {
        #[test]
        fn hostile_headers_never_panic(pairs in proptest::collection::vec(("[a-z_]{0,14}", ".{0,40}"), 0..12)) {
            let headers: Headers = pairs.into_iter().map(|(k, v)| (k.into(), Bytes::from(v))).collect();
            let _ = Envelope::from_headers(&headers);
        }
    }
}
