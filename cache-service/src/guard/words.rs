//! Splits a text into words, quoted strings and telling symbols.

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// A run of letters, digits and what stands inside words.
    Plain {
        /// As written, without punctuation around it.
        text: &'a str,
        /// Whether a capital letter here may be due to the place alone.
        starts_sentence: bool,
    },
    /// What stands between quotation marks or back-ticks.
    Quoted(&'a str),
    /// A sign that changes the meaning on its own: currency, percent, comparison, arithmetic, emoji.
    Symbol(char),
    /// The end of a phrase.
    Break,
}

/// The pieces of `text` in order.
pub(super) fn split(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = text;
    let mut starts_sentence = true;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if let Some((quoted, behind)) = quotation(c, before, after) {
            words.push(Word::Quoted(quoted));
            (rest, starts_sentence, before) = (behind, false, c);
        } else if c.is_alphanumeric() || (c == '_' || c == '/' || c == '.') && starts_word(after, before) {
            let (word, behind) = take_word(rest);
            words.push(Word::Plain { text: word, starts_sentence });
            (rest, starts_sentence, before) = (behind, false, 'x');
        } else {
            if is_symbol(c, before, after) {
                words.push(Word::Symbol(c));
            } else if ends_phrase(c) {
                words.push(Word::Break);
            }
            starts_sentence |= matches!(c, '.' | '!' | '?' | ':' | '\n' | '•');
            (rest, before) = (after, c);
        }
    }
    words
}

/// A path or dotted name like `/etc/hosts` or `.env`: the mark belongs to the word behind it.
fn starts_word(after: &str, before: char) -> bool {
    before.is_whitespace() && after.chars().next().is_some_and(char::is_alphanumeric)
}

/// The quotation that the mark `open` begins, and what is behind it.
fn quotation(open: char, before: char, after: &str) -> Option<(&str, &str)> {
    let close: &[char] = match open {
        '"' => &['"'],
        '`' => &['`'],
        '“' | '„' => &['”', '“'],
        '«' => &['»'],
        '‘' => &['’'],
        // An apostrophe inside a word is none.
        '\'' if !before.is_alphanumeric() => &['\''],
        _ => return None,
    };
    let mut from = 0;
    loop {
        let at = from + after[from..].find(close)?;
        let mark = after[at..].chars().next()?;
        let behind = &after[at + mark.len_utf8()..];
        let apostrophe = matches!(mark, '\'' | '’') && behind.starts_with(char::is_alphanumeric);
        if !apostrophe {
            return Some((after[..at].trim(), behind));
        }
        from = at + mark.len_utf8();
    }
}

/// The word that `text` starts with, and the rest. Marks inside a word belong to it, those at its end do not.
fn take_word(text: &str) -> (&str, &str) {
    let inside = |c: char| {
        c.is_alphanumeric() || matches!(c, '_' | '\'' | '’' | '/' | '\\' | '.' | '@' | ':' | ',' | '&')
    };
    let end = text.find(|c: char| !inside(c)).unwrap_or(text.len());
    let run = &text[..end];
    // "yes,no" are two words, "1,000" is one; "and/or" stays one.
    let comma = run.match_indices(',').find(|(at, _)| {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        !(digit(run[..*at].chars().next_back()) && digit(run[at + 1..].chars().next()))
    });
    let run = comma.map_or(run, |(at, _)| &run[..at]);
    let word = run.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_');
    let mut end = word.len().max(text.chars().next().map_or(0, char::len_utf8));
    // C++, C#, F#: the signs are the name.
    if end <= 2 {
        end += text[end..].find(|c| !matches!(c, '+' | '#')).unwrap_or(text.len() - end);
    }
    text.split_at(end)
}

/// Whether a mark outside words says something: `-5`, `50%`, `a > b`, `€`, an emoji; a hyphen does not.
fn is_symbol(c: char, before: char, after: &str) -> bool {
    match c {
        '-' | '−' => !before.is_alphanumeric() && after.starts_with(|c: char| c.is_ascii_digit()),
        '%' | '$' | '€' | '£' | '¥' | '<' | '>' | '=' | '+' | '*' | '^' | '~' | '|' | '≤' | '≥' | '≠'
        | '×' | '÷' => true,
        _ => !c.is_ascii() && !c.is_whitespace() && !is_punctuation(c),
    }
}

fn ends_phrase(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | '('
            | ')'
            | '\n'
            | '•'
            | '–'
            | '—'
            | '¿'
            | '¡'
            | '。'
            | '？'
            | '！'
            | '，'
            | '、'
    )
}

fn is_punctuation(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205E}' | '¿' | '¡' | '·' | '»' | '«' | '\u{FE0F}' | '、' | '。' | '？' | '！' | '，')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let words: Vec<String> = split(text)
            .iter()
            .filter_map(|word| match word {
                Word::Plain { text, starts_sentence: true } => Some(format!("^{text}")),
                Word::Plain { text, .. } => Some((*text).to_owned()),
                Word::Quoted(text) => Some(format!("\"{text}\"")),
                Word::Symbol(c) => Some(format!("[{c}]")),
                Word::Break => None,
            })
            .collect();
        assert_eq!(words, expected, "{text}");
    }

    #[test]
    fn words_end_before_punctuation_and_sentences_start_behind_it() {
        check("Hello, world! What now?", &["^Hello", "world", "^What", "now"]);
        check("e.g. this", &["^e.g", "^this"]);
        check("", &[]);
        check(" ... ", &[]);
    }

    #[test]
    fn phrases_end_at_punctuation() {
        let ends = |text: &str| split(text).iter().filter(|word| matches!(word, Word::Break)).count();
        assert_eq!(ends("In Python, how do I sort (a list)?"), 4);
        assert_eq!(ends("1,000 well-known names at a@b.org"), 0);
    }

    #[test]
    fn numbers_keep_their_separators() {
        check("pay 1,000.50 by 3/4", &["^pay", "1,000.50", "by", "3/4"]);
        check("1,2 and a,b", &["^1,2", "and", "a", "b"]);
    }

    #[test]
    fn quotations_are_one_piece_and_apostrophes_are_none() {
        check(r#"say "good bye" now"#, &["^say", "\"good bye\"", "now"]);
        check("don't 'stop it' 'it's ok'", &["^don't", "\"stop it\"", "\"it's ok\""]);
        check("run `ls -l`", &["^run", "\"ls -l\""]);
        check("an open \"quote", &["^an", "open", "quote"]);
    }

    #[test]
    fn paths_names_and_signs_stay_whole() {
        check("see /etc/hosts or a@b.org", &["^see", "/etc/hosts", "or", "a@b.org"]);
        check("C++ or C#?", &["^C++", "or", "C#"]);
        check("-5 is 50% of x-ray > y", &["[-]", "^5", "is", "50", "[%]", "of", "x", "ray", "[>]", "y"]);
        check("nice 👍", &["^nice", "[👍]"]);
    }
}
