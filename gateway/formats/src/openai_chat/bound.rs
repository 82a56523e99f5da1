//! The bound of the answer in the word that the model knows, in a body that else passes as it came.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_families::OutputWord;

use crate::view::{View, as_written, member, name_before, range_in, spliced};

const OLDER: &str = "max_tokens";
const NEWER: &str = "max_completion_tokens";

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default, deserialize_with = "as_written")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    max_completion_tokens: Option<&'a RawValue>,
}

/// The word that the model does not know, and the one that it does; `None` if it knows both.
const fn words(word: OutputWord) -> Option<(&'static str, &'static str)> {
    match word {
        OutputWord::MaxTokens => Some((NEWER, OLDER)),
        OutputWord::MaxCompletionTokens => Some((OLDER, NEWER)),
        OutputWord::Either => None,
    }
}

/// Whether a request has the bound in a word that the model does not know.
#[must_use]
pub fn is_foreign(view: &View<'_>, word: OutputWord) -> bool {
    words(word).is_some_and(|(foreign, _)| view.field(foreign).is_some())
}

/// The body with the bound in the model's word.
#[must_use]
pub fn worded(body: &Bytes, word: OutputWord) -> Bytes {
    let changed = || {
        let (foreign, own) = words(word)?;
        let text = std::str::from_utf8(body).ok()?;
        let read: Body<'_> = serde_json::from_str(text).ok()?;
        let (value, has_own) = match foreign {
            OLDER => (read.max_tokens?, read.max_completion_tokens.is_some()),
            _ => (read.max_completion_tokens?, read.max_tokens.is_some()),
        };
        let value = range_in(body, value);
        let name = name_before(text, value.start, foreign)?;
        // Both say the same where both are there.
        Some(match has_own {
            true => spliced(body, [(member(text, name, value), "".into())]),
            false => spliced(body, [(name, own.into())]),
        })
    };
    changed().unwrap_or_else(|| body.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai_chat::view::view;

    fn told(body: &str, word: OutputWord) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let is_foreign = is_foreign(&view(&body).unwrap(), word);
        let changed = worded(&body, word);
        assert_eq!(is_foreign, changed != body);
        String::from_utf8(changed.to_vec()).unwrap()
    }

    #[test]
    fn a_bound_is_renamed_where_it_stands() {
        let older = r#"{"messages":[], "max_tokens" : 50,"x":{"max_tokens":1}}"#;
        let newer = r#"{"messages":[], "max_completion_tokens" : 50,"x":{"max_tokens":1}}"#;
        assert_eq!(told(older, OutputWord::MaxCompletionTokens), newer);
        assert_eq!(told(newer, OutputWord::MaxTokens), older);
        for word in [OutputWord::Either, OutputWord::MaxTokens] {
            assert_eq!(told(older, word), older);
        }
    }

    #[test]
    fn of_two_bounds_the_one_that_the_model_knows_stays() {
        let first = r#"{"max_tokens":5 , "max_completion_tokens":5,"messages":[]}"#;
        assert_eq!(
            told(first, OutputWord::MaxCompletionTokens),
            r#"{ "max_completion_tokens":5,"messages":[]}"#
        );
        let last = r#"{"messages":[],"max_completion_tokens":5, "max_tokens":5 }"#;
        assert_eq!(
            told(last, OutputWord::MaxCompletionTokens),
            r#"{"messages":[],"max_completion_tokens":5 }"#
        );
    }
}
