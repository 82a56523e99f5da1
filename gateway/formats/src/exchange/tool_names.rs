//! What tools are called on the two sides of a translation.
//!
//! A backend knows tools by names that it takes: of bounded length, without the groups that some clients put them
//! in. Its calls are told to the client by the names that the client gave.

use std::borrow::Cow;

use tollgate_base::hash::fnv1a;

use super::content::Part;
use super::request::{Request, ToolChoice};
use super::stream::{PartStart, StreamEvent};
use super::{Answer, Text};

/// The names of tools that are called otherwise towards the backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolNames(Vec<ToolName>);

/// One tool's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolName {
    /// What the backend is told, and says.
    pub sent: String,
    /// What the client calls it.
    pub name: String,
    /// The group it stands in at the client's (OpenAI's `namespace`).
    pub namespace: Option<String>,
    /// Whether the client gave it as a tool that takes free text (OpenAI's `custom`).
    pub is_custom: bool,
    /// Whether it is the client's own search for tools (OpenAI's `tool_search`).
    pub is_search: bool,
}

impl ToolNames {
    /// Whether every tool has one name.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a tool; the first one of a name stays.
    pub fn add(&mut self, tool: ToolName) {
        if self.by_sent(&tool.sent).is_none() {
            self.0.push(tool);
        }
    }

    /// The tool that the backend knows by this name, if the client names it otherwise.
    #[must_use]
    pub fn by_sent(&self, sent: &str) -> Option<&ToolName> {
        self.0.iter().find(|tool| tool.sent == sent)
    }

    /// Whether calls by this name are those of a tool that takes free text.
    #[must_use]
    pub fn is_custom(&self, sent: &str) -> bool {
        self.by_sent(sent).is_some_and(|tool| tool.is_custom)
    }

    /// What the backend is told for a tool that the client names so.
    #[must_use]
    pub fn sent(&self, namespace: Option<&str>, name: &str) -> Option<&str> {
        let is_it = |tool: &&ToolName| tool.name == name && tool.namespace.as_deref() == namespace;
        self.0.iter().find(is_it).map(|tool| tool.sent.as_str())
    }
}

/// Longest name that is kept as it is under a bound of `most` letters; longer ones end in a hash of the whole.
#[must_use]
pub fn fitted(name: &str, most: usize) -> Cow<'_, str> {
    const HASH: usize = 9;
    if name.len() <= most || most <= HASH {
        return Cow::Borrowed(name);
    }
    let cut = name.char_indices().map(|(at, _)| at).take_while(|at| *at <= most - HASH).last().unwrap_or(0);
    let hash = fnv1a(name.bytes());
    Cow::Owned(format!("{}_{:08x}", &name[..cut], (hash ^ (hash >> 32)) as u32))
}

/// Gives every tool of a request, its calls and its choice a name that the backend takes. What was changed is
/// added to the returned names, by which [`shown_answer`] and [`shown_event`] tell the client of calls.
pub fn fit<'a>(request: &mut Request<'a>, name: impl Fn(&str) -> Option<String>) -> ToolNames {
    let mut names = ToolNames::default();
    let mut changed = |shown: &mut Text<'a>| {
        let Some(sent) = name(shown) else { return };
        names.add(ToolName { sent: sent.clone(), name: shown.clone().into_owned(), ..ToolName::default() });
        *shown = Cow::Owned(sent);
    };
    request.tools.iter_mut().for_each(|tool| changed(&mut tool.name));
    if let Some(ToolChoice::Named(named)) = &mut request.tool_choice {
        changed(named);
    }
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Part::ToolCall(call) = part {
            changed(&mut call.name);
        }
    }
    names
}

/// Calls in an answer by the client's names.
pub fn shown_answer(answer: &mut Answer<'_>, names: &ToolNames) {
    for part in &mut answer.parts {
        if let Part::ToolCall(call) = part
            && let Some(tool) = names.by_sent(&call.name)
        {
            call.name = Cow::Owned(tool.name.clone());
        }
    }
}

/// A call that begins in a stream, by the client's name; `None` if the event stays as it is.
#[must_use]
pub fn shown_event<'e>(event: &'e StreamEvent<'_>, names: &'e ToolNames) -> Option<StreamEvent<'e>> {
    let StreamEvent::PartStart { index, part: PartStart::ToolCall { id, name } } = event else { return None };
    let tool = names.by_sent(name)?;
    let part = PartStart::ToolCall { id: Cow::Borrowed(id), name: Cow::Borrowed(&tool.name) };
    Some(StreamEvent::PartStart { index: *index, part })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Tool, ToolCall, Turn, TurnRole};

    #[test]
    fn a_long_name_is_cut_and_told_apart_by_its_hash() {
        let (a, b) = ("x".repeat(70) + "a", "x".repeat(70) + "b");
        let (short_a, short_b) = (fitted(&a, 64), fitted(&b, 64));
        assert_eq!((short_a.len(), short_b.len()), (64, 64));
        assert_ne!(short_a, short_b);
        assert_eq!(fitted("weather", 64), "weather");
        assert!(fitted(&"ä".repeat(60), 64).len() <= 64);
    }

    #[test]
    fn calls_come_back_by_the_name_that_the_client_gave() {
        let long = "n".repeat(80);
        let call = |name: &str| {
            Part::ToolCall(ToolCall { id: "c1".into(), name: name.to_owned().into(), arguments: "{}".into() })
        };
        let mut request = Request {
            tools: vec![Tool { name: long.clone().into(), ..Tool::default() }],
            tool_choice: Some(ToolChoice::Named(long.clone().into())),
            turns: vec![Turn { role: TurnRole::Assistant, name: None, parts: vec![call(&long)] }],
            ..Request::default()
        };
        let too_long = |name: &str| (name.len() > 64).then(|| fitted(name, 64).into_owned());
        let names = fit(&mut request, too_long);
        let sent = request.tools[0].name.clone();
        assert!(sent.len() <= 64);
        assert_eq!(request.tool_choice, Some(ToolChoice::Named(sent.clone())));
        assert!(matches!(&request.turns[0].parts[0], Part::ToolCall(call) if call.name == sent));

        let started = StreamEvent::PartStart {
            index: 0,
            part: PartStart::ToolCall { id: "c1".into(), name: sent.clone() },
        };
        let shown = shown_event(&started, &names);
        assert!(matches!(
            shown,
            Some(StreamEvent::PartStart { part: PartStart::ToolCall { name, .. }, .. }) if name == long
        ));
    }
}
