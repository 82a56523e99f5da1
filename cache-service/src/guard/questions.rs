//! What is asked for: when, where, why, how, who, how many, whether; and of which time.
//!
//! "What" and "which" ask for the thing itself, as a request without any question word does, and are no
//! particular. A question that is asked by another word for the same ("what time", "what is the way to") counts
//! as that one.

use super::lexicon;
use super::tokens::Token;

/// The particulars of what a text asks for.
pub(super) fn asked(tokens: &[Token<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    for clause in tokens.split(|token| matches!(token, Token::Break)) {
        let words: Vec<&str> = clause.iter().filter_map(Token::word).collect();
        let (words, polite) = without_politeness(&words);
        found.extend(kind(words, polite).map(|kind| format!("?{kind}")));
        found.extend(time(words).map(|time| format!("time {time}")));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The words behind "could you please", and whether there was such a beginning.
fn without_politeness<'a, 'b>(words: &'a [&'b str]) -> (&'a [&'b str], bool) {
    let start =
        words.iter().take_while(|word| matches!(**word, "please" | "hi" | "hello" | "and" | "so" | "then"));
    let mut rest = &words[start.count()..];
    let mut polite = false;
    if let ["can" | "could" | "would" | "will", "you", behind @ ..] = rest
        && behind.first().is_some_and(|word| *word == "please" || lexicon::is_verb(word))
    {
        (rest, polite) = (behind, true);
    }
    (rest, polite)
}

/// What a clause asks for; `None` when it asks for a thing or nothing.
fn kind(words: &[&str], polite: bool) -> Option<&'static str> {
    let Some(at) = words.iter().position(|word| lexicon::is_question_word(word)) else {
        return without_question_word(words, polite);
    };
    let rest = &words[at + 1..];
    let has = |wanted: &[&str]| rest.iter().any(|word| wanted.contains(word));
    match words[at].trim_end_matches("'s") {
        "when" => Some("when"),
        "where" => Some("where"),
        "why" => Some("why"),
        "who" | "whom" | "whose" => Some("who"),
        "how" => how(rest),
        _ if rest.first().is_some_and(|word| matches!(*word, "time" | "year" | "day" | "date" | "month")) => {
            Some("when")
        }
        _ if rest.first().is_some_and(|word| lexicon::is_person(word)) => Some("who"),
        _ if has(&["reason"]) => Some("why"),
        _ if has(&["way", "ways", "method", "steps", "procedure"]) && has(&["to"]) => Some("how"),
        _ if has(&["do"]) && rest.windows(2).any(|pair| pair == ["do", "to"]) => Some("how"),
        _ => rest.iter().take(4).find_map(|word| measured(word)),
    }
}

fn without_question_word(words: &[&str], polite: bool) -> Option<&'static str> {
    let first = *words.first()?;
    if words.iter().take(3).any(|word| matches!(*word, "steps" | "way" | "ways")) && words.contains(&"to") {
        return Some("how");
    }
    match first {
        _ if polite || words.get(1).is_some_and(|next| lexicon::is_order(first, next)) => None,
        "should" | "must" | "shouldn't" | "mustn't" => Some("whether one should"),
        _ if lexicon::is_auxiliary(first) => Some("whether"),
        _ => None,
    }
}

fn how(rest: &[&str]) -> Option<&'static str> {
    match rest {
        ["many", "times", ..] | ["often" | "frequently", ..] => Some("how often"),
        ["many", ..] => Some("how many"),
        ["much", "time", ..] | ["long", ..] => Some("how long"),
        ["much", ..] => None,
        ["come", ..] => Some("why"),
        ["far", ..] => Some("how far"),
        ["old", ..] => Some("how old"),
        ["tall" | "high", ..] => Some("how tall"),
        ["big" | "large", ..] => Some("how big"),
        ["fast" | "quickly", ..] => Some("how fast"),
        ["deep" | "wide" | "heavy" | "hot" | "cold" | "good" | "bad" | "likely" | "strong" | "hard", ..] => {
            Some("how much so")
        }
        // "How does it work" asks what it is.
        _ if rest.iter().any(|word| matches!(*word, "work" | "works" | "differ" | "differs")) => None,
        _ => Some("how"),
    }
}

/// What is measured by a noun that stands for it: "what is the height of".
fn measured(noun: &str) -> Option<&'static str> {
    match noun {
        "height" => Some("how tall"),
        "age" => Some("how old"),
        "distance" => Some("how far"),
        "duration" => Some("how long"),
        "number" => Some("how many"),
        "frequency" => Some("how often"),
        _ => None,
    }
}

/// The time that a clause speaks of, unless that is the present or unknown.
fn time(words: &[&str]) -> Option<&'static str> {
    let any = |listed: &[&str]| words.iter().any(|word| listed.contains(word));
    if any(&["will", "won't", "shall"]) {
        return Some("to come");
    }
    if any(&["was", "were", "did", "wasn't", "weren't", "didn't", "had"]) {
        return Some("past");
    }
    let asks_subject = words.first().is_some_and(|word| matches!(*word, "who" | "what" | "which"));
    let without_auxiliary = !words.iter().any(|word| lexicon::is_auxiliary(word));
    let past_form = words.iter().skip(1).any(|word| word.len() > 4 && word.ends_with("ed"));
    (asks_subject && without_auxiliary && past_form).then_some("past")
}
