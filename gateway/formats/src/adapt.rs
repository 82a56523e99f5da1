//! A request on its way to a model, made such that the model takes it: what every format needs alike, done once
//! between reading a client's request and writing a backend's.

use tollgate_base::hash::fnv1a;
use tollgate_families::{NameForm, SystemNote, Tools, Traits};

use crate::cache_marks;
use crate::exchange::proofs::{self, Accepts};
use crate::exchange::{Part, Request, ToolNames, Turn, TurnRole, fitted_tool_name, renaming};

/// Begins a line that Claude Code puts first into its instructions, for Anthropic's billing: it has a new checksum in
/// each request. It tells no model anything, and with it no request would begin as the one before, which is what
/// prompt caches go by. Where a request is translated, such a text is left out, and nothing else is.
const BILLING_LINE: &str = "x-anthropic-billing-header:";

/// The model that a request goes to.
#[derive(Debug, Clone, Copy)]
pub struct TargetModel<'a> {
    /// Its name at the backend.
    pub name: &'a str,
    /// Short name of backend and model, which marks their proofs of thoughts; letters and digits.
    pub origin: &'a str,
    /// What it takes.
    pub traits: &'a Traits,
}

/// What the API that a model is called in takes, whatever the model.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Whether proofs of thoughts without a mark may be the model's own.
    pub takes_unmarked_proofs: bool,
    /// Whether instructions have a place in the midst of the conversation.
    pub has_system_turns: bool,
    /// Most letters of a tool's name.
    pub most_name_letters: usize,
    /// Whether a request can tell tools and which of them may be asked for.
    pub has_allowed_tools: bool,
}

/// Adapts a request. Gives the names of the tools that were changed, for the way back.
pub fn adapt(request: &mut Request<'_>, target: TargetModel<'_>, place: Place) -> ToolNames {
    let accepts = Accepts { origin: target.origin, unmarked: place.takes_unmarked_proofs };
    proofs::keep_own(request, accepts);
    request.system.retain(|text| !text.text.trim_start().starts_with(BILLING_LINE));
    begin_as_user(request, target.traits);
    keep_notes_in_place(request, target.traits, place);
    cache_marks::fit(request, target.traits);
    if !place.has_allowed_tools {
        request.offer_allowed_tools();
    }
    let tools = &target.traits.tools;
    let most = usize::try_from(tools.name_most).unwrap_or(usize::MAX).min(place.most_name_letters);
    renaming::fit(request, |name| fitted_name(name, tools, most))
}

/// Instructions for a model that takes none become the first words of the user.
fn begin_as_user(request: &mut Request<'_>, traits: &Traits) {
    if traits.messages.system_first != SystemNote::UserText || request.system.is_empty() {
        return;
    }
    let system = std::mem::take(&mut request.system);
    let parts = system.into_iter().map(|text| Part::Text { text: text.text, cache: text.cache }).collect();
    request.turns.insert(0, Turn { role: TurnRole::User, name: None, parts });
}

