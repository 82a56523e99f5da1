//! A request body of any JSON format, read no further than the gateway has to, and changed without being
//! written anew: fields the gateway does not know survive byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::error::{FormatError, request_fault};
use crate::exchange::Effort;
use crate::number::Whole;

/// Longest model name that is looked up, bytes; it is repeated in events and errors.
pub(crate) const MAX_MODEL_BYTES: usize = 256;

/// What the gateway must know of a request before it decides anything.
#[derive(Debug, Clone, Default)]
pub struct View<'a> {
    /// `model`, where the format has it in the body.
    pub model: Option<&'a RawValue>,
    /// Where the model's name stands as bare text, in a body that is not JSON.
    pub model_at: Option<Range<usize>>,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// Whether the client asked for usage at the end of its stream, or always gets it.
    pub include_usage: bool,
    /// Answers that are asked for; 0 when the request does not say.
    pub choices: u64,
    /// Most tokens of the answer over all its choices; `None` if the request does not say.
    pub max_output_tokens: Option<u64>,
    /// The answer that this one continues (Responses).
    pub previous_response_id: Option<Cow<'a, str>>,
    /// Whether the model is to go on when the request has been answered (Responses).
    pub background: bool,
    /// Whether the model may ask for tools.
    pub tools: bool,
    /// How much it may think, where the request says so in words that are known.
    pub effort: Option<Effort>,
    /// Fields that may have to be replaced, where the body has them.
    pub fields: Fields<'a>,
    /// The object that they stand in; `None` if that is the body itself.
    pub nest: Option<Nest<'a>>,
}

/// An object of the body that holds the fields that can change.
#[derive(Debug, Clone, Copy)]
pub struct Nest<'a> {
    /// Its name.
    pub name: &'static str,
    /// What the body has under that name.
    pub written: Option<&'a RawValue>,
}

/// Top-level fields of a body, at most [`Fields::MOST`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Fields<'a>([Option<(&'static str, &'a RawValue)>; Fields::MOST]);

impl Fields<'_> {
    /// How many there is room for; no format has more that can change.
    pub const MOST: usize = 6;
}

impl<'a> FromIterator<(&'static str, &'a RawValue)> for Fields<'a> {
    fn from_iter<T: IntoIterator<Item = (&'static str, &'a RawValue)>>(fields: T) -> Self {
        let mut all = Self::default();
        for (place, field) in all.0.iter_mut().zip(fields) {
            *place = Some(field);
        }
        all
    }
}

/// A new value for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub field: &'static str,
    /// Its value as JSON text.
    pub json: String,
}

impl Change {
    /// A field becomes this value.
    #[must_use]
    pub fn new(field: &'static str, value: &impl serde::Serialize) -> Self {
        Self { field, json: serde_json::to_string(value).unwrap_or_default() }
    }
}

/// Checks that a body is one JSON object in UTF-8, before a format reads it.
///
/// # Errors
/// [`FormatError::Invalid`] that says where and what.
pub(crate) fn object_text(body: &[u8]) -> Result<&str, FormatError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(FormatError::invalid("the request body is empty; send a JSON object", None));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        FormatError::invalid(format!("the request body is not UTF-8 (byte {})", error.valid_up_to()), None)
    })?;
    if !text.trim_start().starts_with('{') {
        return Err(FormatError::invalid("the request body must be a JSON object", None));
    }
    Ok(text)
}

/// Reads a body into a format's own view of it.
///
/// # Errors
/// [`FormatError::Invalid`] that says where and what.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, FormatError> {
    serde_json::from_str(object_text(body)?).map_err(|error| {
        FormatError::invalid(format!("the request body cannot be read: {}", request_fault(&error)), None)
    })
}

/// A value that is there, `null` included: it has a place in the body that a change must take.
pub(crate) fn as_written<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Whether a list has an entry.
pub(crate) fn has_entries(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| raw.get().starts_with('[') && raw.get().contains('{'))
}

/// Refuses a model's name that is longer than any, wherever in a request it stands.
///
/// # Errors
/// When it is.
pub fn bounded_model(name: &str) -> Result<(), FormatError> {
    if name.len() > MAX_MODEL_BYTES {
        return Err(FormatError::invalid("`model` is longer than any model's name", "model"));
    }
    Ok(())
}

