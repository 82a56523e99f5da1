//! Turns, tools and schemas.

use crate::group::{group, words};

words! {
    /// What becomes of a system text.
    SystemNote {
        /// It is taken where it stands.
        Taken,
        /// It is taken, in the middle only right after a turn of the user.
        AfterUser,
        /// It must be written as marked text of the user.
        UserText,
    }
}

words! {
    /// What becomes of a last turn of the assistant.
    Prefill {
        /// It is continued.
        Continued,
        /// It is an ordinary turn, which is not continued.
        Turn,
        /// It is continued with `prefix: true`, and refused without it.
        PrefixField,
        /// It is continued with `partial: true`.
        PartialField,
        /// It is refused: the last turn must be the user's.
        Refused,
    }
}

words! {
    /// Whether messages may have a `name`.
    NameField {
        /// Yes.
        Taken,
        /// Those of the user alone.
        UserOnly,
        /// No.
        Refused,
    }
}

words! {
    /// What the names of tools are made of.
    NameForm {
        /// Letters, digits, `_` and `-`.
        Plain,
        /// The same, first a letter or `_`.
        Word,
        /// Letters, digits, `_`, `-`, `.` and `:`, first a letter or `_`.
        Dotted,
    }
}

words! {
    /// What the ids of calls are made of.
    IdForm {
        /// Anything.
        Free,
        /// Anything up to 64 characters.
        UpTo64,
        /// Up to 64 letters, digits, `_` and `-`.
        Plain64,
        /// Up to 64 letters, digits, `_`, `.`, `:` and `-`.
        Dotted64,
        /// Exactly nine letters and digits.
        Nine,
    }
}

words! {
    /// How a request may say which tools are used.
    Choice {
        /// None of them.
        None,
        /// As the model likes.
        Auto,
        /// At least one.
        Required,
        /// One by its name.
        Named,
    }
}

group! {
    /// Turns of the conversation.
    Messages, MessagesOverrides {
        /// What becomes of the system text at the beginning.
        system_first: SystemNote = SystemNote::Taken,
        /// What becomes of a system text further down.
        system_later: SystemNote = SystemNote::Taken,
        /// Whether the role `developer` is taken.
        developer: bool = true,
        /// What becomes of a last turn of the assistant.
        prefill: Prefill = Prefill::Turn,
        /// Whether a turn of the assistant may be the first.
        assistant_first: bool = true,
        /// Whether messages may have a `name`.
        name: NameField = NameField::Taken,
        /// Whether texts may be empty or blank.
        empty_text: bool = true,
    }
}

group! {
    /// Tools.
    Tools, ToolsOverrides {
        /// Whether there are any.
        taken: bool = true,
        /// Most characters of a name.
        name_most: u32 = 64,
        /// What names are made of.
        name_form: NameForm = NameForm::Plain,
        /// Most tools of a request.
        most: Option<u32> = None,
        /// What the ids of calls are made of.
        ids: IdForm = IdForm::Free,
        /// How a request may say which are used.
        choices: Vec<Choice> = vec![Choice::None, Choice::Auto, Choice::Required, Choice::Named],
        /// Whether parallel calls can be switched off.
        parallel_switch: bool = true,
        /// Whether `strict` is taken.
        strict: bool = true,
        /// Most strict tools of a request.
        strict_most: Option<u32> = None,
        /// Whether tools without a schema, called with free text, are taken.
        custom: bool = true,
    }
}

group! {
    /// Schemas of tools and answers.
    SchemaDialect, SchemaDialectOverrides {
        /// Whether an object without `properties` is refused.
        properties_required: bool = false,
        /// Whether an array without `items` is refused.
        items_required: bool = false,
        /// Whether `oneOf`, `anyOf`, `allOf` are taken at the top.
        top_unions: bool = true,
        /// Whether `$ref` and `$defs` are taken.
        refs: bool = true,
        /// Words that are refused at the top.
        refused_at_top: Vec<String> = Vec::new(),
        /// Words that are refused anywhere.
        refused: Vec<String> = Vec::new(),
        /// Words that are refused in strict schemas.
        refused_strict: Vec<String> = Vec::new(),
        /// Whether each object of a strict schema needs `additionalProperties: false`.
        strict_closed: bool = false,
        /// Whether each property of a strict schema must be required.
        strict_all_required: bool = false,
    }
}

impl Tools {
    /// Whether a choice can be said.
    #[must_use]
    pub fn has_choice(&self, choice: Choice) -> bool {
        self.choices.contains(&choice)
    }

    /// Whether a name is taken as it is.
    #[must_use]
    pub fn takes_name(&self, name: &str) -> bool {
        let first = |letter: u8| letter.is_ascii_alphabetic() || letter == b'_';
        let plain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-');
        let Some(start) = name.bytes().next() else { return false };
        if name.len() > self.name_most as usize {
            return false;
        }
        match self.name_form {
            NameForm::Plain => name.bytes().all(plain),
            NameForm::Word => first(start) && name.bytes().all(plain),
            NameForm::Dotted => {
                first(start) && name.bytes().all(|letter| plain(letter) || matches!(letter, b'.' | b':'))
            }
        }
    }
}

impl IdForm {
    /// Whether an id is taken as it is.
    #[must_use]
    pub fn takes(self, id: &str) -> bool {
        let all = |fits: fn(u8) -> bool| id.bytes().all(fits);
        match self {
            Self::Free => true,
            Self::UpTo64 => id.chars().count() <= 64,
            Self::Plain64 => {
                (1..=64).contains(&id.len()) && all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            }
            Self::Dotted64 => {
                (1..=64).contains(&id.len()) && all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b))
            }
            Self::Nine => id.len() == 9 && all(|b| b.is_ascii_alphanumeric()),
        }
    }
}

impl SystemNote {
    /// Whether it is taken where it stands, after a turn of the user or elsewhere.
    #[must_use]
    pub const fn is_taken(self, after_user: bool) -> bool {
        matches!(self, Self::Taken) || (matches!(self, Self::AfterUser) && after_user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_held_against_their_forms() {
        let tools = |name_form, name_most| Tools { name_form, name_most, ..Tools::default() };
        assert!(tools(NameForm::Plain, 64).takes_name("9-lives_x"));
        assert!(!tools(NameForm::Plain, 8).takes_name("9-lives_x"));
        assert!(!tools(NameForm::Word, 64).takes_name("9-lives_x"));
        assert!(!tools(NameForm::Word, 64).takes_name("mcp.read"));
        assert!(tools(NameForm::Dotted, 64).takes_name("mcp.read:all"));
        assert!(!tools(NameForm::Dotted, 64).takes_name("") && !tools(NameForm::Plain, 64).takes_name("ä"));
        for (form, fits, fails) in [
            (IdForm::UpTo64, "functions.read:0 ä", &*"x".repeat(65)),
            (IdForm::Plain64, "toolu_01-x", "call.1"),
            (IdForm::Dotted64, "functions.read:0", "a b"),
            (IdForm::Nine, "aB3456789", "call_4567"),
        ] {
            assert!(form.takes(fits) && !form.takes(fails), "{form:?}");
        }
        assert!(IdForm::Free.takes(""));
    }

    #[test]
    fn a_system_text_stays_where_the_model_takes_it() {
        assert!(SystemNote::Taken.is_taken(false));
        assert!(SystemNote::AfterUser.is_taken(true) && !SystemNote::AfterUser.is_taken(false));
        assert!(!SystemNote::UserText.is_taken(true));
    }
}
