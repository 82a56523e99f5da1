//! Tools that take a text instead of JSON. Other formats have none, so there they take one argument, `input`.

pub(super) use crate::custom_text::{CustomInput, custom_input as input};

/// What stands before the text in the JSON that such a tool is called with, and behind it.
pub(super) const START: &str = r#"{"input":""#;
pub(super) const END: &str = r#""}"#;

/// A piece of the text as it stands in JSON.
pub(super) fn escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// The JSON for a text.
pub(super) fn arguments(text: &str) -> String {
    format!("{START}{}{END}", escaped(text))
}

/// Arguments as they are written; a model that says nothing means none.
pub(super) fn written(arguments: &str) -> &str {
    if arguments.is_empty() { "{}" } else { arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_survives_as_an_argument() {
        for text in ["", "*** Begin Patch\n+\"a\"\n", "\u{1F600}\\"] {
            assert_eq!(input(&arguments(text)), text);
        }
        assert_eq!(input("*** Begin Patch"), "*** Begin Patch");
        assert_eq!(input(r#"{"patch":"x"}"#), r#"{"patch":"x"}"#);
    }
}
