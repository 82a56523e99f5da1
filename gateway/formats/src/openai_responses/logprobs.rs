//! Log probabilities, from and into the form of OpenAI's chat completions: the same tokens, here without an object
//! around them.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// The tokens of one text, an array as JSON on one line.
#[derive(Debug)]
pub(super) struct Tokens(String);

impl Default for Tokens {
    fn default() -> Self {
        Self(NONE.to_owned())
    }
}

/// No tokens.
pub(super) const NONE: &str = "[]";

impl Tokens {
    /// Of a whole text.
    pub(super) fn of(logprobs: &RawValue) -> Self {
        let mut tokens = Self::default();
        tokens.add(logprobs, usize::MAX);
        tokens
    }

    /// Adds those of a piece of the text, unless it would be more than `most` bytes. Gives how many were added.
    pub(super) fn add(&mut self, logprobs: &RawValue, most: usize) -> usize {
        #[derive(Deserialize)]
        struct Logprobs<'a> {
            #[serde(borrow, default)]
            content: Option<Vec<&'a RawValue>>,
        }
        let Ok(Logprobs { content: Some(tokens) }) = serde_json::from_str(logprobs.get()) else { return 0 };
        let before = self.0.len();
        if logprobs.get().len() > most {
            return 0;
        }
        self.0.truncate(before.saturating_sub(1));
        for token in tokens {
            if self.0.len() > 1 {
                self.0.push(',');
            }
            // Line ends can only be white space here, and would end the line of an event.
            self.0.extend(
                token.get().chars().map(|letter| if matches!(letter, '\n' | '\r') { ' ' } else { letter }),
            );
        }
        self.0.push(']');
        self.0.len().saturating_sub(before)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tokens of texts in the form of chat; `None` if there are none.
pub(super) fn in_chat_form<'a>(texts: impl IntoIterator<Item = &'a RawValue>) -> Option<Box<RawValue>> {
    #[derive(Serialize)]
    struct Logprobs<'a> {
        content: Vec<&'a RawValue>,
        refusal: Option<()>,
    }
    let tokens = |text: &'a RawValue| serde_json::from_str::<Vec<&'a RawValue>>(text.get()).ok();
    let content: Vec<&RawValue> = texts.into_iter().filter_map(tokens).flatten().collect();
    if content.is_empty() {
        return None;
    }
    to_raw_value(&Logprobs { content, refusal: None }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_texts_are_read_into_the_form_of_chat() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let texts = [raw("[]"), raw(r#"[{"token":"a"}]"#), raw("null"), raw(r#"[{"token":"b"}]"#)];
        let chat = in_chat_form(texts.iter().map(|text| &**text)).unwrap();
        assert_eq!(chat.get(), r#"{"content":[{"token":"a"},{"token":"b"}],"refusal":null}"#);
        assert!(in_chat_form(texts.first().map(|text| &**text)).is_none());
    }

    #[test]
    fn tokens_of_pieces_are_one_array_on_one_line() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let mut tokens = Tokens::default();
        assert_eq!(tokens.as_str(), "[]");
        assert_eq!(tokens.add(&raw("{\"content\":[{\"token\":\n\"a\"}],\"refusal\":null}"), 100), 14);
        assert_eq!(tokens.add(&raw(r#"{"content":null}"#), 100), 0);
        assert_eq!(tokens.add(&raw(r#"{"content":[{"token":"c"}]}"#), 10), 0);
        tokens.add(&raw(r#"{"content":[{"token":"b"},{"token":"c"}]}"#), 100);
        assert_eq!(tokens.as_str(), r#"[{"token": "a"},{"token":"b"},{"token":"c"}]"#);
    }
}
