//! The pre-tokenisers: where a text is always cut before its pieces are encoded.
//!
//! Each function is the reference's pattern written out as a scan that never goes back further than the
//! piece it is in, so a text of any shape takes linear time and no stack. The tests hold them against the
//! reference's regular expressions.

use crate::classes::{Classes, EITHER, LETTER, LOWER, NEWLINE, NUMBER, OTHER, SPACE, UPPER};

/// Which pattern cuts the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `r50k_base` and `p50k_base`.
    R50k,
    /// `cl100k_base`.
    Cl100k,
    /// `o200k_base`.
    O200k,
}

/// The end of the piece that starts at `at`, which must be a character's start before the text's end.
/// A piece is never empty.
#[inline]
pub(crate) fn piece_end(pattern: Pattern, classes: &Classes, text: &str, at: usize) -> usize {
    match pattern {
        Pattern::R50k => r50k(classes, text, at),
        Pattern::Cl100k => cl100k(classes, text, at),
        Pattern::O200k => o200k(classes, text, at),
    }
}

/// `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+$|\s+(?!\S)|\s`
fn r50k(classes: &Classes, text: &str, at: usize) -> usize {
    let contraction = contraction(text, at, false);
    if contraction > 0 {
        return at + contraction;
    }
    let (first, len) = classes.at(text, at);
    let start = if text.as_bytes()[at] == b' ' { at + len } else { at };
    let class = if start == at { first } else { classes.at(text, start).0 };
    for kind in [LETTER, NUMBER, OTHER] {
        if class & kind != 0 {
            return classes.run(text, start, kind);
        }
    }
    white_space(classes, text, at, Newlines::AsSpace)
}

/// `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+$|\s*[\r\n]|\s+(?!\S)|\s`
fn cl100k(classes: &Classes, text: &str, at: usize) -> usize {
    let contraction = contraction(text, at, true);
    if contraction > 0 {
        return at + contraction;
    }
    let (class, len) = classes.at(text, at);
    let letters = if class & (LETTER | NUMBER | NEWLINE) == 0 { at + len } else { at };
    if classes.at(text, letters).0 & LETTER != 0 {
        return classes.run(text, letters, LETTER);
    }
    if class & NUMBER != 0 {
        return numbers(classes, text, at);
    }
    if let Some(end) = signs(classes, text, at) {
        return classes.run(text, end, NEWLINE);
    }
    white_space(classes, text, at, Newlines::UnlessLast)
}

/// The two patterns for words of `o200k_base`, then
/// `\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
fn o200k(classes: &Classes, text: &str, at: usize) -> usize {
    if let Some(end) = word(classes, text, at) {
        return end + contraction(text, end, true);
    }
    if classes.at(text, at).0 & NUMBER != 0 {
        return numbers(classes, text, at);
    }
    if let Some(end) = signs(classes, text, at) {
        let tail = text.as_bytes()[end..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | b'/'));
        return end + tail.count();
    }
    white_space(classes, text, at, Newlines::First)
}

/// A word, without a contraction behind it: one optional character before it, then
/// `HEAD*TAIL+` or else `HEAD+TAIL*`, where `HEAD` is [`UPPER`] or [`EITHER`] and `TAIL` is [`LOWER`] or [`EITHER`].
fn word(classes: &Classes, text: &str, at: usize) -> Option<usize> {
    let (class, len) = classes.at(text, at);
    let start = if class & (LETTER | NUMBER | NEWLINE) == 0 { at + len } else { at };
    // Greedy `HEAD*`, remembering where it could give way to a tail.
    let (mut head_end, mut tail_of_head) = (start, None);
    loop {
        let (class, len) = classes.at(text, head_end);
        if class & (UPPER | EITHER) == 0 {
            break;
        }
        head_end += len;
        if class & EITHER != 0 {
            tail_of_head = Some(head_end);
        }
    }
    if classes.at(text, head_end).0 & LOWER != 0 {
        return Some(classes.run(text, head_end, LOWER | EITHER));
    }
    if tail_of_head.is_some() {
        return tail_of_head;
    }
    if class & EITHER != 0 {
        // A mark that found no word behind it is one itself.
        return Some(at + len);
    }
    (head_end > start).then_some(head_end)
}

/// `\p{N}{1,3}`
fn numbers(classes: &Classes, text: &str, mut at: usize) -> usize {
    for _ in 0..3 {
        let (class, len) = classes.at(text, at);
        if class & NUMBER == 0 {
            break;
        }
        at += len;
    }
    at
}

/// ` ?[^\s\p{L}\p{N}]+`
fn signs(classes: &Classes, text: &str, at: usize) -> Option<usize> {
    let start = if text.as_bytes()[at] == b' ' { at + 1 } else { at };
    let end = classes.run(text, start, OTHER);
    (end > start).then_some(end)
}

/// What a line's end does to the white space around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Newlines {
    /// Nothing.
    AsSpace,
    /// The piece ends behind the last one, unless the text ends with this white space.
    UnlessLast,
    /// The piece ends behind the last one.
    First,
}

/// White space: up to the last line's end, else all but the last character, which goes with what follows.
fn white_space(classes: &Classes, text: &str, at: usize, newlines: Newlines) -> usize {
    let (mut end, mut last, mut line) = (at, at, None);
    loop {
        let (class, len) = classes.at(text, end);
        if class & SPACE == 0 {
            break;
        }
        last = end;
        end += len;
        if class & NEWLINE != 0 {
            line = Some(end);
        }
    }
    let at_text_end = end == text.len();
    match (newlines, line) {
        (Newlines::First, Some(line)) => line,
        (Newlines::UnlessLast, Some(line)) if !at_text_end => line,
        _ if at_text_end || last == at => end,
        _ => last,
    }
}

/// Length of `'s`, `'t`, `'d`, `'m`, `'ll`, `'ve` or `'re` at `at`, or 0. Folding case takes the long s too.
fn contraction(text: &str, at: usize, fold: bool) -> usize {
    let rest = &text.as_bytes()[at..];
    if rest.first() != Some(&b'\'') {
        return 0;
    }
    let lower = |index: usize| {
        let byte = rest.get(index).copied().unwrap_or(0);
        if fold { byte.to_ascii_lowercase() } else { byte }
    };
    match (lower(1), lower(2)) {
        (b's' | b't' | b'd' | b'm', _) => 2,
        (b'l', b'l') | (b'v' | b'r', b'e') => 3,
        _ if fold && rest[1..].starts_with("\u{17f}".as_bytes()) => 3,
        _ => 0,
    }
}
