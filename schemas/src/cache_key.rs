//! From an OpenAI chat request to the place of its answer in the cache.
//!
//! Invariants:
//! * everything that can change the answer, except the text of the last user message, is in
//!   [`CachePartition::context_hash`]: all parameters but those in [`WITHOUT_EFFECT`], fields that this
//!   version does not know, system prompts and the whole conversation before the last message. So a
//!   conversation shares entries only with conversations that went the same way up to its last question;
//! * the hash is over canonical JSON: the order of keys and white space do not matter, nothing else is
//!   forgiven;
//! * what cannot be keyed safely is refused with a reason, never keyed approximately;
//! * a body is looked at only up to [`KeyLimits::max_body_bytes`], and never as a tree of values: what is held
//!   besides the body is about as large as the body.

mod canonical;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use self::canonical::{Fields, canonical, is_null, text};
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

impl KeyLimits {
    /// Largest body that is looked at, bytes: as many messages as are allowed, each as long as is compared by
    /// meaning. 256 KiB by default.
    #[must_use]
    pub const fn max_body_bytes(&self) -> usize {
        self.max_messages.saturating_mul(self.max_text_bytes)
    }
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
    /// The question to the cache; `min_similarity` is `None` for exact matches only.
    #[must_use]
    pub fn into_lookup(self, min_similarity: Option<f32>) -> LookupRequest {
        let Self { partition, exact_key, text } = self;
        LookupRequest { partition, exact_key, text, min_similarity }
    }
}

/// Why a request goes past the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Uncacheable {
    /// The body is larger than [`KeyLimits::max_body_bytes`].
    #[error("the body is too large")]
    TooLarge,
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
            Self::TooLarge => "too_large",
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

/// Name under which a question's parts without their text are in its context. No message has such a field: one that
/// comes with it is refused, or two requests could have one key.
const PARTS: &str = "content parts";

/// The key of the request in `body`, asked for by `scope` of `tenant` through alias `model`; refuses objects that
/// name a key twice.
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
    // Before anything is parsed: a large body must cost no more than its length says.
    if body.len() > limits.max_body_bytes() {
        return Err(Uncacheable::TooLarge);
    }
    let Fields(body) = serde_json::from_slice(body).map_err(|_| Uncacheable::NotAnObject)?;
    check_answer_kind(&body)?;
    let messages = body.get("messages").ok_or(Uncacheable::NoMessages)?;
    let messages: Vec<&RawValue> = parse(messages).ok_or(Uncacheable::NoMessages)?;
    if messages.len() > limits.max_messages {
        return Err(Uncacheable::TooManyMessages);
    }
    let (last, history) = messages.split_last().ok_or(Uncacheable::NoMessages)?;
    history.iter().try_for_each(|message| check_message(&fields(message)?))?;
    let question = Question::read(fields(last)?)?;
    let mut text = question.text;
    if text.len() > limits.max_text_bytes {
        text.clear();
    }
    let partition = CachePartition {
        tenant: tenant.into(),
        scope: scope.into(),
        model: model.into(),
        context_hash: context_hash(&body, history, &question.rest)?,
    };
    Ok(CacheKey { partition, exact_key: question.exact_key, text })
}

/// Fields of an object, not yet parsed.
type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// `None` unless the text has the form that is asked for.
fn parse<'a, T: serde::Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// The fields of a message.
fn fields(message: &RawValue) -> Result<Object<'_>, Uncacheable> {
    if !message.get().starts_with('{') {
        return Err(Uncacheable::NoMessages);
    }
    parse(message).map(|Fields(fields)| fields).ok_or(Uncacheable::NotAnObject)
}

/// The last message, taken apart.
struct Question {
    text: String,
    exact_key: Arc<str>,
    /// Canonical JSON of everything of the message but its content.
    rest: BTreeMap<String, Vec<u8>>,
}

impl Question {
    fn read(message: Object<'_>) -> Result<Self, Uncacheable> {
        check_message(&message)?;
        if message.contains_key(PARTS) {
            return Err(Uncacheable::NotText);
        }
        if message.get("role").and_then(|role| text(role)).as_deref() != Some("user") {
            return Err(Uncacheable::NoQuestion);
        }
        let content = *message.get("content").ok_or(Uncacheable::Empty)?;
        let parts: Option<Vec<Fields<'_>>> = parse(content);
        let text = content_text(content, parts.as_deref());
        if text.trim().is_empty() {
            return Err(Uncacheable::Empty);
        }
        let mut rest = BTreeMap::new();
        for (name, value) in message.iter().filter(|(name, _)| *name != "content") {
            rest.insert(name.clone().into_owned(), written(value)?);
        }
        if let Some(parts) = parts {
            rest.insert(PARTS.to_owned(), without_text(&parts)?);
        }
        let mut hash = Sha256::new_with_prefix(b"tollgate cache question v1\n");
        hash.update(written(content)?);
        Ok(Self { text, exact_key: hex::encode(hash.finalize()).into(), rest })
    }
}

