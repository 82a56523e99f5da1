//! The body of a chat request, read no further than routing and metering have to.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::exchange::Effort;
use crate::number::Whole;
use crate::openai::fields::{include_usage, tokens};
use crate::view::{View, as_written, has_entries, read, text_of};

pub use crate::openai::fields::usage_change;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default, deserialize_with = "as_written")]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    n: Option<Whole<u64>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    temperature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    functions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_effort: Option<&'a RawValue>,
}

/// Reads a body. Syntax is checked to the end; fields the gateway does not know are not touched.
///
/// # Errors
/// When the body is no JSON object, or a field that is read has the wrong type.
pub fn view(body: &[u8]) -> Result<View<'_>, FormatError> {
    let body: Body<'_> = read(body)?;
    match body.messages {
        Some(raw) if raw.get().starts_with('[') => {}
        Some(_) => return Err(FormatError::invalid("`messages` must be an array", "messages")),
        None if body.input.is_some() => {
            let message = "`messages` is missing; a request with `input` belongs to /v1/responses";
            return Err(FormatError::invalid(message, "messages"));
        }
        None => return Err(FormatError::invalid("`messages` is missing", "messages")),
    }
    let known = [
        ("stream_options", body.stream_options),
        ("max_tokens", body.max_tokens),
        ("max_completion_tokens", body.max_completion_tokens),
        ("temperature", body.temperature),
    ];
    let fields = known.into_iter().filter_map(|(name, raw)| raw.map(|raw| (name, raw))).collect();
    let newer = tokens(body.max_completion_tokens, "max_completion_tokens")?;
    let older = tokens(body.max_tokens, "max_tokens")?;
    // Servers heed one or the other, so neither alone bounds what such a request costs.
    if let (Some(newer), Some(older)) = (newer, older)
        && newer != older
    {
        let message = "`max_tokens` and `max_completion_tokens` differ; send one of them";
        return Err(FormatError::invalid(message, "max_tokens"));
    }
    let (most, n) = (newer.or(older), body.n.map(|n| n.0));
    Ok(View {
        model: body.model,
        stream: body.stream.unwrap_or(false),
        include_usage: include_usage(body.stream_options),
        choices: n.unwrap_or(0),
        tools: has_entries(body.tools) || has_entries(body.functions),
        effort: body.reasoning_effort.and_then(text_of).and_then(|name| Effort::from_name(&name)),
        max_output_tokens: most.map(|each| each.saturating_mul(n.unwrap_or(1).max(1))),
        fields,
        ..View::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Change;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn with_usage(body: &str) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let view = view(&body).unwrap();
        let change = usage_change(&view);
        String::from_utf8(view.rewrite(&body, change.as_slice()).to_vec()).unwrap()
    }

    #[test]
    fn usage_is_asked_for_at_the_end_of_a_stream() {
        assert_eq!(
            with_usage(r#"{"model":"m","stream":true,"messages":[]}"#),
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[]}"#
        );
        assert_eq!(
            with_usage(
                r#"{"stream_options":{"include_usage":false,"z":1},"model":"m","stream":true,"messages":[]}"#
            ),
            r#"{"stream_options":{"include_usage":true,"z":1},"model":"m","stream":true,"messages":[]}"#
        );
        assert_eq!(
            with_usage(r#"{"stream_options":null,"model":"m","stream":true,"messages":[]}"#),
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[]}"#
        );
        for unchanged in [
            r#"{"model":"m","messages":[]}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"messages":[]}"#,
        ] {
            assert_eq!(with_usage(unchanged), unchanged);
        }
    }

    #[test]
    fn the_most_tokens_are_those_of_all_choices() {
        let most = |body: &str| view(body.as_bytes()).unwrap().max_output_tokens;
        assert_eq!(most(r#"{"messages":[],"max_tokens":10}"#), Some(10));
        assert_eq!(most(r#"{"messages":[],"max_tokens":20,"max_completion_tokens":20,"n":3}"#), Some(60));
        assert_eq!(most(r#"{"messages":[],"max_tokens":10,"max_completion_tokens":null}"#), Some(10));
        assert_eq!(most(r#"{"messages":[]}"#), None);
    }

    #[test]
    fn tools_and_effort_are_seen() {
        let seen = |body: &str| {
            let view = view(body.as_bytes()).unwrap();
            (view.tools, view.effort)
        };
        assert_eq!(seen(r#"{"messages":[],"tools":[],"reasoning_effort":7}"#), (false, None));
        let body = r#"{"messages":[],"tools":[{"type":"function"}],"reasoning_effort":"low"}"#;
        assert_eq!(seen(body), (true, Some(Effort::Low)));
        assert_eq!(seen(r#"{"messages":[],"functions":[{"name":"f"}]}"#), (true, None));
    }

    #[test]
    fn a_model_that_is_null_has_a_place_in_the_body() {
        let body = Bytes::from_static(br#"{"model":null,"messages":[]}"#);
        let rewritten = view(&body).unwrap().rewrite(&body, &[Change::new("model", &"m")]);
        assert_eq!(&rewritten[..], br#"{"model":"m","messages":[]}"#);
    }

    #[test]
    fn two_bounds_of_the_answer_must_agree() {
        let body = |older: u64| {
            format!(r#"{{"messages":[],"max_tokens":{older},"max_completion_tokens":100,"n":2}}"#)
        };
        assert_eq!(view(body(100).as_bytes()).unwrap().max_output_tokens, Some(200));
        let error = view(body(1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("`max_tokens` and `max_completion_tokens` differ"), "{error}");
    }

    #[test]
    fn bodies_of_the_wrong_form_say_what_is_wrong() {
        let error = |body: &[u8]| view(body).unwrap_err().to_string();
        assert!(error(b"").contains("empty"));
        assert!(error(b"{\"model\":\"m\"").contains("line 1 column"));
        assert!(error(b"{\"model\":\"m\"}").contains("`messages` is missing"));
        assert!(error(b"{\"input\":\"hi\"}").contains("/v1/responses"));
        assert!(error(b"{\"messages\":{}}").contains("must be an array"));
        assert!(error(b"{\"messages\":[],\"messages\":[]}").contains("duplicate field"));
        assert!(error(b"{\"messages\":[],\"stream\":\"yes\"}").contains("boolean"));
        assert!(error(b"{\"messages\":[],\"max_tokens\":-1}").contains("`max_tokens` must be"));
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = view(&body);
        }
    }
}
