//! Prompts in OpenAI's format: the `messages` and `tools` of a chat, the `input` of embeddings.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::count::{Budget, Count};
use crate::image::Detail;
use crate::tally::{ImageSource, Piece, Tally};

/// Counts the messages of a chat request and its tools, with as much work as the budget allows.
#[must_use]
pub fn count_chat(model: &str, messages: &RawValue, tools: Option<&RawValue>, budget: Budget) -> Count {
    let mut tally = Tally::new(model, budget);
    match serde_json::from_str::<Vec<&RawValue>>(messages.get()) {
        Ok(list) => list.into_iter().for_each(|message| add_message(&mut tally, message)),
        // Of an unknown form: the text itself, brackets and all, is a fair upper estimate.
        Err(_) => tally.add_unknown(messages),
    }
    if let Some(tools) = tools {
        match serde_json::from_str::<Vec<&RawValue>>(tools.get()) {
            Ok(list) => list.into_iter().for_each(|tool| tally.add(Piece::Tool(tool.get()))),
            Err(_) => tally.add_unknown(tools),
        }
    }
    tally.finish()
}

/// Counts the `input` of an embeddings request, with as much work as the budget allows: a text, texts, the
/// tokens of a text, or those of several.
#[must_use]
pub fn count_input(model: &str, input: &RawValue, budget: Budget) -> Count {
    let mut tally = Tally::new(model, budget);
    add_input(&mut tally, input, 0);
    tally.finish()
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ImageUrl<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow)]
    detail: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Cow<'a, str>,
}

fn add_message(tally: &mut Tally, raw: &RawValue) {
    let Ok(message) = serde_json::from_str::<Message<'_>>(raw.get()) else {
        return tally.add_unknown(raw);
    };
    tally.add(Piece::Message { role: &message.role, name: message.name.as_deref() });
    if let Some(content) = message.content {
        add_content(tally, content);
    }
    if let Some(refusal) = &message.refusal {
        tally.add_text(refusal);
    }
    if let Some(calls) = message.tool_calls {
        match serde_json::from_str::<Vec<Call<'_>>>(calls.get()) {
            Ok(calls) => {
                calls.iter().for_each(|call| tally.add_call(&call.function.name, &call.function.arguments))
            }
            Err(_) => tally.add_unknown(calls),
        }
    }
    if let Some(call) = message.function_call {
        match serde_json::from_str::<Function<'_>>(call.get()) {
            Ok(function) => tally.add_call(&function.name, &function.arguments),
            Err(_) => tally.add_unknown(call),
        }
    }
}

fn add_content(tally: &mut Tally, raw: &RawValue) {
    match raw.get().as_bytes().first() {
        Some(b'"') => match text(raw) {
            Some(text) => tally.add_text(&text),
            None => tally.add_unknown(raw),
        },
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(parts) => parts.into_iter().for_each(|part| add_part(tally, part)),
            Err(_) => tally.add_unknown(raw),
        },
        Some(b'n') => {}
        _ => tally.add_unknown(raw),
    }
}

fn add_part(tally: &mut Tally, raw: &RawValue) {
    let Ok(part) = serde_json::from_str::<Part<'_>>(raw.get()) else {
        return tally.add_unknown(raw);
    };
    if let Some(text) = part.text.as_ref().or(part.refusal.as_ref()) {
        tally.add_text(text);
    } else if let Some(image) = part.image_url {
        add_image(tally, image, part.detail.as_deref());
    } else {
        tally.add(Piece::Attachment { bytes: raw.get().len() });
    }
}

/// An image by URL: an object in chat messages, a string in the Responses API.
fn add_image(tally: &mut Tally, raw: &RawValue, detail: Option<&str>) {
    let (url, detail) = match serde_json::from_str::<ImageUrl<'_>>(raw.get()) {
        Ok(image) => (image.url, Detail::of(image.detail.as_deref().or(detail))),
        Err(_) => (text(raw).unwrap_or_default(), Detail::of(detail)),
    };
    tally.add(Piece::Image { detail, source: ImageSource::Url(&url) });
}

fn add_input(tally: &mut Tally, raw: &RawValue, depth: usize) {
    match raw.get().as_bytes().first() {
        Some(b'"') => match text(raw) {
            Some(text) => tally.add_text(&text),
            None => tally.add_unknown(raw),
        },
        Some(b'0'..=b'9') => tally.add_token(),
        Some(b'[') if depth < 2 => match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(items) => items.into_iter().for_each(|item| add_input(tally, item, depth + 1)),
            Err(_) => tally.add_unknown(raw),
        },
        _ => tally.add_unknown(raw),
    }
}

/// A JSON string, borrowed where it has no escapes.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

#[cfg(test)]
#[path = "openai_tests.rs"]
mod tests;
