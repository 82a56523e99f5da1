//! Names of fields: camel case, as they are written here, and snake case, which Google takes as well.

use std::borrow::Cow;

/// A name in camel case.
pub(super) fn camel(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut begins_word = false;
    for letter in name.chars() {
        match letter {
            '_' => begins_word = true,
            letter if std::mem::take(&mut begins_word) => out.extend(letter.to_uppercase()),
            letter => out.push(letter),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_name() {
        assert_eq!(camel("max_output_tokens"), "maxOutputTokens");
        assert!(matches!(camel("maxOutputTokens"), Cow::Borrowed("maxOutputTokens")));
    }
}
