//! A Responses request, read no further than the gateway has to.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::json::Str;
use crate::view::{self, View, as_written, member, name_before, range_in, spliced};

/// A label that Codex gives to its requests. No reference of OpenAI's API has it, and servers that are strict refuse it
/// (`Unknown parameter: 'client_metadata'`).
const LABEL: &str = "client_metadata";

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default, deserialize_with = "as_written")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    temperature: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    background: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    client_metadata: Option<&'a RawValue>,
}

/// Reads a body.
///
/// # Errors
/// When it is no JSON object or `input` is neither text nor list.
pub fn view(body: &[u8]) -> Result<View<'_>, FormatError> {
    let seen: Body<'_> = view::read(body)?;
    if seen.input.is_some_and(|input| !input.get().starts_with(['"', '['])) {
        return Err(FormatError::invalid("`input` must be a text or a list", "input"));
    }
    let max_output_tokens = match seen.max_output_tokens {
        Some(raw) => serde_json::from_str(raw.get()).map_err(|_| {
            FormatError::invalid("`max_output_tokens` must be a number of tokens", "max_output_tokens")
        })?,
        None => None,
    };
    let previous: Option<Str<'_>> = match seen.previous_response_id {
        Some(raw) => serde_json::from_str(raw.get()).map_err(|_| {
            FormatError::invalid("`previous_response_id` must be a text", "previous_response_id")
        })?,
        None => None,
    };
    let fields = [
        ("max_output_tokens", seen.max_output_tokens),
        ("temperature", seen.temperature),
        ("previous_response_id", seen.previous_response_id),
        (LABEL, seen.client_metadata),
    ]
    .into_iter()
    .filter_map(|(name, raw)| Some((name, raw?)))
    .collect();
    Ok(View {
        model: seen.model,
        stream: seen.stream.unwrap_or(false),
        include_usage: true,
        max_output_tokens,
        previous_response_id: previous.map(Str::into_text),
        background: seen.background.is_some_and(|raw| raw.get() != "false"),
        fields,
        ..View::default()
    })
}

/// The body without [`LABEL`] where `view` has it, and what was left out.
#[must_use]
pub fn without_label(view: &View<'_>, body: Bytes) -> (Bytes, Vec<Cow<'static, str>>) {
    let changed = || {
        view.field(LABEL)?;
        let text = std::str::from_utf8(&body).ok()?;
        let read: Body<'_> = serde_json::from_str(text).ok()?;
        let value = range_in(&body, read.client_metadata?);
        let name = name_before(text, value.start, LABEL)?;
        Some(spliced(&body, [(member(text, name, value), "".into())]))
    };
    match changed() {
        Some(changed) => (changed, vec![Cow::Borrowed(LABEL)]),
        None => (body, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_it_continues() {
        let body = br#"{"model":"m","input":"hi","previous_response_id":"resp_1","max_output_tokens":9}"#;
        let view = view(body).unwrap();
        assert_eq!(view.previous_response_id.as_deref(), Some("resp_1"));
        assert_eq!((view.max_output_tokens, view.stream), (Some(9), false));
        assert!(view.field("previous_response_id").is_some());
    }

    #[test]
    fn only_false_and_null_mean_that_nothing_goes_on_in_the_background() {
        for (value, background) in [
            ("false", false),
            ("null", false),
            ("true", true),
            ("1", true),
            ("\"false\"", true),
            ("{}", true),
        ] {
            let body = format!(r#"{{"model":"m","input":"hi","stream":true,"background":{value}}}"#);
            assert_eq!(view(body.as_bytes()).unwrap().background, background, "{value}");
        }
        assert!(view(br#"{"model":"m","back\u0067round":true}"#).unwrap().background);
        assert!(view(br#"{"model":"m","background":false,"background":true}"#).is_err());
    }

    #[test]
    fn a_change_takes_the_place_of_null() {
        let body = Bytes::from_static(br#"{"model":null,"input":"hi","max_output_tokens":null}"#);
        let view = view(&body).unwrap();
        assert_eq!(view.max_output_tokens, None);
        let changes = [view::Change::new("model", &"m"), view::Change::new("max_output_tokens", &9)];
        let rewritten = view.rewrite(&body, &changes);
        assert_eq!(&rewritten[..], br#"{"model":"m","input":"hi","max_output_tokens":9}"#);
    }

    #[test]
    fn input_of_another_type_is_refused() {
        assert!(view(br#"{"model":"m","input":7}"#).is_err());
        assert!(view(br#"{"model":"m","input":"x","max_output_tokens":"many"}"#).is_err());
    }
}
