//! What clients write for the newest models, in a request whose bytes pass to an older one.
//!
//! A client that does not know an alias takes it for the newest model: instructions in the midst of the conversation,
//! thinking that adapts, an effort. A model that refuses them gets what it knows instead; everything else stays byte for
//! byte.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;
use serde_json::value::{RawValue, to_raw_value};
use tollgate_families::{Style, Vendor};

use super::decode;
use crate::adapt::TargetModel;
use crate::claude;
use crate::exchange::note_text;
use crate::json::Str;
use crate::unmapped::{OnUnmappable, Unmapped};
use crate::view::{range_in, text_of};

/// Bytes that stand in the place of others.
type Change = (Range<usize>, Vec<u8>);

#[derive(serde::Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_tokens: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Str<'a>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(serde::Deserialize)]
struct Thinking<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
}

/// A body that the target's model takes, and the names of what was changed in it. One that cannot be read is returned
/// as it is: then the provider says what is wrong with it.
#[must_use]
pub fn known_to_model(body: Bytes, target: TargetModel<'_>) -> (Bytes, Vec<&'static str>) {
    if target.traits.vendor != Vendor::Claude || !may_be_newer(&body) {
        return (body, Vec::new());
    }
    let mut named = Vec::new();
    let Some(mut changes) = changes(&body, target, &mut named).filter(|changes| !changes.is_empty()) else {
        return (body, Vec::new());
    };
    changes.sort_by_key(|(range, _)| range.start);
    (with(&body, &changes), named)
}

/// Whether one of the words is there, without reading the body.
fn may_be_newer(body: &[u8]) -> bool {
    [&b"\"adaptive\""[..], b"\"effort\"", b":\"system\"", b": \"system\""]
        .iter()
        .any(|word| memmem::find(body, word).is_some())
}

fn changes(body: &[u8], target: TargetModel<'_>, named: &mut Vec<&'static str>) -> Option<Vec<Change>> {
    let read: Body<'_> = serde_json::from_slice(body).ok()?;
    let mut changes = notes(body, &read, target);
    if !changes.is_empty() {
        named.push("messages[].role");
    }
    let reasoning = &target.traits.reasoning;
    let adapts = |raw: &&RawValue| {
        serde_json::from_str::<Thinking<'_>>(raw.get()).is_ok_and(|thinking| &*thinking.kind == "adaptive")
    };
    if reasoning.style == Style::ClaudeBudget && read.thinking.as_ref().is_some_and(adapts) {
        changes.extend(budget(body, &read, target)?);
        named.push("thinking");
    }
    if reasoning.efforts.is_empty()
        && let Some(config) = read.output_config
        && let Some(rest) = without_effort(config)
    {
        changes.push((range_in(body, config), rest));
        named.push("output_config.effort");
    }
    Some(changes)
}

/// Instructions that the model does not take where they stand become texts of the user there.
fn notes(body: &[u8], read: &Body<'_>, target: TargetModel<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut after_user = false;
    for message in &read.messages {
        let Ok(Message { role, content }) = serde_json::from_str(message.get()) else { continue };
        if &*role == "system" && !target.traits.messages.system_later.is_taken(after_user) {
            changes.extend(as_user(content).map(|note| (range_in(body, message), note)));
        }
        after_user = &*role != "assistant";
    }
    changes
}

