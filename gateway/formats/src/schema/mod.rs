//! Schemas of tools and of answers in the dialect that a model takes.
//!
//! A family's data say what its models take: its [`SchemaDialect`](tollgate_families::SchemaDialect). What they refuse
//! is taken out or rewritten so that it allows no less than before: the caller checks what comes back against its own
//! schema anyway. The order of members stays, because models answer in it, and a schema that fits is not touched.
//!
//! A schema is read as a [`node`], and there is one [`walk`] through it. Three things are asked of it:
//! - [`fitted`]: OpenAI's formats and Gemini's look at every schema within;
//! - [`arguments`]: Messages and Converse want an object at the top of a tool's arguments, and look no further;
//! - [`answer`]: they take a form of answers, or a strict tool, only without some words, with closed objects.
//!
//! [`unions`] makes one object of alternatives at the top, for whoever refuses them.

mod answer;
mod arguments;
mod fit;
mod node;
#[cfg(test)]
mod testing;
mod unions;
mod walk;

use std::borrow::Cow;

pub(crate) use answer::{answer, has_refused_words};
pub(crate) use arguments::arguments;
pub(crate) use fit::{Fitted, fitted};
pub(crate) use node::Schema;

use crate::exchange::Text;

/// A text as one word of a name: letters, digits, `_` and `-`, at most 64.
pub(crate) fn form_name(name: &str) -> Text<'_> {
    const MOST: usize = 64;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !name.is_empty() && name.len() <= MOST && name.chars().all(fits) {
        return Cow::Borrowed(name);
    }
    let kept: String =
        name.chars().take(MOST).map(|letter| if fits(letter) { letter } else { '_' }).collect();
    Cow::Owned(if kept.is_empty() { "response".to_owned() } else { kept })
}

#[cfg(test)]
mod tests {
    use super::form_name;

    #[test]
    fn names_of_forms_are_words() {
        assert_eq!(form_name("my-form_1"), "my-form_1");
        assert_eq!(form_name("my form"), "my_form");
        assert_eq!(form_name(""), "response");
        assert_eq!(form_name(&"é".repeat(80)).len(), 64);
    }
}