impl<'a> View<'a> {
    /// The model that is asked for.
    ///
    /// # Errors
    /// When it is missing, no text or longer than any name.
    pub fn model_name(&self) -> Result<Cow<'a, str>, FormatError> {
        let wrong = |message: &str| FormatError::invalid(message, "model");
        let raw = self.model.ok_or_else(|| wrong("`model` is missing"))?;
        let name = text_of(raw).ok_or_else(|| wrong("`model` must be a text"))?;
        bounded_model(&name)?;
        Ok(name)
    }

    /// The value of one of [`View::fields`].
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.0.iter().flatten().find(|(known, _)| *known == name).map(|(_, raw)| *raw)
    }

    /// The body with these changes; `body` is what this view was read from. When nothing changes it is
    /// returned as it is.
    #[must_use]
    pub fn rewrite(&self, body: &Bytes, changes: &[Change]) -> Bytes {
        let mut splices: SmallVec<[Splice<'_>; 4]> = SmallVec::new();
        let mut nested = String::new();
        for change in changes {
            if change.field == "model"
                && let Some(at) = &self.model_at
            {
                let text = serde_json::from_str(&change.json).unwrap_or_default();
                splices.push(Splice { at: at.clone(), name: None, new: Cow::Owned(text) });
                continue;
            }
            let old = if change.field == "model" { self.model } else { self.field(change.field) };
            let new = Cow::Borrowed(change.json.as_str());
            match old {
                Some(raw) if raw.get() == change.json => {}
                Some(raw) => splices.push(Splice { at: range_in(body, raw), name: None, new }),
                None if change.field != "model" && self.nest.is_some() => {
                    let comma = if nested.is_empty() { "" } else { "," };
                    nested.push_str(&format!("{comma}\"{}\":{}", change.field, change.json));
                }
                None => splices.push(Splice { at: after_brace(body, 0), name: Some(change.field), new }),
            }
        }
        if let (Some(nest), false) = (self.nest, nested.is_empty()) {
            splices.push(nest.with(body, nested));
        }
        apply(body, splices)
    }
}

impl Nest<'_> {
    /// The object with new fields before those that it has.
    fn with<'s>(self, body: &[u8], mut fields: String) -> Splice<'s> {
        let (at, name) = match self.written {
            Some(written) if written.get().starts_with('{') => {
                let is_empty = written.get()[1..].trim_ascii_start() == "}";
                fields.push_str(if is_empty { "" } else { "," });
                return Splice {
                    at: after_brace(body, range_in(body, written).start),
                    name: None,
                    new: fields.into(),
                };
            }
            Some(written) => (range_in(body, written), None),
            None => (after_brace(body, 0), Some(self.name)),
        };
        Splice { at, name, new: format!("{{{fields}}}").into() }
    }
}

/// The place right behind the first brace from `start` on.
fn after_brace(body: &[u8], start: usize) -> Range<usize> {
    let brace = memchr::memchr(b'{', body.get(start..).unwrap_or_default());
    let after = brace.map_or(0, |at| start + at + 1);
    after..after
}

/// The body with other texts at these places; it is returned as it is where there are none.
pub(crate) fn spliced<'s>(
    body: &Bytes,
    new: impl IntoIterator<Item = (Range<usize>, Cow<'s, str>)>,
) -> Bytes {
    apply(body, new.into_iter().map(|(at, new)| Splice { at, name: None, new }).collect())
}

struct Splice<'s> {
    at: Range<usize>,
    /// Of a field that is new.
    name: Option<&'static str>,
    new: Cow<'s, str>,
}

/// A whole number, also one that is written with a fraction of zero; `None` for `null`.
///
/// # Errors
/// When the value is no whole number, or less than 0.
pub fn whole_number(raw: &RawValue) -> Result<Option<u64>, serde_json::Error> {
    Ok(serde_json::from_str::<Option<Whole<u64>>>(raw.get())?.map(|number| number.0))
}

/// A JSON text's content; `None` if the value is not a text.
#[must_use]
pub(crate) fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'b>(#[serde(borrow)] Cow<'b, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

