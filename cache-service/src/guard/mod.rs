//! What a similarity of sentences cannot tell apart: the second condition of a semantic hit.
//!
//! "Revenue in 2023" and "revenue in 2024" lie closer together than most paraphrases do, and so do "from London to
//! Paris" and "from Paris to London". So two texts may share an answer only when their *particulars* are equal:
//!
//! * words: numbers, negations, words that have an opposite, names, quoted strings, technical words and everything
//!   that is not plain English ([`lexicon`]);
//! * roles: who does what to whom ([`roles`]);
//! * what is asked for: when, where, why, how, who, how many, whether ([`questions`]).
//!
//! A paraphrase that puts a particular in another way misses the cache, which costs one call; a wrong hit costs
//! trust. How often either happens is measured by `tests/it/question_pairs.rs`.
//!
//! Particulars are compared as a set of normalised words, hashed into a [`Fingerprint`] that is stored with
//! the entry and is part of the search filter. This module is pure.

mod lexicon;
mod questions;
mod roles;
mod tokens;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use tokens::Token;
use words::{Word, split};

/// Changes whenever the rules do, so that entries of older rules are not found by newer ones.
const VERSION: &str = "guard v2";

/// A hash over the particulars of a text and the model that embedded it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The fingerprint of `text` as embedded by `embedder` (the model's name: vectors of different models are
/// never compared).
#[must_use]
pub fn fingerprint(text: &str, embedder: &str) -> Fingerprint {
    of_particulars(embedder, &particulars(text))
}

fn of_particulars(embedder: &str, particulars: &BTreeMap<String, u32>) -> Fingerprint {
    let mut hash = Sha256::new();
    // Lengths come first: a text may hold any separator.
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    part(VERSION);
    part(embedder);
    for (particular, count) in particulars {
        part(particular);
        part(&count.to_string());
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    Fingerprint(u128::from_be_bytes(first))
}

/// The normalised particulars of a text and how often each is there.
#[must_use]
pub fn particulars(text: &str) -> BTreeMap<String, u32> {
    let words = without_praise(split(text));
    let tokens = Token::all(&words);
    let single = words.into_iter().filter_map(|word| match word {
        Word::Quoted(quoted) => Some(format!("\"{quoted}")),
        Word::Symbol(symbol) => Some(format!("${symbol}")),
        Word::Plain { text, starts_sentence } => of_word(text, starts_sentence),
        Word::Break => None,
    });
    let mut found = BTreeMap::new();
    for particular in single.chain(roles::bound(&tokens)).chain(questions::asked(&tokens)) {
        *found.entry(particular).or_insert(0) += 1;
    }
    found
}

/// Leaves out the `best` of "the best way to", which says no more than "how".
fn without_praise(mut words: Vec<Word<'_>>) -> Vec<Word<'_>> {
    let is = |word: &Word<'_>, wanted: &[&str]| matches!(word, Word::Plain { text, .. } if wanted.iter().any(|wanted| text.eq_ignore_ascii_case(wanted)));
    for at in (1..words.len()).rev() {
        if is(&words[at], &["way", "ways"]) && is(&words[at - 1], &["best"]) {
            words.remove(at - 1);
        }
    }
    words
}

/// The particular that a word stands for; `None` if the word may be paraphrased.
fn of_word(word: &str, starts_sentence: bool) -> Option<String> {
    let lower = word.to_lowercase();
    if let Some(meaning) = lexicon::closed_class(&lower) {
        return Some(meaning.to_owned());
    }
    if let Some(negated) = lexicon::contraction(&lower) {
        return Some(negated.to_owned());
    }
    if word.chars().any(|c| c.is_ascii_digit()) {
        return Some(number(&lower));
    }
    if let Some(denial) = lexicon::denial(&lower) {
        return Some(denial);
    }
    let foreign = word.chars().any(|c| c.is_alphabetic() && !c.is_ascii_alphabetic());
    if foreign || is_technical(word) {
        return Some(format!("={word}"));
    }
    let capital = word.chars().next().is_some_and(|c| c.is_ascii_uppercase());
    let opener = starts_sentence && lexicon::opens_sentences(&lower);
    let shouted_everyday = lexicon::is_everyday(&lower);
    (capital && !opener && !shouted_everyday).then(|| format!("~{lower}"))
}

/// Numbers are compared by digits: `1,000` equals `1000`, and `5km` keeps its unit.
fn number(lower: &str) -> String {
    let digits: String = lower.chars().filter(|c| *c != ',').collect();
    format!("#{digits}")
}

/// File names, identifiers, addresses, versions: written one way only.
fn is_technical(word: &str) -> bool {
    let inner = |c: char| matches!(c, '_' | '/' | '\\' | '.' | '@' | ':' | '#' | '+' | '&' | '=' | '*');
    let mut letters = word.chars();
    let first_upper = letters.next().is_some_and(char::is_uppercase);
    let later_upper = letters.any(char::is_uppercase);
    let all_upper = word.chars().filter(|c| c.is_alphabetic()).all(char::is_uppercase);
    word.chars().any(inner) || (later_upper && !(first_upper && all_upper))
}

#[cfg(test)]
mod tests;