fn as_user(content: &RawValue) -> Option<Vec<u8>> {
    let content = match text_of(content) {
        Some(text) => to_raw_value(&note_text(&text)).ok()?,
        None => {
            let mut blocks: Vec<BTreeMap<&str, Box<RawValue>>> = serde_json::from_str(content.get()).ok()?;
            for block in &mut blocks {
                let text = text_of(block.get("text")?)?.into_owned();
                block.insert("text", to_raw_value(&note_text(&text)).ok()?);
            }
            to_raw_value(&blocks).ok()?
        }
    };
    Some(format!(r#"{{"role":"user","content":{}}}"#, content.get()).into_bytes())
}

/// Thinking with a budget, as a translated request would have it.
fn budget(body: &[u8], read: &Body<'_>, target: TargetModel<'_>) -> Option<Vec<Change>> {
    let request = decode(body).ok()?;
    let mut unmapped = Unmapped::new(OnUnmappable::Drop);
    let forced =
        claude::choice(&request, target.traits, &mut unmapped).is_some_and(|choice| choice.is_forced());
    let plan = claude::plan(&request, target.traits, forced, &mut unmapped);
    let thinking = match &plan.thinking {
        Some(thinking) => serde_json::to_vec(thinking).ok()?,
        None => br#"{"type":"disabled"}"#.to_vec(),
    };
    let mut changes = vec![(range_in(body, read.thinking?), thinking)];
    if let (Some(most), Some(raw)) = (plan.max_tokens, read.max_tokens)
        && request.sampling.max_output_tokens != Some(most)
    {
        changes.push((range_in(body, raw), most.to_string().into_bytes()));
    }
    Some(changes)
}

/// The configuration of the output without its effort; `None` if it has none.
fn without_effort(config: &RawValue) -> Option<Vec<u8>> {
    let mut members: BTreeMap<&str, &RawValue> = serde_json::from_str(config.get()).ok()?;
    members.remove("effort")?;
    serde_json::to_vec(&members).ok()
}

fn with(body: &Bytes, changes: &[Change]) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len() + 256);
    let mut copied = 0;
    for (range, new) in changes {
        out.put_slice(body.get(copied..range.start).unwrap_or_default());
        out.put_slice(new);
        copied = range.end;
    }
    out.put_slice(body.get(copied..).unwrap_or_default());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_families::ApiFormat;

    use super::*;
    use crate::testing::target;

    fn sent(body: &str, model: &str) -> (String, Vec<&'static str>) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let (body, named) = known_to_model(body, target(model, ApiFormat::Anthropic));
        (String::from_utf8(body.to_vec()).unwrap(), named)
    }

    const NEWEST: &str = r#"{ "model":"m", "max_tokens": 32000, "messages":[{"role":"user","content":"hi"}, {"role":"system","content":[{"type":"text","text":"be \"brief\"","cache_control":{"type":"ephemeral"}}]}],"thinking":{"type":"adaptive"},"output_config":{"effort":"high"},"x":1e2}"#;

    #[test]
    fn an_older_model_gets_what_it_knows_and_the_rest_byte_for_byte() {
        let (body, named) = sent(NEWEST, "claude-sonnet-4-5");
        assert_eq!(
            body,
            r#"{ "model":"m", "max_tokens": 32000, "messages":[{"role":"user","content":"hi"}, {"role":"user","content":[{"cache_control":{"type":"ephemeral"},"text":"<system-reminder>\nbe \"brief\"\n</system-reminder>","type":"text"}]}],"thinking":{"type":"enabled","budget_tokens":24000},"output_config":{},"x":1e2}"#
        );
        assert_eq!(named, ["messages[].role", "thinking", "output_config.effort"]);
    }

    #[test]
    fn what_a_model_knows_stays_as_it_is() {
        assert_eq!(sent(NEWEST, "claude-opus-4-8"), (NEWEST.to_owned(), Vec::new()));
        let plain = r#"{"system":"x","messages":[{"role":"user","content":"the \"effort\": \"system\""}]}"#;
        assert_eq!(sent(plain, "claude-sonnet-4-5"), (plain.to_owned(), Vec::new()));
        for broken in [r#"{"messages":7,"x":"adaptive"}"#, r#""adaptive"#] {
            assert_eq!(sent(broken, "claude-sonnet-4-5"), (broken.to_owned(), Vec::new()));
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_stays_json_if_it_was(
            role in "(system|user|assistant|\\PC{0,8})",
            content in prop_oneof![
                Just(r#""x""#.to_owned()),
                Just(r#"[{"type":"text","text":"x"},{"text":7}]"#.to_owned()),
                "[\\[\\]{}\":,a-z0-9]{0,24}",
            ],
            thinking in prop_oneof![Just(r#"{"type":"adaptive"}"#), Just("7"), Just("null")],
            config in prop_oneof![Just(r#"{"effort":"high","\u0066ormat":1}"#), Just("[]"), Just("{}")],
        ) {
            let role = serde_json::to_string(&role).unwrap();
            let body = format!(
                r#"{{"max_tokens":4096,"messages":[{{"role":{role},"content":{content}}},{{"role": "system","content":"s"}}],"thinking":{thinking},"output_config":{config}}}"#
            );
            let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            for model in ["claude-sonnet-4-5", "claude-opus-4-5", "claude-opus-5"] {
                prop_assert_eq!(is_json(&sent(&body, model).0), is_json(&body));
            }
        }
    }
}
