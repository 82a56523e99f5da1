//! Who does what to whom: the same words in another order are another question.
//!
//! An embedding hardly sees order: "from London to Paris" and "from Paris to London" have a similarity of 0.99.
//! So a word whose place decides what it means is bound to what stands beside it: the object of a directed
//! preposition, the subject of a question, the thing that is counted, the number of a unit. Words are bound
//! one by one, never a whole sentence, so that the rest of a question may be put in another way.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::lexicon;
use super::tokens::{Token, content_after, phrase_after, singular};

/// Prepositions whose two sides cannot change places. Those on one line mean the same.
const DIRECTED: &str = "
from
to into onto toward towards
than
per
by
of
before
after
until till
since
over above
under below beneath
behind
inside within
against
without
instead
minus
then
like
";

/// Verbs after which the prepositions of [`UNDIRECTED`] are directed: "replace tabs with spaces".
const EXCHANGES: &str = "
replace replacing substitute substituting exchange exchanging swap swapping trade trading mistake confuse put
putting place placing lay set stack pour embed embedding nest wrap use reply
compare comparing
";
const UNDIRECTED: [&str; 6] = ["with", "for", "in", "on", "at", "about"];

/// Directed prepositions of other languages, which bind the one word that follows.
const FOREIGN: [&str; 15] = [
    "von", "nach", "aus", "zum", "zur", "vom", "de", "desde", "hasta", "hacia", "da", "vers", "para", "vor",
    "unter",
];

/// What stands before `of` here cannot change places with what stands behind it: "the capital of France".
const ATTRIBUTES: &str = "
capital city country population ingredient area price cost fee value number amount rate level age height width length depth size weight
distance speed duration temperature name title author writer inventor painter founder owner president point symptom
cause effect consequence benefit advantage disadvantage pros cons strength weakness risk sign side meaning
definition purpose goal role function use example kind type list summary overview plot theme rest most all some
part history origin result reason date year time day month version color colour right out instead number end start
beginning top bottom cup glass bottle piece
";

/// Before `to` these announce a verb: "the way to reset", "safe to eat".
const BEFORE_INFINITIVES: &str = "
how what where when which whether way ways steps step need needs needed want wants like able unable possible
impossible trying try tries have has had ought used going easy easier easiest hard harder hardest difficult safe
legal illegal allowed forbidden order ability permission tips method plan required supposed rules
";

const BE: [&str; 9] = ["is", "are", "am", "was", "were", "isn't", "aren't", "wasn't", "weren't"];

/// Clauses with a subject of their own begin with these.
const CONJUNCTIONS: [&str; 10] =
    ["how", "why", "when", "where", "whether", "if", "because", "while", "unless", "that"];

/// Verbs without an object: their subject has nobody to change places with.
const WITHOUT_OBJECT: [&str; 16] = [
    "work", "works", "mean", "means", "cost", "costs", "differ", "differs", "happen", "happens", "open",
    "opens", "exist", "exists", "arrive", "arrived",
];

/// Meanings that a number goes with.
const UNITS: &str = "
kilometer mile meter centimeter millimeter inch foot yard kilogram gram pound ounce liter gallon celsius
fahrenheit kelvin dollar euro yen rupee sterling yuan percent byte kilobyte megabyte gigabyte terabyte dozen
daily weekly monthly quarterly yearly hour minute second
";

static EXCHANGE_VERBS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| words(EXCHANGES));
static INFINITIVE_SIGNS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| words(BEFORE_INFINITIVES));
static ATTRIBUTE: LazyLock<HashSet<&'static str>> = LazyLock::new(|| words(ATTRIBUTES));
static UNIT: LazyLock<HashSet<&'static str>> = LazyLock::new(|| words(UNITS));

