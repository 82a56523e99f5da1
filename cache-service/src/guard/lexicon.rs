//! Words that change a question when they are exchanged, and capitals that say nothing.
//!
//! Small on purpose and extended by evidence: a word belongs here when a test shows two questions that
//! differ in it alone, score high and need different answers.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// One meaning a line: the words on it count as the same particular. Base forms only; see [`bases`].
/// Of two opposites the everyday one may be missing: `disable` alone tells "enable" and "disable" apart, and
/// lets "turn on" pass for "enable".
const MEANINGS: &str = include_str!("lexicon/meanings.txt");

/// Number words and the digits they equal, in pairs.
const NUMBERS: &str = "
zero 0 one 1 two 2 three 3 four 4 five 5 six 6 seven 7 eight 8 nine 9 ten 10 eleven 11 twelve 12 thirteen 13
fourteen 14 fifteen 15 sixteen 16 seventeen 17 eighteen 18 nineteen 19 twenty 20 thirty 30 forty 40 fifty 50
sixty 60 seventy 70 eighty 80 ninety 90
";

/// Names that are often written without their capital: countries, languages, programming languages.
const NAMES: &str = include_str!("lexicon/names.txt");

/// Words whose capital at the start of a sentence says nothing.
const OPENERS: &str = "
what which who whom whose when where why how is are am was were do does did can could would should shall will
may might must have has had please tell explain describe define give show list write draft compose generate
make create build find search help need want let compare summarize summarise translate convert calculate
compute solve fix debug review check test run use try add remove delete update set get change edit improve
rewrite rephrase shorten expand answer ask say read open close send buy sell plan suggest recommend provide
identify name mention outline discuss analyze analyse evaluate estimate design implement configure install
enable disable activate deactivate increase decrease reset restore start stop turn switch add connect
disconnect hi hello hey dear thanks thank good morning afternoon evening yes no ok okay sure not never
the a an this that these those there here it its my your our their his her some any all each every many much
in on at by for from to with without about after before during between into over under of as and or but if
because since while although however also then so just only could i'd recipe recipes steps step
user assistant question answer
";

/// Words that may be written with a capital anywhere.
const EVERYDAY: &str = "
i i'm i've i'd i'll i’m i’ve i’d i’ll a an the and or of in on at to for is are am be it my me you your we our
please help thanks thank ok okay hi hello dear what how why when where who can could would should do does did
asap fyi faq
";

/// Verbs in their base form: after `to` one of them makes no direction.
const VERBS: &str = include_str!("lexicon/verbs.txt");

/// Words that hold others together, by their place at the beginning of a phrase.
const LEADING: &str = "
a an the my your our his her its their this that these those some any each every all both another
i you we he she it they one's
";
const FUNCTION: &str = "
me him them us who whom whose what which when where why how whether if because while unless although though since
until before after from to into onto toward towards than per by of over above under below beneath behind inside
within against without instead with for in on at about like as and or but nor so then also just too very really
please is are am was were be been being do does did can could will would shall should must may might has have had
there here not no yes there's that's it's what's who's where's how's when's here's let's i'm i'd i've i'll you're
you've we're we've they're don't doesn't didn't can't cannot couldn't won't wouldn't shouldn't mustn't hasn't
haven't hadn't isn't aren't wasn't weren't much many long often far now exactly actually currently quickly easily
";
const AUXILIARIES: &str = "
do does did can could will would shall should must may might has have had is are am was were don't doesn't didn't
can't cannot couldn't won't wouldn't shouldn't mustn't hasn't haven't hadn't isn't aren't wasn't weren't
";

static CLOSED: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    let mut words = HashMap::new();
    for name in NAMES.split_whitespace() {
        words.insert(name, format!("~{name}"));
    }
    for line in MEANINGS.lines() {
        let mut line = line.split_whitespace();
        let Some(meaning) = line.next() else { continue };
        for word in std::iter::once(meaning).chain(line) {
            words.entry(word).or_insert_with(|| meaning.to_owned());
        }
    }
    let mut numbers = NUMBERS.split_whitespace();
    while let (Some(word), Some(digits)) = (numbers.next(), numbers.next()) {
        words.insert(word, format!("#{digits}"));
    }
    words
});
static OPENING: LazyLock<HashSet<&'static str>> = LazyLock::new(|| OPENERS.split_whitespace().collect());
static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| EVERYDAY.split_whitespace().collect());

static VERB: LazyLock<HashSet<&'static str>> = LazyLock::new(|| VERBS.split_whitespace().collect());
static LEADS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| LEADING.split_whitespace().collect());
static HOLDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| FUNCTION.split_whitespace().collect());
static AUXILIARY: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| AUXILIARIES.split_whitespace().collect());

/// Whether a word is the base form of a verb.
pub(super) fn is_verb(lower: &str) -> bool {
    VERB.contains(lower)
}

/// Whether a word stands before what it belongs to: an article, a possessive, a pronoun.
pub(super) fn leads_phrase(lower: &str) -> bool {
    LEADS.contains(lower)
}

/// Whether a word only holds others together.
pub(super) fn is_function_word(lower: &str) -> bool {
    LEADS.contains(lower) || HOLDS.contains(lower)
}

/// Whether a word helps a verb.
pub(super) fn is_auxiliary(lower: &str) -> bool {
    AUXILIARY.contains(lower)
}

