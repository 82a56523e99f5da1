//! A chat request as a view that borrows from its body, and the splices that change it.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::error::GatewayError;

/// Longest model name that is looked up, bytes; it is repeated in events and errors.
const MAX_ALIAS_BYTES: usize = 256;

/// What the gateway needs to know of a chat request; everything else passes through unseen.
#[derive(Debug, Deserialize)]
pub struct ChatRequest<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    /// The conversation, not looked into unless tokens must be counted.
    #[serde(borrow)]
    pub messages: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    stream_options: Option<&'a RawValue>,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    max_completion_tokens: Option<u64>,
    #[serde(default)]
    n: Option<u64>,
}

/// An explicit `null` has a place in the body that can be replaced, unlike a field that is not there.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

impl<'a> ChatRequest<'a> {
    /// Reads a body. Syntax is checked to the end; fields the gateway does not know are not touched.
    ///
    /// # Errors
    /// [`GatewayError::InvalidBody`] that says where and what.
    pub fn parse(body: &'a [u8]) -> Result<Self, GatewayError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(GatewayError::invalid_body("the request body is empty; send a JSON object", None));
        }
        let text = std::str::from_utf8(body).map_err(|error| {
            let message = format!("the request body is not UTF-8 (byte {})", error.valid_up_to());
            GatewayError::invalid_body(message, None)
        })?;
        if !text.trim_start().starts_with('{') {
            return Err(GatewayError::invalid_body("the request body must be a JSON object", None));
        }
        let request: Self = serde_json::from_str(text).map_err(|error| {
            GatewayError::invalid_body(format!("the request body cannot be read: {error}"), None)
        })?;
        match request.messages {
            Some(raw) if raw.get().starts_with('[') => Ok(request),
            Some(_) => Err(GatewayError::invalid_body("`messages` must be an array", Some("messages"))),
            None => Err(GatewayError::invalid_body("`messages` is missing", Some("messages"))),
        }
    }

    /// The alias that is asked for.
    ///
    /// # Errors
    /// [`GatewayError::InvalidBody`] when it is missing, no text or longer than any name.
    pub fn alias(&self) -> Result<Cow<'a, str>, GatewayError> {
        let wrong = |message: &str| GatewayError::invalid_body(message, Some("model"));
        let raw = self.model.ok_or_else(|| wrong("`model` is missing"))?;
        let alias = text_of(raw).ok_or_else(|| wrong("`model` must be a text"))?;
        if alias.len() > MAX_ALIAS_BYTES {
            return Err(wrong("`model` is longer than any model's name"));
        }
        Ok(alias)
    }

    /// Whether a stream is asked for.
    #[must_use]
    pub fn stream(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Whether the client asked for usage at the end of its stream.
    #[must_use]
    pub fn wants_usage(&self) -> bool {
        self.stream_options
            .and_then(|raw| serde_json::from_str::<StreamOptions>(raw.get()).ok())
            .and_then(|options| options.include_usage)
            .unwrap_or(false)
    }

    /// Completion tokens that the request allows over all its choices; none when it does not say.
    #[must_use]
    pub fn max_completion(&self) -> Option<u64> {
        let each = self.max_completion_tokens.or(self.max_tokens)?;
        Some(each.saturating_mul(self.n.unwrap_or(1).max(1)))
    }

    /// The body for a backend: its model name, and usage asked for at the end of a stream. `body` is what
    /// this view was parsed from; when nothing changes it is returned as it is.
    #[must_use]
    pub fn body_for(&self, body: &Bytes, model: &str) -> Bytes {
        let mut splices: SmallVec<[Splice; 2]> = SmallVec::new();
        if let Some(raw) = self.model
            && text_of(raw).as_deref() != Some(model)
        {
            let quoted = serde_json::to_string(model).unwrap_or_default();
            splices.push(Splice { at: range_in(body, raw), with: quoted });
        }
        if self.stream() && !self.wants_usage() {
            splices.push(self.usage_splice(body));
        }
        apply(body, splices)
    }

    fn usage_splice(&self, body: &Bytes) -> Splice {
        match self.stream_options {
            Some(raw) => {
                let mut options: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(raw.get()).unwrap_or_default();
                options.insert("include_usage".to_owned(), true.into());
                Splice { at: range_in(body, raw), with: serde_json::Value::Object(options).to_string() }
            }
            None => {
                let after_brace = memchr::memchr(b'{', body).map_or(0, |at| at + 1);
                let with = r#""stream_options":{"include_usage":true},"#.to_owned();
                Splice { at: after_brace..after_brace, with }
            }
        }
    }
}

