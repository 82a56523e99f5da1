//! The body of a request, read no further than the gateway has to.

use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_families::Effort;

use crate::error::FormatError;
use crate::view::{self, Nest, View, as_written};

/// The field that bounds the answer's tokens, within `generationConfig`.
const MAX_OUTPUT_TOKENS: &str = "maxOutputTokens";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow, default, deserialize_with = "as_written")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    contents: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written", alias = "generation_config")]
    generation_config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
}

/// A field that stands twice, in whatever spelling, is refused: which one a provider reads is not known.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(borrow, default, deserialize_with = "as_written", alias = "max_output_tokens")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    temperature: Option<&'a RawValue>,
    #[serde(default, alias = "candidate_count")]
    candidate_count: Option<u64>,
    #[serde(borrow, default, alias = "thinking_config")]
    thinking_config: Option<&'a RawValue>,
}

/// How much the model may think; what cannot be read is refused when the whole request is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig<'a> {
    #[serde(borrow, default, alias = "thinking_level")]
    thinking_level: Option<&'a str>,
    #[serde(default, alias = "thinking_budget")]
    thinking_budget: Option<i64>,
}

fn effort(config: Option<&RawValue>) -> Option<Effort> {
    let config: ThinkingConfig<'_> = serde_json::from_str(config?.get()).ok()?;
    let level = config.thinking_level.and_then(|level| Effort::from_name(&level.to_ascii_lowercase()));
    level.or_else(|| Some(Effort::from_budget(u64::try_from(config.thinking_budget?).ok()?)))
}

/// Reads a request for an answer; whether it is streamed, its path says.
///
/// # Errors
/// When it is no JSON object, or a field that is read has the wrong type.
pub fn view(body: &[u8], stream: bool) -> Result<View<'_>, FormatError> {
    let read: Body<'_> = view::read(body)?;
    if !read.contents.is_some_and(|contents| contents.get().starts_with('[')) {
        return Err(FormatError::invalid("`contents` must be a list", "contents"));
    }
    let config: Config<'_> = match read.generation_config {
        Some(raw) => serde_json::from_str::<Option<_>>(raw.get()).map_err(|error| wrong_config(&error))?,
        None => None,
    }
    .unwrap_or_default();
    let each = config.max_output_tokens.map(whole_number).transpose()?.flatten();
    let choices = config.candidate_count.unwrap_or(0);
    let fields = [(MAX_OUTPUT_TOKENS, config.max_output_tokens), ("temperature", config.temperature)];
    Ok(View {
        model: read.model,
        stream,
        include_usage: true,
        choices,
        max_output_tokens: each.map(|each| each.saturating_mul(choices.max(1))),
        fields: fields.into_iter().filter_map(|(name, raw)| Some((name, raw?))).collect(),
        tools: view::has_entries(read.tools),
        effort: effort(config.thinking_config),
        nest: Some(Nest { name: "generationConfig", written: read.generation_config }),
        ..View::default()
    })
}

fn wrong_config(error: &serde_json::Error) -> FormatError {
    let fault = crate::error::request_fault(error);
    FormatError::invalid(format!("`generationConfig` cannot be read: {fault}"), "generationConfig")
}

fn whole_number(raw: &RawValue) -> Result<Option<u64>, FormatError> {
    serde_json::from_str(raw.get()).map_err(|_| {
        let param = "generationConfig.maxOutputTokens";
        FormatError::invalid(format!("`{param}` must be a whole number of tokens"), param)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::view::Change;

    fn rewritten(body: &'static str, changes: &[Change]) -> String {
        let body = Bytes::from_static(body.as_bytes());
        let rewritten = view(&body, false).unwrap().rewrite(&body, changes);
        String::from_utf8(rewritten.to_vec()).unwrap()
    }

    #[test]
    fn bounds_are_read_from_the_configuration_in_either_spelling() {
        for body in [
            r#"{"contents":[],"generationConfig":{"maxOutputTokens":64,"candidateCount":2}}"#,
            r#"{"contents":[],"generation_config":{"max_output_tokens":64,"candidate_count":2}}"#,
        ] {
            let view = view(body.as_bytes(), true).unwrap();
            assert_eq!((view.max_output_tokens, view.choices, view.stream), (Some(128), 2, true));
        }
        let none = view(br#"{"contents":[],"generationConfig":null}"#, false).unwrap();
        assert_eq!((none.max_output_tokens, none.model.is_none()), (None, true));
    }

    #[test]
    fn tools_and_effort_are_seen() {
        let seen = |rest: &str| {
            let body = format!(r#"{{"contents":[]{rest}}}"#);
            let view = view(body.as_bytes(), false).unwrap();
            (view.tools, view.effort)
        };
        assert_eq!(seen(""), (false, None));
        let high = r#","tools":[{"functionDeclarations":[]}],"generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH"}}"#;
        assert_eq!(seen(high), (true, Some(Effort::High)));
        let none = r#","generationConfig":{"thinking_config":{"thinking_budget":0}}"#;
        assert_eq!(seen(none), (false, Some(Effort::None)));
    }

    #[test]
    fn what_changes_is_changed_where_it_stands() {
        let changes = [Change::new("maxOutputTokens", &9), Change::new("temperature", &0.5)];
        for (body, expected) in [
            (
                r#"{"contents":[], "generation_config" : { "max_output_tokens" : 64, "topK":1 }}"#,
                r#"{"contents":[], "generation_config" : {"temperature":0.5, "max_output_tokens" : 9, "topK":1 }}"#,
            ),
            (
                r#"{"generationConfig":{ },"contents":[]}"#,
                r#"{"generationConfig":{"maxOutputTokens":9,"temperature":0.5 },"contents":[]}"#,
            ),
            (
                r#"{"contents":[],"generationConfig":null}"#,
                r#"{"contents":[],"generationConfig":{"maxOutputTokens":9,"temperature":0.5}}"#,
            ),
            (
                r#"{"contents":[]}"#,
                r#"{"generationConfig":{"maxOutputTokens":9,"temperature":0.5},"contents":[]}"#,
            ),
        ] {
            assert_eq!(rewritten(body, &changes), expected);
        }
        let named = r#"{"model":"models/x","contents":[]}"#;
        assert_eq!(
            rewritten(named, &[Change::new("model", &"models/y")]),
            r#"{"model":"models/y","contents":[]}"#
        );
    }

    #[test]
    fn a_field_that_stands_twice_is_refused() {
        for config in [
            r#""generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}"#,
            r#""generationConfig":{"maxOutputTokens":1,"maxOutputTokens":9}"#,
            r#""generationConfig":{"maxOutputTokens":1},"generation_config":{"maxOutputTokens":9}"#,
        ] {
            assert!(view(format!(r#"{{"contents":[],{config}}}"#).as_bytes(), false).is_err(), "{config}");
        }
    }

    #[test]
    fn wrong_types_are_named() {
        let error = |body: &str| view(body.as_bytes(), false).unwrap_err().to_string();
        assert_eq!(error("{}"), "`contents` must be a list");
        assert!(error(r#"{"contents":[],"generationConfig":7}"#).contains("`generationConfig`"));
        let text = r#"{"contents":[],"generationConfig":{"maxOutputTokens":"many"}}"#;
        assert!(error(text).contains("maxOutputTokens"));
    }
}
