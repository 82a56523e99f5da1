//! `allowed_tools`: a choice of tools that names those which may be called, of all that are told.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exchange::{Text, ToolChoice};
use crate::json::Str;

/// In a chat the choice has an object of its own.
#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    allowed_tools: Option<Allowed<'a>>,
}

#[derive(Deserialize)]
struct Allowed<'a> {
    #[serde(borrow)]
    mode: Str<'a>,
    #[serde(borrow)]
    tools: Vec<Entry<'a>>,
}

/// A tool by its name, which in a chat stands in an object. Tools of the provider's own have none.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    namespace: Option<Str<'a>>,
    #[serde(borrow, default)]
    function: Option<Named<'a>>,
    #[serde(borrow, default)]
    custom: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Str<'a>,
}

/// Reads such a choice; `called` gives the name of a tool in its namespace. `None` if it is not understood.
pub(crate) fn allowed<'a>(
    raw: &'a RawValue,
    called: impl Fn(Option<&str>, Text<'a>) -> Text<'a>,
) -> Option<ToolChoice<'a>> {
    let choice: Choice<'a> = serde_json::from_str(raw.get()).ok()?;
    let allowed = choice.allowed_tools.or_else(|| serde_json::from_str(raw.get()).ok())?;
    let required = match &*allowed.mode {
        "auto" => false,
        "required" => true,
        _ => return None,
    };
    let names = allowed.tools.into_iter().filter_map(|tool| {
        let named = tool.function.or(tool.custom).map(|named| named.name);
        Some(called(tool.namespace.as_deref(), tool.name.or(named)?.into_text()))
    });
    Some(ToolChoice::Allowed { required, names: names.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_that_may_be_called_are_read_in_the_form_of_chats_and_of_responses() {
        let read = |json: &str| {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            allowed(&raw, |namespace, name| match namespace {
                Some(namespace) => format!("{namespace}/{name}").into(),
                None => name,
            })
            .map(|choice| format!("{choice:?}"))
        };
        assert_eq!(
            read(
                r#"{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[
                {"type":"function","function":{"name":"a"}},{"type":"custom","custom":{"name":"b"}}]}}"#
            ),
            Some(r#"Allowed { required: true, names: ["a", "b"] }"#.to_owned())
        );
        assert_eq!(
            read(
                r#"{"type":"allowed_tools","mode":"auto","tools":[
                {"type":"function","namespace":"n","name":"a"},{"type":"web_search"}]}"#
            ),
            Some(r#"Allowed { required: false, names: ["n/a"] }"#.to_owned())
        );
        assert_eq!(read(r#"{"type":"allowed_tools","allowed_tools":{}}"#), None);
        assert_eq!(read(r#"{"mode":"sometimes","tools":[]}"#), None);
    }
}
