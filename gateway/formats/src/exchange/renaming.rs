//! Tools by the names of the one side, and of the other: requests on their way to a backend, calls on their way back.

use std::borrow::Cow;

use super::Text;
use super::answer::Answer;
use super::content::Part;
use super::request::{Request, ToolChoice};
use super::stream::{PartStart, StreamEvent};
use super::tool_names::{ToolName, ToolNames};

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
    match &mut request.tool_choice {
        Some(ToolChoice::Named(named)) => changed(named),
        Some(ToolChoice::Allowed { names, .. }) => names.iter_mut().for_each(&mut changed),
        _ => {}
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
    use super::super::tool_names::fitted;
    use super::*;
    use crate::exchange::{Tool, ToolCall, Turn, TurnRole};

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