/// Another name for a tool whose name the model does not take, `None` if it does. Two that differ stay different.
fn fitted_name(name: &str, tools: &Tools, most: usize) -> Option<String> {
    if name.len() <= most && tools.takes_name(name) {
        return None;
    }
    let is_dotted = tools.name_form == NameForm::Dotted;
    let fits = |letter: char| {
        letter.is_ascii_alphanumeric()
            || matches!(letter, '_' | '-')
            || (is_dotted && matches!(letter, '.' | ':'))
    };
    let mut plain: String = name.chars().map(|letter| if fits(letter) { letter } else { '_' }).collect();
    if plain.is_empty()
        || (tools.name_form != NameForm::Plain
            && !plain.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_'))
    {
        plain.insert(0, '_');
    }
    if plain != name {
        let hash = fnv1a(name.bytes());
        plain.push_str(&format!("_{:08x}", (hash ^ (hash >> 32)) as u32));
    }
    Some(fitted_tool_name(&plain, most).into_owned())
}

/// Instructions that have no place of their own become texts of the user where they stand.
fn keep_notes_in_place(request: &mut Request<'_>, traits: &Traits, place: Place) {
    let mut after_user = false;
    for turn in &mut request.turns {
        let taken = place.has_system_turns && traits.messages.system_later.is_taken(after_user);
        if !taken && let Some(note) = turn.as_user_note() {
            *turn = note;
        }
        after_user = turn.role == TurnRole::User;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{SystemText, Tool, ToolChoice};

    const PLACE: Place = Place {
        takes_unmarked_proofs: false,
        has_system_turns: true,
        most_name_letters: 64,
        has_allowed_tools: false,
    };

    fn adapted(request: &mut Request<'_>, traits: &Traits) -> ToolNames {
        adapt(request, TargetModel { name: "m", origin: "test", traits }, PLACE)
    }

    fn system(texts: &[&'static str]) -> Vec<SystemText<'static>> {
        texts.iter().map(|text| SystemText { text: (*text).into(), cache: None }).collect()
    }

    #[test]
    fn a_line_for_billing_does_not_change_how_a_prompt_begins() {
        let billing = "x-anthropic-billing-header: cc_version=2.1; cch=36ee5;";
        let mut request = Request { system: system(&[billing, "You are x."]), ..Request::default() };
        adapted(&mut request, &Traits::default());
        let left: Vec<&str> = request.system.iter().map(|text| &*text.text).collect();
        assert_eq!(left, ["You are x."]);
    }

    #[test]
    fn instructions_become_the_first_words_of_the_user_for_a_model_without_them() {
        let mut traits = Traits::default();
        traits.messages.system_first = SystemNote::UserText;
        let turns = vec![Turn { role: TurnRole::User, name: None, parts: vec![Part::text("hi")] }];
        let mut request = Request { system: system(&["Be brief."]), turns, ..Request::default() };
        adapted(&mut request, &traits);
        assert!(request.system.is_empty());
        assert!(matches!(&request.turns[0].parts[..], [Part::Text { text, .. }] if text == "Be brief."));
        assert_eq!((request.turns[0].role, request.turns.len()), (TurnRole::User, 2));
    }

    #[test]
    fn only_allowed_tools_are_told_where_the_choice_cannot_name_them() {
        let chosen = |required, names: &[&'static str], has_allowed_tools| {
            let tool = |name: &'static str| Tool { name: name.into(), ..Tool::default() };
            let names = names.iter().map(|name| (*name).into()).collect();
            let tool_choice = Some(ToolChoice::Allowed { required, names });
            let tools = ["a", "b.c", "d"].map(tool).into();
            let mut request = Request { tools, tool_choice, ..Request::default() };
            let (traits, place) = (Traits::default(), Place { has_allowed_tools, ..PLACE });
            adapt(&mut request, TargetModel { name: "m", origin: "test", traits: &traits }, place);
            (request.tools.iter().map(|tool| tool.name.to_string()).collect::<Vec<_>>(), request.tool_choice)
        };
        let (tools, choice) = chosen(true, &["a", "b.c", "gone"], false);
        assert_eq!((tools.len(), choice), (2, Some(ToolChoice::Required)));
        assert_eq!(chosen(false, &["d"], false), (vec!["d".to_owned()], Some(ToolChoice::Auto)));
        assert_eq!(chosen(true, &["gone"], false), (Vec::new(), Some(ToolChoice::None)));
        let (tools, choice) = chosen(true, &["b.c"], true);
        let names = vec![tools[1].clone().into()];
        assert_eq!((tools.len(), choice), (3, Some(ToolChoice::Allowed { required: true, names })));
    }

    #[test]
    fn a_tool_gets_a_name_of_the_form_that_the_model_takes() {
        let fitted = |name: &str, name_form, name_most| {
            let mut traits = Traits::default();
            traits.tools.name_form = name_form;
            traits.tools.name_most = name_most;
            let tools = vec![Tool { name: name.to_owned().into(), ..Tool::default() }];
            let mut request = Request { tools, ..Request::default() };
            let names = adapted(&mut request, &traits);
            let sent = request.tools[0].name.clone().into_owned();
            assert!(traits.tools.takes_name(&sent), "{sent}");
            assert_eq!(names.by_sent(&sent).map_or(name, |tool| tool.name.as_str()), name);
            sent
        };
        assert_eq!(fitted("read_file", NameForm::Plain, 64), "read_file");
        assert_ne!(fitted("a.b", NameForm::Plain, 64), fitted("a:b", NameForm::Plain, 64));
        assert_eq!(fitted("a.b", NameForm::Dotted, 64), "a.b");
        assert!(fitted("9-lives", NameForm::Word, 64).starts_with("_9-lives_"));
        assert!(fitted(&"ä".repeat(80), NameForm::Dotted, 128).len() <= 64);
    }
}