struct Splice {
    at: Range<usize>,
    with: String,
}

fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'b>(#[serde(borrow)] Cow<'b, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

/// Where a value borrowed from `body` stands in it.
fn range_in(body: &[u8], raw: &RawValue) -> Range<usize> {
    let start = (raw.get().as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    start..start + raw.get().len()
}

fn apply(body: &Bytes, mut splices: SmallVec<[Splice; 2]>) -> Bytes {
    if splices.is_empty() {
        return body.clone();
    }
    splices.sort_by_key(|splice| splice.at.start);
    let grown: usize = splices.iter().map(|splice| splice.with.len()).sum();
    let mut out = BytesMut::with_capacity(body.len() + grown);
    let mut copied = 0;
    for splice in &splices {
        out.put_slice(body.get(copied..splice.at.start).unwrap_or_default());
        out.put_slice(splice.with.as_bytes());
        copied = splice.at.end;
    }
    out.put_slice(body.get(copied..).unwrap_or_default());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn for_backend(body: &str, model: &str) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = ChatRequest::parse(&body).unwrap();
        String::from_utf8(request.body_for(&body, model).to_vec()).unwrap()
    }

    #[test]
    fn only_the_model_changes_and_unknown_fields_survive() {
        assert_eq!(
            for_backend(r#"{ "model" : "chat","x-new":{"a":[1, 2]}, "messages":[] }"#, "gpt-4o"),
            r#"{ "model" : "gpt-4o","x-new":{"a":[1, 2]}, "messages":[] }"#
        );
    }

    #[test]
    fn a_body_that_needs_no_change_is_not_copied() {
        let body = Bytes::from_static(br#"{"model":"m","messages":[]}"#);
        let out = ChatRequest::parse(&body).unwrap().body_for(&body, "m");
        assert_eq!(out.as_ptr(), body.as_ptr());
    }

    #[test]
    fn usage_is_asked_for_at_the_end_of_a_stream() {
        assert_eq!(
            for_backend(r#"{"model":"m","stream":true,"messages":[]}"#, "m"),
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[]}"#
        );
        assert_eq!(
            for_backend(
                r#"{"stream_options":{"include_usage":false,"z":1},"model":"a","stream":true,"messages":[]}"#,
                "m"
            ),
            r#"{"stream_options":{"include_usage":true,"z":1},"model":"m","stream":true,"messages":[]}"#
        );
        assert_eq!(
            for_backend(r#"{"stream_options":null,"model":"m","stream":true,"messages":[]}"#, "m"),
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[]}"#
        );
    }

    #[test]
    fn bodies_of_the_wrong_form_say_what_is_wrong() {
        let error = |body: &[u8]| ChatRequest::parse(body).unwrap_err().to_string();
        assert!(error(b"").contains("empty"));
        assert!(error(b"[1]").contains("JSON object"));
        assert!(error(b"{\"model\":\"m\"").contains("line 1 column"));
        assert!(error(b"{\"model\":\"m\"}").contains("`messages` is missing"));
        assert!(error(b"{\"messages\":{}}").contains("must be an array"));
        assert!(error(b"{\"messages\":[\xff]}").contains("not UTF-8 (byte 13)"));
        assert!(error(b"{\"messages\":[],\"messages\":[]}").contains("duplicate field"));
        assert!(error(b"{\"messages\":[],\"stream\":\"yes\"}").contains("boolean"));
    }

    #[test]
    fn a_model_that_is_no_text_is_refused() {
        let body = br#"{"model":7,"messages":[]}"#;
        assert!(ChatRequest::parse(body).unwrap().alias().is_err());
    }

    proptest! {
        #[test]
        fn the_changed_body_differs_in_the_model_alone(alias in ".{0,12}", model in ".{0,12}", text in ".{0,40}") {
            let value = serde_json::json!({"temperature": 0.5, "model": alias, "messages": [{"role": "user", "content": text}], "n": 1});
            let out: serde_json::Value = serde_json::from_str(&for_backend(&value.to_string(), &model)).unwrap();
            let mut expected = value;
            expected["model"] = model.into();
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn parsing_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ChatRequest::parse(&body);
        }
    }
}