/// The text of a message's content, parts joined by a line break; [`check_message`] came before.
fn content_text(content: &RawValue, parts: Option<&[Fields<'_>]>) -> String {
    match parts {
        Some(parts) => {
            let texts: Vec<_> = parts.iter().filter_map(|Fields(part)| text(part.get("text")?)).collect();
            texts.join("\n")
        }
        None => text(content).unwrap_or_default(),
    }
}

/// What content parts say beyond their text, as canonical JSON.
fn without_text(parts: &[Fields<'_>]) -> Result<Vec<u8>, Uncacheable> {
    let mut out = vec![b'['];
    for (index, Fields(part)) in parts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let mut rest = BTreeMap::new();
        for (name, value) in part.iter().filter(|(name, _)| *name != "text") {
            rest.insert(&**name, written(value)?);
        }
        out.extend(object(rest.iter().map(|(name, value)| (*name, &value[..]))));
    }
    out.push(b']');
    Ok(out)
}

fn check_answer_kind(body: &Object<'_>) -> Result<(), Uncacheable> {
    if body.get("n").is_some_and(|n| !is_null(n) && parse::<u64>(n) != Some(1)) {
        return Err(Uncacheable::SeveralAnswers);
    }
    let text_alone = |kinds: &RawValue| {
        let kinds: Option<Vec<&RawValue>> = parse(kinds);
        kinds.is_some_and(|kinds| kinds.iter().all(|kind| text(kind).as_deref() == Some("text")))
    };
    match body.get("modalities") {
        Some(kinds) if !is_null(kinds) && !text_alone(kinds) => Err(Uncacheable::NotText),
        _ => Ok(()),
    }
}

fn check_message(message: &Object<'_>) -> Result<(), Uncacheable> {
    let role = message.get("role").and_then(|role| text(role)).ok_or(Uncacheable::NoMessages)?;
    let present = |name: &str| message.get(name).is_some_and(|value| !is_null(value));
    if matches!(&*role, "tool" | "function") || present("tool_calls") || present("function_call") {
        return Err(Uncacheable::ToolUse);
    }
    if present("audio") {
        return Err(Uncacheable::NotText);
    }
    match message.get("content") {
        Some(content) if !is_null(content) && text(content).is_none() && !is_text_parts(content) => {
            Err(Uncacheable::NotText)
        }
        _ => Ok(()),
    }
}

fn is_text_parts(content: &RawValue) -> bool {
    let is_text = |Fields(part): &Fields<'_>| {
        part.get("type").and_then(|kind| text(kind)).as_deref() == Some("text")
            && part.get("text").is_some_and(|value| text(value).is_some())
    };
    parse::<Vec<Fields<'_>>>(content).is_some_and(|parts| parts.iter().all(is_text))
}

fn context_hash(
    body: &Object<'_>,
    history: &[&RawValue],
    question: &BTreeMap<String, Vec<u8>>,
) -> Result<Arc<str>, Uncacheable> {
    let mut hash = Sha256::new_with_prefix(b"tollgate cache context v1\n");
    let mut parameters = BTreeMap::new();
    for (name, value) in body.iter().filter(|(name, _)| *name != "messages") {
        // What has no effect must be readable all the same: nobody may see another request in this body.
        let value = written(value)?;
        if !WITHOUT_EFFECT.contains(&&**name) {
            parameters.insert(&**name, value);
        }
    }
    hash.update(object(parameters.iter().map(|(name, value)| (*name, &value[..]))));
    for message in history {
        hash.update(written(message)?);
        hash.update(b"\n");
    }
    hash.update(object(question.iter().map(|(name, value)| (&**name, &value[..]))));
    Ok(hex::encode(hash.finalize()).into())
}

fn written(value: &RawValue) -> Result<Vec<u8>, Uncacheable> {
    canonical(value).map_err(|_| Uncacheable::NotAnObject)
}

/// An object in canonical JSON; its fields come sorted.
fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (name, value) in fields {
        canonical::push_field(&mut out, name, value);
    }
    out.push(b'}');
    out
}

#[cfg(test)]
#[path = "cache_key_tests.rs"]
mod tests;
