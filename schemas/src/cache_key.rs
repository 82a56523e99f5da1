//! From an OpenAI chat request to the place of its answer in the cache.
//!
//! Invariants:
//! * everything that can change the answer, except the text of the last user message, is in
//!   [`CachePartition::context_hash`]: all parameters but those in [`WITHOUT_EFFECT`], fields that this
//!   version does not know, system prompts and the whole conversation before the last message. So a
//!   conversation shares entries only with conversations that went the same way up to its last question;
//! * the hash is over canonical JSON: the order of keys and white space do not matter, nothing else is
//!   forgiven;
//! * what cannot be keyed safely is refused with a reason, never keyed approximately.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use crate::cache::{CachePartition, LookupRequest};

/// Top-level fields of a request that do not change the answer. `model` is in the partition as the alias.
pub const WITHOUT_EFFECT: [&str; 6] = ["model", "stream", "stream_options", "user", "metadata", "store"];

/// Bounds of what is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLimits {
    /// Longest conversation, messages.
    pub max_messages: usize,
    /// Longest last message that is compared by meaning, bytes; a longer one is found by exact match only.
    pub max_text_bytes: usize,
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self { max_messages: 32, max_text_bytes: 8 << 10 }
    }
}

/// Where the answer to a request belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheKey {
    /// The hard walls.
    pub partition: CachePartition,
    /// SHA-256 (hex) of the last message's content.
    pub exact_key: Arc<str>,
    /// The text of the last message; empty when it is too long to be compared by meaning.
    pub text: String,
}

impl CacheKey {
    /// The question to the cache; none as `min_similarity` for exact matches only.
    #[must_use]
    pub fn into_lookup(self, min_similarity: Option<f32>) -> LookupRequest {
        let Self { partition, exact_key, text } = self;
        LookupRequest { partition, exact_key, text, min_similarity }
    }
}

/// Why a request goes past the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Uncacheable {
    /// Not a JSON object, or one with a key twice (two readers could see two requests).
    #[error("the body is not a JSON object with unique keys")]
    NotAnObject,
    /// `messages` is missing, empty or has an entry that is not a message.
    #[error("there is no list of messages")]
    NoMessages,
    /// More messages than [`KeyLimits::max_messages`].
    #[error("the conversation is too long")]
    TooManyMessages,
    /// The last message is not the user's.
    #[error("the last message is not from the user")]
    NoQuestion,
    /// The last message says nothing.
    #[error("the last message is empty")]
    Empty,
    /// Tool calls or their results: they depend on the world outside.
    #[error("the conversation contains tool calls")]
    ToolUse,
    /// Content that is not text, or an answer that is not.
    #[error("the conversation is not only text")]
    NotText,
    /// Several answers are wanted.
    #[error("more than one answer is wanted")]
    SeveralAnswers,
}

impl Uncacheable {
    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAnObject => "not_an_object",
            Self::NoMessages => "no_messages",
            Self::TooManyMessages => "too_many_messages",
            Self::NoQuestion => "no_question",
            Self::Empty => "empty",
            Self::ToolUse => "tool_use",
            Self::NotText => "not_text",
            Self::SeveralAnswers => "several_answers",
        }
    }
}

/// The key of the request in `body`; refuses objects that name a key twice.
///
/// # Errors
/// When the request cannot be cached.
pub fn cache_key_from_slice(
    body: &[u8],
    tenant: &str,
    scope: &str,
    model: &str,
    limits: &KeyLimits,
) -> Result<CacheKey, Uncacheable> {
    let UniqueKeys(body) = serde_json::from_slice(body).map_err(|_| Uncacheable::NotAnObject)?;
    cache_key(&body, tenant, scope, model, limits)
}

/// The key of the request `body`, asked for by `scope` of `tenant` through alias `model`.
///
/// # Errors
/// When the request cannot be cached.
pub fn cache_key(
    body: &Value,
    tenant: &str,
    scope: &str,
    model: &str,
    limits: &KeyLimits,
) -> Result<CacheKey, Uncacheable> {
    let body = body.as_object().ok_or(Uncacheable::NotAnObject)?;
    check_answer_kind(body)?;
    let messages = body.get("messages").and_then(Value::as_array).ok_or(Uncacheable::NoMessages)?;
    if messages.len() > limits.max_messages {
        return Err(Uncacheable::TooManyMessages);
    }
    for message in messages {
        check_message(message)?;
    }
    let (last, history) = messages.split_last().ok_or(Uncacheable::NoMessages)?;
    let question = Question::read(last)?;
    let mut text = question.text;
    if text.len() > limits.max_text_bytes {
        text.clear();
    }
    let partition = CachePartition {
        tenant: tenant.into(),
        scope: scope.into(),
        model: model.into(),
        context_hash: context_hash(body, history, &question.rest),
    };
    Ok(CacheKey { partition, exact_key: question.exact_key, text })
}

