//! Counts tokens with the encoding of the model's family.
//!
//! Counting is lazy: a byte-level BPE never makes more tokens than there are bytes, so far from a limit
//! [`upper_bound`] decides exactly as the count would. The tables (tens of megabytes) load on first use.
//! `tiktoken-rs` says which encoding a model has; `bpe-openai` counts, because it gives the same numbers,
//! is faster and does not overflow its stack on long runs of white space.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

/// Longest text that is counted exactly on a worker thread, bytes; longer ones are extrapolated.
pub const EXACT_BYTES: usize = 64 << 10;
/// Most tokens that one image may take towards a limit before the provider reports (OpenAI, high detail).
const IMAGE_BOUND: u64 = 1_600;
/// Tokens around every message, and around the whole conversation (OpenAI cookbook, "count tokens").
const PER_MESSAGE: u64 = 3;
const PER_CONVERSATION: u64 = 3;

/// A number of tokens and whether it is exact for a known encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Tokens.
    pub tokens: u64,
    /// Counted by the model's own encoding, all of it.
    pub exact: bool,
}

impl std::ops::Add for Count {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { tokens: self.tokens + other.tokens, exact: self.exact && other.exact }
    }
}

/// Tokens that the JSON text of a conversation can be at most.
#[must_use]
pub fn upper_bound(messages: &[u8]) -> u64 {
    let images = memmem::find_iter(messages, b"image_url").count() as u64;
    messages.len() as u64 + images * IMAGE_BOUND
}

/// Counts a text as `model` would read it.
#[must_use]
pub fn count_text(model: &str, text: &str) -> Count {
    let (encoding, known) = encoding(model);
    let head = head_of(text);
    let tokens = encoding.count(head) as u64;
    if head.len() == text.len() {
        return Count { tokens, exact: known };
    }
    Count { tokens: tokens.saturating_mul(text.len() as u64) / head.len().max(1) as u64, exact: false }
}

/// Counts the messages of an OpenAI chat request, with the overhead of each message.
#[must_use]
pub fn count_messages(model: &str, messages: &RawValue) -> Count {
    let Ok(parsed) = serde_json::from_str::<Vec<Message<'_>>>(messages.get()) else {
        // Of an unknown form: the text itself, brackets and all, is a fair upper estimate.
        return Count { exact: false, ..count_text(model, messages.get()) };
    };
    let mut total = Count { tokens: PER_CONVERSATION, exact: true };
    for message in &parsed {
        total.tokens += PER_MESSAGE;
        for text in [&message.role, &message.name].into_iter().flatten() {
            total = total + count_text(model, text);
        }
        total = total + count_content(model, message.content);
        if let Some(calls) = message.tool_calls {
            total = total + Count { exact: false, ..count_text(model, calls.get()) };
        }
    }
    total
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Parts(Vec<Part>),
    Null(()),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

fn count_content(model: &str, content: Option<&RawValue>) -> Count {
    let Some(raw) = content else { return Count { tokens: 0, exact: true } };
    match serde_json::from_str(raw.get()) {
        Ok(Content::Text(text)) => count_text(model, &text),
        Ok(Content::Null(())) => Count { tokens: 0, exact: true },
        Ok(Content::Parts(parts)) => parts.iter().fold(Count { tokens: 0, exact: true }, |sum, part| {
            sum + match &part.text {
                Some(text) => count_text(model, text),
                // An image or a sound: only the provider knows.
                None => Count { tokens: IMAGE_BOUND / 2, exact: false },
            }
        }),
        Err(_) => Count { exact: false, ..count_text(model, raw.get()) },
    }
}

/// The encoding of a model's family, and whether the family is known.
fn encoding(model: &str) -> (&'static bpe_openai::Tokenizer, bool) {
    match get_tokenizer(model) {
        Some(Tokenizer::Cl100kBase) => (bpe_openai::cl100k_base(), true),
        Some(Tokenizer::O200kBase | Tokenizer::O200kHarmony) => (bpe_openai::o200k_base(), true),
        _ => (bpe_openai::o200k_base(), false),
    }
}

/// At most [`EXACT_BYTES`] of the text, cut at a character.
fn head_of(text: &str) -> &str {
    if text.len() <= EXACT_BYTES {
        return text;
    }
    let mut end = EXACT_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_known_conversation_counts_as_the_provider_counts_it() {
        // "Say hi" in one user message is 9 prompt tokens for gpt-4o.
        let raw = messages(r#"[{"role":"user","content":"Say hi"}]"#);
        assert_eq!(count_messages("gpt-4o", &raw), Count { tokens: 9, exact: true });
    }

    #[test]
    fn an_unknown_family_is_estimated() {
        assert!(!count_text("claude-sonnet-4", "hello").exact);
    }

    #[test]
    fn long_runs_of_spaces_neither_panic_nor_stall() {
        let spaces = " ".repeat(2 << 20);
        let count = count_text("gpt-4o", &spaces);
        assert!(count.tokens > 0 && !count.exact);
    }

    proptest! {
        #[test]
        fn counts_equal_the_reference(text in "\\PC{0,400}") {
            let reference = tiktoken_rs::o200k_base_singleton().encode_ordinary(&text).len() as u64;
            prop_assert_eq!(count_text("gpt-4o", &text).tokens, reference);
        }

        #[test]
        fn the_bound_is_never_below_the_count(text in "\\PC{0,200}") {
            let json = serde_json::to_string(&serde_json::json!([{"role": "user", "content": text}])).unwrap();
            let raw = messages(&json);
            prop_assert!(upper_bound(json.as_bytes()) >= count_messages("gpt-4o", &raw).tokens);
        }
    }
}
