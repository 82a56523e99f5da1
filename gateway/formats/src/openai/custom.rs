//! What the definition of a tool that takes a text says of the text's form: chat has the grammar in an object of its
//! own, Responses beside the type.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exchange::Text;
use crate::json::{Object, Str};

/// Stands between a tool's description and its grammar in words.
const BETWEEN: &str = "\n\n";

/// A grammar that the text must match.
#[derive(Debug, Deserialize)]
pub(crate) struct Grammar<'a> {
    #[serde(borrow)]
    syntax: Str<'a>,
    #[serde(borrow)]
    definition: Str<'a>,
}

impl<'a> Grammar<'a> {
    /// From `format` in either way; `None` if any text will do.
    pub(crate) fn of(format: &'a RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Format<'a> {
            #[serde(borrow)]
            grammar: Grammar<'a>,
        }
        let inner = || serde_json::from_str::<Format<'a>>(format.get()).map(|format| format.grammar);
        serde_json::from_str(format.get()).or_else(|_| inner()).ok()
    }

    /// As Responses have it.
    pub(crate) fn write(&self, format: &mut Object<'_>) {
        format.put("type", "grammar").put("syntax", &self.syntax).put("definition", &self.definition);
    }

    /// In words, behind the description of the tool: for models that are not bound to it.
    pub(crate) fn described<'d>(&self, description: Option<Text<'d>>) -> Text<'d> {
        let words = self.in_words();
        match description.filter(|said| !said.is_empty()) {
            Some(said) => (said.into_owned() + BETWEEN + &words).into(),
            None => words.into(),
        }
    }

    /// The description without those words: for models that are bound to the grammar. `None` if nothing else is said.
    pub(crate) fn undescribed<'d>(&self, description: &'d str) -> Option<&'d str> {
        let Some(said) = description.strip_suffix(&*self.in_words()) else { return Some(description) };
        Some(said.strip_suffix(BETWEEN).unwrap_or(said)).filter(|said| !said.is_empty())
    }

    fn in_words(&self) -> String {
        let syntax = if &*self.syntax == "regex" { "regular expression" } else { "Lark grammar" };
        format!("`input` must match this {syntax}:\n{}", &*self.definition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grammar_is_read_in_both_ways_and_told_in_words() {
        for format in [
            r#"{"type":"grammar","syntax":"regex","definition":"a+"}"#,
            r#"{"type":"grammar","grammar":{"syntax":"regex","definition":"a+"}}"#,
        ] {
            let raw = serde_json::from_str(format).unwrap();
            let grammar = Grammar::of(raw).unwrap();
            let told = "Patches.\n\n`input` must match this regular expression:\na+";
            assert_eq!(grammar.described(Some("Patches.".into())), told);
            assert_eq!(grammar.undescribed(told), Some("Patches."));
            assert_eq!(grammar.undescribed(&grammar.described(None)), None);
            assert_eq!(grammar.undescribed("Patches."), Some("Patches."));
            let mut out = Vec::new();
            let mut object = Object::new(&mut out);
            grammar.write(&mut object);
            object.end();
            assert_eq!(out, br#"{"type":"grammar","syntax":"regex","definition":"a+"}"#);
        }
        assert!(Grammar::of(serde_json::from_str(r#"{"type":"text"}"#).unwrap()).is_none());
    }
}
