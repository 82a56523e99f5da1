//! The words of a text as roles and questions look at them: normalised, with the ends of phrases between them.

use super::lexicon;
use super::words::Word;

/// A word, or the end of a phrase.
#[derive(Debug)]
pub(super) enum Token<'a> {
    Word {
        lower: String,
        /// Normalised; `None` for a word that only holds others together.
        content: Option<String>,
    },
    Quoted {
        content: String,
        text: &'a str,
    },
    Break,
}

impl<'a> Token<'a> {
    pub(super) fn all(words: &[Word<'a>]) -> Vec<Self> {
        words.iter().filter_map(Self::of).collect()
    }

    fn of(word: &Word<'a>) -> Option<Self> {
        match word {
            Word::Plain { text, .. } => {
                let lower = text.to_lowercase().replace('’', "'");
                let content = (!lexicon::is_function_word(&lower)).then(|| normal(&lower));
                Some(Self::Word { lower, content })
            }
            Word::Quoted(text) => Some(Self::Quoted { content: format!("\"{text}"), text }),
            Word::Break => Some(Self::Break),
            Word::Symbol(_) => None,
        }
    }

    /// In lower case, as written otherwise; `None` at the end of a phrase.
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word { lower, .. } => Some(lower),
            Self::Quoted { text, .. } => Some(text),
            Self::Break => None,
        }
    }

    pub(super) fn content(&self) -> Option<&str> {
        match self {
            Self::Word { content, .. } => content.as_deref(),
            Self::Quoted { content, .. } => Some(content),
            Self::Break => None,
        }
    }

    /// The word before `'s`, unless that is short for `is`.
    pub(super) fn owner(&self) -> Option<&str> {
        match self {
            Self::Word { lower, content } if lower.ends_with("'s") => content.as_deref(),
            _ => None,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        self.content().is_some_and(|content| content.starts_with('#'))
    }

    /// What a word with an opposite means.
    pub(super) fn meaning(&self) -> Option<&'static str> {
        let Self::Word { lower, .. } = self else { return None };
        let meaning = lexicon::closed_class(lower).or_else(|| lexicon::contraction(lower))?;
        (!meaning.starts_with(['~', '#'])).then_some(meaning)
    }
}

/// The first word of content behind a place, within its phrase.
pub(super) fn content_after<'a>(tokens: &'a [Token<'_>], at: usize) -> Option<&'a str> {
    let rest = tokens.get(at + 1..)?.iter();
    rest.take_while(|token| token.word().is_some()).find_map(Token::content)
}

/// The words of content that follow a place, up to one that holds words together.
pub(super) fn phrase_after<'a>(tokens: &'a [Token<'_>], at: usize) -> Vec<&'a str> {
    let leads = |token: &&Token<'_>| token.word().is_some_and(lexicon::leads_phrase);
    let rest = tokens.get(at + 1..).unwrap_or_default().iter();
    rest.skip_while(leads).map_while(Token::content).collect()
}

/// One spelling for all forms of a word.
fn normal(lower: &str) -> String {
    if let Some(meaning) = lexicon::closed_class(lower) {
        return meaning.to_owned();
    }
    let word = lower.strip_suffix("'s").unwrap_or(lower);
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        return super::number(word);
    }
    singular(word)
}

/// Good enough to make both numbers of a noun equal; not always a word.
pub(super) fn singular(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 2) {
        return format!("{stem}y");
    }
    let hissing = ["ches", "shes", "sses", "xes", "zes", "oes"];
    if hissing.iter().any(|ending| word.ends_with(ending)) {
        return word[..word.len() - 2].to_owned();
    }
    let plural = word.len() > 3 && word.ends_with('s') && !word.ends_with("ss");
    if plural { word[..word.len() - 1].to_owned() } else { word.to_owned() }
}
