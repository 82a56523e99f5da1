//! Where an answer names answers that a provider keeps: its own `id`, and `previous_response_id`.
//!
//! Only these two fields are found, by their place and never by what a text looks like: a prompt that repeats an id
//! is a prompt. All other bytes pass as they came.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Str;
use crate::view::{as_written, range_in, text_of};

/// A field that names an answer by the provider's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdField {
    /// The `id` of a response.
    Own,
    /// The `id` of another object, as of one that says what was deleted.
    Other,
    /// `previous_response_id`: the answer that it continues.
    Previous,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    previous_response_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow)]
    response: &'a RawValue,
}

/// A whole answer with other ids; `show` says what the client sees in place of one, `None` where it stays. `None` if
/// nothing changes.
pub fn replace_in_answer(
    body: &str,
    mut show: impl FnMut(IdField, &str) -> Option<String>,
) -> Option<String> {
    let object: Object<'_> = serde_json::from_str(body).ok()?;
    let kind = object.object.and_then(text_of);
    let own = if kind.as_deref() == Some("response") { IdField::Own } else { IdField::Other };
    replace(body, &object, own, &mut show)
}

/// The data of one event of a stream with other ids; `None` if nothing changes.
pub fn replace_in_event(data: &str, mut show: impl FnMut(IdField, &str) -> Option<String>) -> Option<String> {
    // Most events are pieces of text, and have no response in them.
    memchr::memmem::find(data.as_bytes(), b"\"response\"")?;
    let event: Event<'_> = serde_json::from_str(data).ok()?;
    if !event.kind.starts_with("response.") {
        return None;
    }
    let object: Object<'_> = serde_json::from_str(event.response.get()).ok()?;
    replace(data, &object, IdField::Own, &mut show)
}

/// `object` was read from `text`.
fn replace(
    text: &str,
    object: &Object<'_>,
    own: IdField,
    show: &mut dyn FnMut(IdField, &str) -> Option<String>,
) -> Option<String> {
    let mut changes: Vec<(Range<usize>, String)> = Vec::with_capacity(2);
    for (field, raw) in [(own, object.id), (IdField::Previous, object.previous_response_id)] {
        let Some(raw) = raw else { continue };
        if let Some(new) = text_of(raw).and_then(|id| show(field, &id)) {
            changes.push((range_in(text.as_bytes(), raw), new));
        }
    }
    if changes.is_empty() {
        return None;
    }
    changes.sort_by_key(|(at, _)| at.start);
    let mut out = String::with_capacity(text.len() + 512);
    let mut copied = 0;
    for (at, new) in &changes {
        out.push_str(text.get(copied..at.start)?);
        out.push_str(&serde_json::to_string(new).ok()?);
        copied = at.end;
    }
    out.push_str(text.get(copied..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: IdField, id: &str) -> Option<String> {
        match field {
            IdField::Own => Some(format!("own-{id}")),
            IdField::Previous => Some(format!("previous-{id}")),
            IdField::Other => None,
        }
    }

    #[test]
    fn an_answer_shows_other_ids_in_its_two_fields_and_nowhere_else() {
        let body = r#"{ "id" : "resp_a","object":"response", "output":[{"id":"resp_a","content":[{"text":"resp_a \"id\":\"resp_a\""}]}],
            "metadata":{"id":"resp_a","previous_response_id":"resp_b"}, "previous_response_id":"resp_b" }"#;
        let expected = body
            .replacen(r#""id" : "resp_a""#, r#""id" : "own-resp_a""#, 1)
            .replace(r#""previous_response_id":"resp_b" }"#, r#""previous_response_id":"previous-resp_b" }"#);
        assert_eq!(replace_in_answer(body, shown), Some(expected));
    }

    #[test]
    fn what_is_no_response_keeps_its_id() {
        for body in [
            r#"{"object":"list","data":[{"id":"resp_a","object":"response"}],"first_id":"resp_a"}"#,
            r#"{"id":"resp_a","object":"conversation"}"#,
            r#"{"id":"resp_a"}"#,
            r#"{"id":7,"object":"response","previous_response_id":null}"#,
            r#"{"id":"resp_a","object":"response","id":"resp_b"}"#,
            r#"[{"id":"resp_a","object":"response"}]"#,
            r#"{"id":"resp_a","object":"response""#,
            "",
        ] {
            assert_eq!(replace_in_answer(body, shown), None, "{body}");
        }
    }

    #[test]
    fn an_id_of_another_object_can_be_told_from_a_response() {
        let body = r#"{"id":"resp_a","object":"response.deleted","deleted":true}"#;
        let show = |field, id: &str| (field == IdField::Other).then(|| format!("asked-{id}"));
        let expected = r#"{"id":"asked-resp_a","object":"response.deleted","deleted":true}"#;
        assert_eq!(replace_in_answer(body, show).as_deref(), Some(expected));
    }

    #[test]
    fn only_the_response_of_an_event_has_ids() {
        let created =
            r#"{"type":"response.created","response":{"id":"resp_a","previous_response_id":"resp_b"}}"#;
        let expected = r#"{"type":"response.created","response":{"id":"own-resp_a","previous_response_id":"previous-resp_b"}}"#;
        assert_eq!(replace_in_event(created, shown).as_deref(), Some(expected));
        for data in [
            r#"{"type":"response.output_text.delta","delta":"\"response\":{\"id\":\"resp_a\"}"}"#,
            r#"{"type":"response.output_text.delta","delta":"response"}"#,
            r#"{"type":"error","response":{"id":"resp_a"}}"#,
            r#"{"type":"response.output_item.done","item":{"response":{"id":"resp_a"}}}"#,
            r#"{"response":{"id":"resp_a"}}"#,
            "[DONE]",
        ] {
            assert_eq!(replace_in_event(data, shown), None, "{data}");
        }
    }
}