/// The last message, taken apart.
struct Question {
    text: String,
    exact_key: Arc<str>,
    /// Everything of the message but its content.
    rest: Map<String, Value>,
}

impl Question {
    fn read(message: &Value) -> Result<Self, Uncacheable> {
        let message = message.as_object().ok_or(Uncacheable::NoMessages)?;
        if message.get("role").and_then(Value::as_str) != Some("user") {
            return Err(Uncacheable::NoQuestion);
        }
        let content = message.get("content").unwrap_or(&Value::Null);
        let text = content_text(content);
        if text.trim().is_empty() {
            return Err(Uncacheable::Empty);
        }
        let mut hash = Sha256::new_with_prefix(b"tollgate cache question v1\n");
        write_canonical(content, &mut hash);
        let rest = message
            .iter()
            .filter(|(name, _)| *name != "content")
            .map(|(name, value)| (name.clone(), value.clone()))
            .chain(part_fields(content))
            .collect();
        Ok(Self { text, exact_key: hex::encode(hash.finalize()).into(), rest })
    }
}

/// The text of a message's content, parts joined by a line break; [`check_message`] came before.
fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// What content parts say beyond their text, under a name that no message field has.
fn part_fields(content: &Value) -> Option<(String, Value)> {
    let parts = content.as_array()?;
    let rest = parts.iter().map(|part| {
        let mut part = part.clone();
        if let Some(part) = part.as_object_mut() {
            part.remove("text");
        }
        part
    });
    Some(("content parts".to_owned(), rest.collect()))
}

fn check_answer_kind(body: &Map<String, Value>) -> Result<(), Uncacheable> {
    let one = |n: &Value| n.is_null() || n.as_u64() == Some(1);
    if !body.get("n").is_none_or(one) {
        return Err(Uncacheable::SeveralAnswers);
    }
    match body.get("modalities") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(kinds)) if kinds.iter().all(|kind| kind == "text") => Ok(()),
        Some(_) => Err(Uncacheable::NotText),
    }
}

fn check_message(message: &Value) -> Result<(), Uncacheable> {
    let message = message.as_object().ok_or(Uncacheable::NoMessages)?;
    let role = message.get("role").and_then(Value::as_str).ok_or(Uncacheable::NoMessages)?;
    let present = |name: &str| message.get(name).is_some_and(|value| !value.is_null());
    if matches!(role, "tool" | "function") || present("tool_calls") || present("function_call") {
        return Err(Uncacheable::ToolUse);
    }
    if present("audio") {
        return Err(Uncacheable::NotText);
    }
    match message.get("content") {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(Value::Array(parts)) if parts.iter().all(is_text_part) => Ok(()),
        Some(_) => Err(Uncacheable::NotText),
    }
}

fn is_text_part(part: &Value) -> bool {
    part.get("type").is_some_and(|kind| kind == "text") && part.get("text").is_some_and(Value::is_string)
}

fn context_hash(body: &Map<String, Value>, history: &[Value], question: &Map<String, Value>) -> Arc<str> {
    let mut hash = Sha256::new_with_prefix(b"tollgate cache context v1\n");
    let counts = |name: &&String| !WITHOUT_EFFECT.contains(&name.as_str()) && *name != "messages";
    write_object(body, counts, &mut hash);
    for message in history {
        write_canonical(message, &mut hash);
        hash.update(b"\n");
    }
    write_object(question, |_| true, &mut hash);
    hex::encode(hash.finalize()).into()
}

/// Canonical JSON: keys sorted, no white space. Numbers stay as they are written: `1` and `1.0` differ.
fn write_canonical(value: &Value, out: &mut Sha256) {
    match value {
        Value::Object(object) => write_object(object, |_| true, out),
        Value::Array(items) => {
            out.update(b"[");
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.update(b",");
                }
                write_canonical(item, out);
            }
            out.update(b"]");
        }
        scalar => out.update(scalar.to_string()),
    }
}

fn write_object(object: &Map<String, Value>, keep: impl Fn(&&String) -> bool, out: &mut Sha256) {
    let mut names: Vec<&String> = object.keys().filter(keep).collect();
    names.sort_unstable();
    out.update(b"{");
    for (index, name) in names.into_iter().enumerate() {
        if index > 0 {
            out.update(b",");
        }
        out.update(Value::from(name.as_str()).to_string());
        out.update(b":");
        write_canonical(&object[name], out);
    }
    out.update(b"}");
}

/// JSON whose objects name each key once.
struct UniqueKeys(Value);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with unique keys")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(UniqueKeys(item)) = items.next_element()? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some((name, UniqueKeys(value))) = entries.next_entry::<String, _>()? {
            if out.insert(name, value).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
#[path = "cache_key_tests.rs"]
mod tests;