/// Whether two words begin an order: "don't touch", "do not touch".
pub(super) fn is_order(first: &str, second: &str) -> bool {
    first == "don't" && !is_pronoun(second) || (first, second) == ("do", "not")
}

/// Whether a word stands for somebody or something that is not named.
pub(super) fn is_pronoun(lower: &str) -> bool {
    matches!(
        lower,
        "i" | "you"
            | "we"
            | "he"
            | "she"
            | "it"
            | "they"
            | "this"
            | "that"
            | "there"
            | "one"
            | "someone"
            | "somebody"
            | "anyone"
            | "anybody"
            | "people"
            | "to"
    )
}

/// Whether a word behind `how` makes it ask for a measure.
pub(super) fn is_measure(lower: &str) -> bool {
    matches!(
        lower,
        "many"
            | "much"
            | "long"
            | "far"
            | "old"
            | "tall"
            | "high"
            | "big"
            | "large"
            | "often"
            | "fast"
            | "come"
            | "deep"
            | "wide"
            | "heavy"
            | "hot"
            | "cold"
            | "good"
            | "bad"
            | "likely"
            | "strong"
            | "hard"
    )
}

/// Whether `which` with this noun asks who.
pub(super) fn is_person(noun: &str) -> bool {
    matches!(noun, "person" | "author" | "writer" | "inventor" | "artist" | "painter" | "scientist")
}

/// Whether a word asks.
pub(super) fn is_question_word(lower: &str) -> bool {
    matches!(
        lower,
        "when"
            | "where"
            | "why"
            | "who"
            | "whom"
            | "whose"
            | "how"
            | "what"
            | "which"
            | "what's"
            | "who's"
            | "where's"
            | "when's"
            | "how's"
            | "why's"
    )
}

/// What a word of a closed class means, for any of its forms; `lower` is in lower case.
pub(super) fn closed_class(lower: &str) -> Option<&'static str> {
    let word = lower.strip_suffix("'s").or_else(|| lower.strip_suffix("’s")).unwrap_or(lower);
    bases(word).into_iter().find_map(|base| CLOSED.get(base.as_str())).map(String::as_str)
}

/// The negation in `don't`, `can't`, `won’t`.
pub(super) fn contraction(lower: &str) -> Option<&'static str> {
    (lower.ends_with("n't") || lower.ends_with("n’t")).then_some("not")
}

/// A word that denies what the rest of it says: `unmount`, `nonlinear`, `disagree`, `harmless`.
pub(super) fn denial(lower: &str) -> Option<String> {
    const NO_DENIALS: [&str; 14] = [
        "under",
        "uni",
        "until",
        "unless",
        "uncle",
        "none",
        "nons",
        "regardless",
        "nevertheless",
        "nonetheless",
        "wireless",
        "bless",
        "irrit",
        "irrig",
    ];
    const DIS: [&str; 9] =
        ["connect", "continu", "agree", "allow", "honest", "obey", "assembl", "appear", "satisf"];
    if NO_DENIALS.iter().any(|word| lower.starts_with(word)) || lower.len() < 5 {
        return None;
    }
    let denies = lower.starts_with("un")
        || lower.starts_with("non")
        || lower.starts_with("irr")
        || lower.ends_with("less")
        || lower.strip_prefix("dis").is_some_and(|rest| DIS.iter().any(|stem| rest.starts_with(stem)));
    denies.then(|| {
        ["ing", "ed", "s"].iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(lower).to_owned()
    })
}

/// Whether a capital at the start of a sentence says nothing for this word.
pub(super) fn opens_sentences(lower: &str) -> bool {
    OPENING.contains(lower) || lower.contains(['\'', '’'])
}

/// Whether a capital says nothing anywhere.
pub(super) fn is_everyday(lower: &str) -> bool {
    COMMON.contains(lower)
}

/// Possible base forms of an English word, likeliest first; not all of them are words.
fn bases(word: &str) -> Vec<String> {
    let mut out = vec![word.to_owned()];
    for (ending, instead) in [
        ("ies", "y"),
        ("ied", "y"),
        ("es", ""),
        ("s", ""),
        ("ed", ""),
        ("ed", "e"),
        ("ing", ""),
        ("ing", "e"),
        ("er", "e"),
        ("er", ""),
        ("est", ""),
        ("est", "e"),
        ("ier", "y"),
        ("iest", "y"),
        ("ly", ""),
    ] {
        let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() >= 2) else { continue };
        out.push(format!("{stem}{instead}"));
        let mut letters = stem.chars().rev();
        // stopped, stopping: the doubled consonant goes too.
        if let (Some(one), Some(two)) = (letters.next(), letters.next())
            && one == two
            && one.is_ascii_alphabetic()
        {
            out.push(stem[..stem.len() - 1].to_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_word_means_the_same() {
        for (word, meaning) in [
            ("disable", Some("disable")),
            ("disabled", Some("disable")),
            ("disabling", Some("disable")),
            ("disables", Some("disable")),
            ("stopped", Some("stop")),
            ("stopping", Some("stop")),
            ("miles", Some("mile")),
            ("countries", None),
            ("france's", Some("~france")),
            ("seven", Some("#7")),
            ("table", None),
        ] {
            assert_eq!(closed_class(word), meaning, "{word}");
        }
    }

    #[test]
    fn contractions_negate() {
        assert_eq!(contraction("won't"), Some("not"));
        assert_eq!(contraction("can’t"), Some("not"));
        assert_eq!(contraction("want"), None);
    }
}
