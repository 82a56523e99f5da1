//! The body of a chat request, read no further than routing and metering have to.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::view::{Change, View, as_written, read};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default, deserialize_with = "as_written")]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    temperature: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
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
        None => return Err(FormatError::invalid("`messages` is missing", "messages")),
    }
    let known = [
        ("stream_options", body.stream_options),
        ("max_tokens", body.max_tokens),
        ("max_completion_tokens", body.max_completion_tokens),
        ("temperature", body.temperature),
    ];
    let fields = known.into_iter().filter_map(|(name, raw)| raw.map(|raw| (name, raw))).collect();
    let most = match tokens(body.max_completion_tokens, "max_completion_tokens")? {
        None => tokens(body.max_tokens, "max_tokens")?,
        most => most,
    };
    Ok(View {
        model: body.model,
        stream: body.stream.unwrap_or(false),
        include_usage: include_usage(body.stream_options),
        choices: body.n.unwrap_or(0),
        max_output_tokens: most.map(|each| each.saturating_mul(body.n.unwrap_or(1).max(1))),
        fields,
        ..View::default()
    })
}

/// Usage asked for at the end of a stream, where the client did not ask: what a gateway needs to meter it.
#[must_use]
pub fn usage_change(view: &View<'_>) -> Option<Change> {
    if !view.stream || view.include_usage {
        return None;
    }
    let mut options: serde_json::Map<String, serde_json::Value> =
        view.field("stream_options").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    options.insert("include_usage".to_owned(), true.into());
    Some(Change::new("stream_options", &options))
}

/// Whether `stream_options` asks for usage.
pub(crate) fn include_usage(stream_options: Option<&RawValue>) -> bool {
    stream_options
        .and_then(|raw| serde_json::from_str::<StreamOptions>(raw.get()).ok())
        .and_then(|options| options.include_usage)
        .unwrap_or(false)
}

/// A number of tokens; `null` is none.
pub(crate) fn tokens(raw: Option<&RawValue>, param: &'static str) -> Result<Option<u64>, FormatError> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get())
        .map_err(|_| FormatError::invalid(format!("`{param}` must be a whole number, 0 or larger"), param))
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(most(r#"{"messages":[],"max_tokens":10,"max_completion_tokens":20,"n":3}"#), Some(60));
        assert_eq!(most(r#"{"messages":[],"max_tokens":10,"max_completion_tokens":null}"#), Some(10));
        assert_eq!(most(r#"{"messages":[]}"#), None);
    }

    #[test]
    fn a_model_that_is_null_has_a_place_in_the_body() {
        let body = Bytes::from_static(br#"{"model":null,"messages":[]}"#);
        let rewritten = view(&body).unwrap().rewrite(&body, &[Change::new("model", &"m")]);
        assert_eq!(&rewritten[..], br#"{"model":"m","messages":[]}"#);
    }

    #[test]
    fn bodies_of_the_wrong_form_say_what_is_wrong() {
        let error = |body: &[u8]| view(body).unwrap_err().to_string();
        assert!(error(b"").contains("empty"));
        assert!(error(b"{\"model\":\"m\"").contains("line 1 column"));
        assert!(error(b"{\"model\":\"m\"}").contains("`messages` is missing"));
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
