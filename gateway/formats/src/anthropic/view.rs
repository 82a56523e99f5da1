//! What the gateway must know of a Messages request before it decides anything; also of a token count's.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::exchange::Effort;
use crate::json::Str;
use crate::view::{self, View, as_written, has_entries};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default, deserialize_with = "as_written")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    temperature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_config: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Thinking<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(default)]
    budget_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OutputConfig<'a> {
    #[serde(borrow, default)]
    effort: Option<Str<'a>>,
}

/// Reads a request's view. Usage is always part of this format's streams.
///
/// # Errors
/// When the body is no JSON object, `messages` is no list, or a field has the wrong type.
pub fn view(body: &[u8]) -> Result<View<'_>, FormatError> {
    let read: Body<'_> = view::read(body)?;
    if !read.messages.is_some_and(|raw| raw.get().starts_with('[')) {
        return Err(FormatError::invalid("`messages` must be a list", "messages"));
    }
    let max_output_tokens =
        read.max_tokens.filter(|raw| raw.get() != "null").map(whole_number).transpose()?;
    let fields = [("max_tokens", read.max_tokens), ("temperature", read.temperature)];
    Ok(View {
        model: read.model,
        stream: read.stream.unwrap_or(false),
        include_usage: true,
        tools: has_entries(read.tools),
        effort: effort(read.thinking, read.output_config),
        max_output_tokens,
        fields: fields.into_iter().filter_map(|(name, raw)| Some((name, raw?))).collect(),
        ..View::default()
    })
}

/// What the request says of thinking; wrong words are found when it is read.
fn effort(thinking: Option<&RawValue>, output_config: Option<&RawValue>) -> Option<Effort> {
    let thinking = thinking.and_then(|raw| serde_json::from_str::<Thinking<'_>>(raw.get()).ok());
    if thinking.as_ref().is_some_and(|thinking| &*thinking.kind == "disabled") {
        return Some(Effort::None);
    }
    let config = output_config.and_then(|raw| serde_json::from_str::<OutputConfig<'_>>(raw.get()).ok());
    let said = config.and_then(|config| Effort::from_name(&config.effort?));
    // How much is up to the model: it does think.
    let adapts = thinking.as_ref().is_some_and(|thinking| &*thinking.kind == "adaptive");
    said.or_else(|| thinking.and_then(|thinking| thinking.budget_tokens).map(Effort::from_budget))
        .or(adapts.then_some(Effort::Medium))
}

fn whole_number(raw: &RawValue) -> Result<u64, FormatError> {
    raw.get()
        .parse()
        .map_err(|_| FormatError::invalid("`max_tokens` must be a whole number of tokens", "max_tokens"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::view::Change;

    #[test]
    fn the_view_holds_what_is_decided_on() {
        let body = br#"{"model":"claude","max_tokens":64,"temperature":0.3,"stream":true,"messages":[],"x":{"a":1}}"#;
        let view = view(body).unwrap();
        assert_eq!(view.model_name().unwrap(), "claude");
        assert_eq!((view.stream, view.include_usage, view.max_output_tokens), (true, true, Some(64)));
        assert_eq!(view.field("temperature").map(RawValue::get), Some("0.3"));
    }

    #[test]
    fn tools_and_thinking_are_seen() {
        let seen = |more: &str| {
            let body = format!(r#"{{"messages":[]{more}}}"#);
            let view = view(body.as_bytes()).unwrap();
            (view.tools, view.effort)
        };
        assert_eq!(seen(""), (false, None));
        assert_eq!(
            seen(r#","tools":[{"name":"f"}],"thinking":{"type":"disabled"}"#),
            (true, Some(Effort::None))
        );
        assert_eq!(
            seen(r#","thinking":{"type":"enabled","budget_tokens":2048}"#),
            (false, Some(Effort::Low))
        );
        assert_eq!(seen(r#","output_config":{"effort":"high"},"thinking":7"#), (false, Some(Effort::High)));
        let adapts = r#","thinking":{"type":"adaptive"}"#;
        assert_eq!(seen(adapts), (false, Some(Effort::Medium)));
        assert_eq!(
            seen(&format!(r#"{adapts},"output_config":{{"effort":"low"}}"#)),
            (false, Some(Effort::Low))
        );
    }

    #[test]
    fn a_token_count_needs_no_max_tokens() {
        let view = view(br#"{"model":"claude","max_tokens":null,"messages":[]}"#).unwrap();
        assert_eq!((view.max_output_tokens, view.stream), (None, false));
        assert_eq!(view.field("max_tokens").map(RawValue::get), Some("null"));
    }

    #[test]
    fn a_body_is_changed_in_place() {
        let body = Bytes::from_static(br#"{"model":"alias","max_tokens": 9000,"messages":[ ]}"#);
        let changes = [Change::new("model", &"claude-sonnet-4-5"), Change::new("max_tokens", &4096)];
        let rewritten = view(&body).unwrap().rewrite(&body, &changes);
        assert_eq!(&rewritten[..], br#"{"model":"claude-sonnet-4-5","max_tokens": 4096,"messages":[ ]}"#);
    }

    #[test]
    fn wrong_types_are_named() {
        let error = |body: &str| view(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("{}"), "`messages` must be a list");
        assert_eq!(error(r#"{"messages":"hi"}"#), "`messages` must be a list");
        assert!(error(r#"{"messages":[],"max_tokens":-1}"#).contains("max_tokens"));
        assert!(error(r#"{"messages":[],"stream":"yes"}"#).contains("boolean"));
    }
}