fn words(list: &'static str) -> HashSet<&'static str> {
    list.split_whitespace().collect()
}

/// The bound words of a text, each as `role>word`.
pub(super) fn bound(tokens: &[Token<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        found.extend(object(tokens, at));
        found.extend(subject(tokens, at));
        found.extend(counted(tokens, at));
    }
    found.extend(numbers(tokens));
    found.extend(modifiers(tokens));
    found
}

/// The object of a directed preposition.
fn object(tokens: &[Token<'_>], at: usize) -> Option<String> {
    let word = tokens[at].word()?;
    if FOREIGN.contains(&word) {
        return Some(format!("{word}>{}", content_after(tokens, at)?));
    }
    if let Some(owner) = tokens[at].owner() {
        let owned = content_after(tokens, at);
        return (!owned.is_some_and(|word| ATTRIBUTE.contains(word))).then(|| format!("of>{owner}"));
    }
    let role = directed(word).or_else(|| exchanged(tokens, at, word))?;
    let before = at.checked_sub(1).and_then(|at| tokens[at].word());
    let is_plain = match role {
        "to" => is_infinitive(word, before, tokens.get(at + 1).and_then(Token::word)),
        "of" => before.is_some_and(|word| ATTRIBUTE.contains(word) || ATTRIBUTE.contains(&*singular(word))),
        "like" => before.is_some_and(|word| matches!(word, "would" | "i'd" | "i" | "you")),
        _ => false,
    };
    // "By name, then by date": what comes then stands behind a preposition of its own.
    let phrase = if role == "then" {
        content_after(tokens, at).into_iter().collect()
    } else {
        phrase_after(tokens, at)
    };
    (!is_plain && !phrase.is_empty()).then(|| format!("{role}>{}", phrase.join(" ")))
}

fn directed(word: &str) -> Option<&'static str> {
    let line = DIRECTED.lines().find(|line| line.split(' ').any(|listed| listed == word))?;
    line.split(' ').next()
}

fn exchanged(tokens: &[Token<'_>], at: usize, word: &str) -> Option<&'static str> {
    let role = UNDIRECTED.into_iter().find(|listed| *listed == word)?;
    let clause = tokens[..at].iter().rev().map_while(Token::word);
    clause.into_iter().any(|word| EXCHANGE_VERBS.contains(word)).then_some(role)
}

fn is_infinitive(word: &str, before: Option<&str>, after: Option<&str>) -> bool {
    word == "to"
        && (before.is_some_and(|word| INFINITIVE_SIGNS.contains(word)) || after.is_some_and(lexicon::is_verb))
}

/// The first word of a subject that has something to change places with: "do *spiders* eat birds".
fn subject(tokens: &[Token<'_>], at: usize) -> Option<String> {
    let word = tokens[at].word()?;
    let clause = clause_before(tokens, at);
    let first = clause.first().copied();
    let asked = clause.iter().any(|word| lexicon::is_question_word(word));
    let opens = if BE.contains(&word) {
        matches!(clause[..], [] | ["how" | "why" | "when" | "where"])
            || matches!(clause[..], ["how", measure, ..] if !matches!(measure, "many" | "much"))
    } else if lexicon::is_auxiliary(word) {
        first.is_none() || asked
    } else if matches!(word, "which" | "what") {
        // "Which banks own companies" has its subject here; "which city is it" has none to confuse.
        !clause_after(tokens, at).any(|word| lexicon::is_auxiliary(word) || lexicon::is_person(word))
    } else {
        CONJUNCTIONS.contains(&word)
    };
    let next = tokens.get(at + 1)?.word()?;
    // "A query that counts": what follows does something, and is nobody who does.
    let acts = word == "that" && lexicon::is_verb(&singular(next));
    if !opens || acts {
        return None;
    }
    let is_order = first.is_none() && lexicon::is_order(word, next);
    if is_order || lexicon::is_pronoun(next) || lexicon::is_auxiliary(next) || lexicon::is_measure(next) {
        return None;
    }
    let subject = content_after(tokens, at)?;
    let rest = tokens[at + 1..].iter().map_while(|token| Some((token, token.word()?)));
    let others = rest.filter(|(token, word)| {
        token.content().is_some_and(|content| content != subject) && !WITHOUT_OBJECT.contains(word)
    });
    (others.count() > 0).then(|| format!("subject>{subject}"))
}

fn clause_after<'a>(tokens: &'a [Token<'_>], at: usize) -> impl Iterator<Item = &'a str> {
    tokens[at + 1..].iter().map_while(Token::word)
}

/// The words of the clause before a place, in order.
fn clause_before<'a>(tokens: &'a [Token<'_>], at: usize) -> Vec<&'a str> {
    let mut words: Vec<&str> = tokens[..at].iter().rev().map_while(Token::word).collect();
    words.reverse();
    words
}

/// What is counted: "how many *feet* are in a mile".
fn counted(tokens: &[Token<'_>], at: usize) -> Option<String> {
    (tokens[at].word()? == "many")
        .then(|| content_after(tokens, at))
        .flatten()
        .map(|what| format!("many>{what}"))
}

/// A number and what follows it, where another number or a unit could take its place.
fn numbers(tokens: &[Token<'_>]) -> Vec<String> {
    let numbers: Vec<usize> = (0..tokens.len()).filter(|at| tokens[*at].is_number()).collect();
    let several = numbers.len() > 1;
    let bound = numbers.into_iter().filter_map(|at| {
        let next = content_after(tokens, at)?;
        // "2 cups of flour": the measure alone says too little.
        let measured = tokens.get(at + 2).is_some_and(|token| token.word() == Some("of"));
        let of = if measured { content_after(tokens, at + 2).unwrap_or_default() } else { "" };
        let number = tokens[at].content()?;
        (several || UNIT.contains(next)).then(|| format!("{number}>{next} {of}"))
    });
    bound.collect()
}

/// A word with an opposite and what it is said of, where it could be said of something else too.
fn modifiers(tokens: &[Token<'_>]) -> Vec<String> {
    let places: Vec<usize> = (0..tokens.len()).filter(|at| tokens[*at].meaning().is_some()).collect();
    let meanings: HashSet<_> = places.iter().filter_map(|at| tokens[*at].meaning()).collect();
    let joins = tokens.iter().filter_map(Token::word).any(|word| matches!(word, "and" | "but" | "or"));
    if meanings.len() < 2 && !joins {
        return Vec::new();
    }
    let bound = places.into_iter().filter_map(|at| {
        let (meaning, next) = (tokens[at].meaning()?, content_after(tokens, at)?);
        Some(format!("{meaning}>{next}"))
    });
    bound.collect()
}
