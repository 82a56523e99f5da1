//! The prompt cache of a simulated provider: what of a prompt it knows from earlier requests to the same model.
//!
//! | provider | what is found | shortest | in steps of |
//! |---|---|---|---|
//! | OpenAI, Azure | the longest beginning that any earlier request had too | 1,024 tokens | 128 |
//! | Gemini | the same | 1,024 tokens | 1 |
//! | Anthropic, Bedrock | the longest beginning that ended at a mark of an earlier request, sought up to 20 blocks before each mark of this one | 1,024 tokens | 1 |
//!
//! A simulated backend is one account. Tokens of a beginning are the prompt's by its share of the bytes.

use std::collections::{BTreeMap, HashMap, VecDeque};

use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::refuse::Dialect;
use super::route::{Endpoint, Target};

/// Prompts shorter than this are never found, tokens.
const SHORTEST: u64 = 1024;
/// What OpenAI finds is a multiple of this, tokens.
const STEP: u64 = 128;
/// Blocks before a mark in which Anthropic looks for what it kept.
const LOOK_BACK: usize = 20;
/// Tokens at the end of a prompt that are read anew even where its last block is marked.
const NEVER_KEPT: u64 = 3;
/// Beginnings that are kept for each model.
const KEPT: usize = 128;

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Beginnings of earlier prompts, by model.
#[derive(Debug, Default)]
pub(in crate::sim) struct PromptCache {
    known: Mutex<HashMap<String, VecDeque<String>>>,
}

/// What of a prompt came from the cache, and what was put there, tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) cached: u64,
    pub(super) kept: u64,
}

/// The part of a body that is cached: tools, instructions and conversation in the provider's order.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    text: String,
    /// Where each block ends.
    ends: Vec<usize>,
    /// Blocks before each mark.
    marks: Vec<usize>,
}

impl PromptCache {
    /// Looks a prompt of so many tokens up, and keeps it as the provider does.
    pub(super) fn look(&self, target: &Target, model: &str, prompt: &Prompt, tokens: u64) -> Found {
        let place = format!("{:?} {} {model}", target.dialect, target.azure);
        let mut known = self.known.lock();
        let known = known.entry(place).or_default();
        match target.dialect {
            Dialect::OpenAi => prompt.automatic(known, tokens, STEP),
            Dialect::Gemini => prompt.automatic(known, tokens, 1),
            Dialect::Anthropic | Dialect::Bedrock => prompt.marked(known, tokens),
        }
    }
}

impl Prompt {
    /// The prompt of a body; empty if it has none.
    pub(super) fn of(target: &Target, body: &[u8]) -> Self {
        let root: Members<'_> = serde_json::from_slice(body).unwrap_or_default();
        let mut prompt = Self::default();
        match target.endpoint {
            Endpoint::Messages => prompt.add(&root, &["tools", "system", "messages"]),
            Endpoint::Converse { .. } => {
                prompt.add(&members(root.get("toolConfig").copied()), &["tools"]);
                prompt.add(&root, &["system", "messages"]);
            }
            Endpoint::Generate { .. } => {
                prompt.add(&root, &["systemInstruction", "system_instruction", "tools", "contents"]);
            }
            Endpoint::Responses => prompt.add(&root, &["tools", "instructions", "input"]),
            _ => prompt.add(&root, &["tools", "messages", "prompt"]),
        }
        if is_set(root.get("cache_control").copied()) {
            prompt.mark();
        }
        prompt
    }

    fn add(&mut self, root: &Members<'_>, names: &[&str]) {
        for raw in names.iter().filter_map(|name| root.get(*name)) {
            for item in list(raw) {
                let parts = members(Some(item));
                match (parts.get("role"), parts.get("content")) {
                    (Some(role), Some(content)) if parts.len() == 2 => {
                        self.text.push_str(role.get());
                        list(content).into_iter().for_each(|block| self.block(block));
                    }
                    _ => self.block(item),
                }
            }
        }
    }

    /// A block without its mark; a text alone is a block too.
    fn block(&mut self, raw: &RawValue) {
        let mut parts = members(Some(raw));
        if parts.contains_key("cachePoint") {
            return self.mark();
        }
        let mark = parts.remove("cache_control");
        if parts.is_empty() {
            self.text.push_str(&format!("text:{},type:\"text\",", raw.get()));
        }
        for (name, value) in parts {
            self.text.push_str(&format!("{name}:{},", value.get()));
        }
        self.ends.push(self.text.len());
        if is_set(mark) {
            self.mark();
        }
    }

    fn mark(&mut self) {
        self.marks.push(self.ends.len());
    }

    /// Tokens of the first so many bytes; 0 if they are too few for the cache.
    fn tokens(&self, bytes: usize, all: u64) -> u64 {
        let tokens = (all * bytes as u64).checked_div(self.text.len() as u64).unwrap_or(0);
        if tokens < SHORTEST { 0 } else { tokens }
    }

