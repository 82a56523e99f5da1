//! Keys as version 1 made them, over a tree of the whole body: what the keys of today are held against.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use super::super::{CacheKey, KeyLimits, Uncacheable, WITHOUT_EFFECT};
use crate::cache::CachePartition;

pub(super) fn key_of_tree(body: &[u8], limits: &KeyLimits) -> Result<CacheKey, Uncacheable> {
    let UniqueKeys(body) = serde_json::from_slice(body).map_err(|_| Uncacheable::NotAnObject)?;
    cache_key(&body, "acme", "team:checkout", "gpt", limits)
}

fn cache_key(
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

struct Question {
    text: String,
    exact_key: Arc<str>,
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
