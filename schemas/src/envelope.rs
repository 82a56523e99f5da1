//! CloudEvents 1.0 in Kafka binary mode: attributes are `ce_` headers, the value is the data alone.
//!
//! Source: CloudEvents "Kafka Protocol Binding" 1.0.2, §3.2. Consumers route without parsing the value.

use std::borrow::Cow;
use std::str::FromStr;

use bytes::Bytes;
use jiff::Timestamp;
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
    /// As record headers.
    #[must_use]
    pub fn to_headers(&self) -> Headers {
        let mut headers = Headers::with_capacity(10);
        let mut put = |name: &'static str, value: Bytes| headers.push((Cow::Borrowed(name), value));
        put("ce_specversion", Bytes::from_static(b"1.0"));
        put(
            "ce_id",
            Bytes::copy_from_slice(self.id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes()),
        );
        put("ce_type", text(&self.kind));
        put("ce_source", text(&self.source));
        put("ce_time", format_time(self.time_ms).into());
        for (name, value) in [
            ("ce_subject", self.subject.as_deref()),
            ("ce_partitionkey", self.partition_key.as_deref()),
            ("ce_traceparent", self.traceparent.as_deref()),
        ] {
            if let Some(value) = value {
                put(name, text(value));
            }
        }
        if let Some(sequence) = self.sequence {
            put("ce_sequence", format!("{sequence:020}").into());
        }
        put("content-type", Bytes::from_static(b"application/json"));
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
fn text(value: &str) -> Bytes {
    match value {
        crate::usage::EVENT_TYPE => Bytes::from_static(crate::usage::EVENT_TYPE.as_bytes()),
        other => Bytes::copy_from_slice(other.as_bytes()),
    }
}

/// RFC 3339 in UTC with milliseconds.
fn format_time(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => "1970-01-01T00:00:00.000Z".to_owned(),
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
        assert_eq!(format_time(1_795_000_123_456), "2026-11-18T11:08:43.456Z");
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