/// Where a value borrowed from `body` stands in it.
pub(crate) fn range_in(body: &[u8], raw: &RawValue) -> Range<usize> {
    let start = (raw.get().as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    start..start + raw.get().len()
}

/// Where the name of the member stands whose value begins at `value`; `None` if it is written with escapes.
pub(crate) fn name_before(text: &str, value: usize, name: &str) -> Option<Range<usize>> {
    let before = text.get(..value)?.trim_ascii_end().strip_suffix(':')?.trim_ascii_end();
    let start = before.strip_suffix('"')?.strip_suffix(name)?.strip_suffix('"')?.len() + 1;
    Some(start..start + name.len())
}

/// A whole member with the comma that would be left over.
pub(crate) fn member(text: &str, name: Range<usize>, value: Range<usize>) -> Range<usize> {
    let (start, behind) = (name.start - 1, text.get(value.end..).unwrap_or_default());
    let rest = behind.trim_ascii_start();
    if rest.starts_with(',') {
        return start..value.end + (behind.len() - rest.len()) + 1;
    }
    let before = text.get(..start).unwrap_or_default().trim_ascii_end();
    before.strip_suffix(',').map_or(start, str::len)..value.end
}

fn apply(body: &Bytes, mut splices: SmallVec<[Splice<'_>; 4]>) -> Bytes {
    if splices.is_empty() {
        return body.clone();
    }
    splices.sort_by_key(|splice| splice.at.start);
    let grown: usize = splices.iter().map(|splice| splice.new.len() + 32).sum();
    let mut out = BytesMut::with_capacity(body.len() + grown);
    let mut copied = 0;
    for (place, splice) in splices.iter().enumerate() {
        out.put_slice(body.get(copied..splice.at.start).unwrap_or_default());
        if let Some(name) = splice.name {
            out.put_u8(b'"');
            out.put_slice(name.as_bytes());
            out.put_slice(b"\":");
        }
        out.put_slice(splice.new.as_bytes());
        let rest = body.get(splice.at.end..).unwrap_or_default();
        let is_last = rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'}')
            && splices.get(place + 1).is_none_or(|next| next.name.is_none());
        if splice.name.is_some() && !is_last {
            out.put_u8(b',');
        }
        copied = splice.at.end;
    }
    out.put_slice(body.get(copied..).unwrap_or_default());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        model: Option<&'a RawValue>,
        #[serde(borrow)]
        max_tokens: Option<&'a RawValue>,
    }

    fn rewritten(body: &str, changes: &[Change]) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let seen: Body<'_> = read(&body).unwrap();
        let fields = seen.max_tokens.map(|raw| ("max_tokens", raw)).into_iter().collect();
        let view = View { model: seen.model, fields, ..View::default() };
        String::from_utf8(view.rewrite(&body, changes).to_vec()).unwrap()
    }

    #[test]
    fn only_what_changes_is_touched() {
        let changes = [Change::new("model", &"gpt-4o"), Change::new("max_tokens", &7)];
        assert_eq!(
            rewritten(r#"{ "model" : "chat","x":{"a":[1, 2]}, "max_tokens":100 }"#, &changes),
            r#"{ "model" : "gpt-4o","x":{"a":[1, 2]}, "max_tokens":7 }"#
        );
    }

    #[test]
    fn a_field_that_was_not_there_is_added() {
        let changes = [Change::new("max_tokens", &7), Change::new("temperature", &0.5)];
        assert_eq!(
            rewritten(r#"{"model":"m"}"#, &changes),
            r#"{"max_tokens":7,"temperature":0.5,"model":"m"}"#
        );
    }

    #[test]
    fn an_empty_object_takes_fields() {
        let two = [Change::new("max_tokens", &7), Change::new("top_p", &1)];
        assert_eq!(rewritten("{}", &two), r#"{"max_tokens":7,"top_p":1}"#);
        assert_eq!(rewritten("{ }", &[Change::new("max_tokens", &7)]), r#"{"max_tokens":7 }"#);
    }

    #[test]
    fn a_body_that_needs_no_change_is_not_copied() {
        let body = Bytes::from_static(br#"{"model":"m"}"#);
        let seen: Body<'_> = read(&body).unwrap();
        let view = View { model: seen.model, ..View::default() };
        assert_eq!(view.rewrite(&body, &[Change::new("model", &"m")]).as_ptr(), body.as_ptr());
    }

    #[test]
    fn bodies_of_the_wrong_form_say_what_is_wrong() {
        let error = |body: &[u8]| object_text(body).unwrap_err().to_string();
        assert!(error(b" ").contains("empty"));
        assert!(error(b"[1]").contains("JSON object"));
        assert!(error(b"{\"a\":[\xff]}").contains("not UTF-8 (byte 6)"));
    }
}