    fn automatic(&self, known: &mut VecDeque<String>, tokens: u64, step: u64) -> Found {
        let longest = known.iter().map(|earlier| common(earlier, &self.text)).max().unwrap_or(0);
        // The last token is always read anew.
        let most = self.tokens(longest, tokens).min(tokens.saturating_sub(1));
        if tokens >= SHORTEST {
            keep(known, &self.text);
        }
        Found { cached: most / step * step, kept: 0 }
    }

    fn marked(&self, known: &mut VecDeque<String>, tokens: u64) -> Found {
        let tokens = tokens.saturating_sub(NEVER_KEPT);
        let end =
            |blocks: usize| blocks.checked_sub(1).and_then(|at| self.ends.get(at)).copied().unwrap_or(0);
        let sought = self.marks.iter().flat_map(|mark| mark.saturating_sub(LOOK_BACK)..=*mark).map(end);
        let is_known = |bytes: &usize| known.iter().any(|earlier| *earlier == self.text[..*bytes]);
        let cached = sought.filter(is_known).max().map_or(0, |bytes| self.tokens(bytes, tokens));
        let ends: Vec<usize> = self.marks.iter().map(|mark| end(*mark)).collect();
        for bytes in ends.iter().filter(|bytes| self.tokens(**bytes, tokens) > 0) {
            keep(known, &self.text[..*bytes]);
        }
        let marked = ends.into_iter().max().map_or(0, |bytes| self.tokens(bytes, tokens));
        Found { cached, kept: marked.saturating_sub(cached) }
    }
}

fn keep(known: &mut VecDeque<String>, text: &str) {
    if known.iter().any(|earlier| earlier == text) {
        return;
    }
    if known.len() == KEPT {
        known.pop_front();
    }
    known.push_back(text.to_owned());
}

/// Bytes that two texts have in common at their beginnings.
fn common(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count()
}

fn members(raw: Option<&RawValue>) -> Members<'_> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// The items of a list; anything else is one.
fn list(raw: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| vec![raw])
}

fn is_set(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| raw.get() != "null")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn target(endpoint: Endpoint, dialect: Dialect) -> Target {
        Target { endpoint, dialect, model: None, azure: false }
    }

    fn look(cache: &PromptCache, target: &Target, body: &Value, tokens: u64) -> Found {
        cache.look(target, "m", &Prompt::of(target, body.to_string().as_bytes()), tokens)
    }

    fn said(texts: &[&str]) -> Value {
        let said = texts.iter().map(|text| json!({ "role": "user", "content": text }));
        json!({ "messages": said.collect::<Vec<_>>() })
    }

    #[test]
    fn the_longest_beginning_is_found_in_steps_if_it_is_long_enough() {
        let (cache, chat) = (PromptCache::default(), target(Endpoint::Chat, Dialect::OpenAi));
        let long = "x".repeat(8_000);
        assert_eq!(look(&cache, &chat, &said(&[&long]), 2000), Found::default());
        let again = look(&cache, &chat, &said(&[&long, "more"]), 2010).cached;
        assert_eq!((again % STEP, again > 1900 && again < 2010), (0, true), "{again}");
        assert_eq!(look(&cache, &chat, &said(&["other", &long]), 2010).cached, 0);
        assert_eq!(look(&cache, &chat, &said(&[&long]), 1000).cached, 0);
    }

    #[test]
    fn without_marks_nothing_is_kept_and_marks_are_no_part_of_the_prompt() {
        let (cache, messages) = (PromptCache::default(), target(Endpoint::Messages, Dialect::Anthropic));
        let long = "x".repeat(8_000);
        assert_eq!(look(&cache, &messages, &said(&[&long]), 2000), Found::default());
        assert_eq!(look(&cache, &messages, &said(&[&long]), 2000), Found::default());
        let block = json!([{ "type": "text", "text": long, "cache_control": { "type": "ephemeral" } }]);
        let marked = json!({ "messages": [{ "role": "user", "content": block }] });
        assert_eq!(look(&cache, &messages, &marked, 2000), Found { cached: 0, kept: 1997 });
        let mut more = said(&[&long, "more"]);
        more["cache_control"] = json!({ "type": "ephemeral" });
        let found = look(&cache, &messages, &more, 2010);
        assert_eq!((found.cached > 1980, found.cached + found.kept), (true, 2007), "{found:?}");
    }

    #[test]
    fn what_was_kept_is_sought_in_twenty_blocks_before_a_mark() {
        let (cache, converse) =
            (PromptCache::default(), target(Endpoint::Converse { stream: false }, Dialect::Bedrock));
        let long = "x".repeat(8_000);
        let marked = |more: usize| {
            let mut blocks = vec![json!({ "text": long })];
            blocks.extend((0..more).map(|at| json!({ "text": at.to_string() })));
            blocks.push(json!({ "cachePoint": { "type": "default" } }));
            json!({ "messages": [{ "role": "user", "content": blocks }] })
        };
        assert!(look(&cache, &converse, &marked(0), 2000).kept > 0);
        assert!(look(&PromptCache::default(), &converse, &marked(20), 2000).cached == 0);
        assert!(look(&cache, &converse, &marked(20), 2000).cached > 0);
        assert!(look(&cache, &converse, &marked(41), 2000).cached == 0);
    }
}
