//! `toolConfig`: the tools, and whether the model must ask for one.

use serde::Serialize;
use tollgate_families::{Choice as Word, Traits};

use super::blocks::CachePoint;
use crate::claude::{Choice, StrictTools};
use crate::error::FormatError;
use crate::exchange::{Part, Request, Tool};
use crate::schema::{self, Schema};
use crate::unmapped::Unmapped;

/// Name of the tool that is declared for results whose call is not there.
const UNNAMED: &str = "tool";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'r> {
    tools: Vec<ToolEntry<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ChoiceOut<'r>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum ToolEntry<'r> {
    ToolSpec(ToolSpec<'r>),
    CachePoint(CachePoint),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolSpec<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    input_schema: InputSchema<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Debug, Serialize)]
struct InputSchema<'r> {
    json: Schema<'r>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum ChoiceOut<'r> {
    Auto {},
    Any {},
    Tool { name: &'r str },
}

/// Which tools are declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    Nothing,
    /// Those of the request.
    Tools,
    /// Those that the conversation called: the API refuses calls of tools that are not declared. They have no schemas,
    /// and the model must not call them.
    Stubs,
}

impl Declared {
    /// Tools that must not be used are left out, unless the conversation needs them.
    pub(super) fn of(
        request: &Request<'_>,
        traits: &Traits,
        choice: Option<Choice<'_>>,
        unmapped: &mut Unmapped,
    ) -> Result<Self, FormatError> {
        if !traits.tools.taken {
            unmapped.given("tools", request.tools.first())?;
            return Ok(Self::Nothing);
        }
        let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
        let has_calls = parts.any(|part| matches!(part, Part::ToolCall(_) | Part::ToolResult(_)));
        Ok(match (request.tools.is_empty(), has_calls) {
            (true, true) => Self::Stubs,
            (true, false) => Self::Nothing,
            (false, false) if choice == Some(Choice::None) => Self::Nothing,
            (false, _) => Self::Tools,
        })
    }
}

/// The tools of a request. `choice_is_elsewhere`: among the fields of the model's own.
pub(super) fn tool_config<'r>(
    request: &'r Request<'_>,
    traits: &Traits,
    declared: Declared,
    choice: Option<Choice<'r>>,
    choice_is_elsewhere: bool,
    unmapped: &mut Unmapped,
) -> Option<ToolConfig<'r>> {
    let tools = match declared {
        Declared::Nothing => return None,
        Declared::Stubs => stubs(request, traits),
        Declared::Tools => {
            let mut strict = StrictTools::of(traits);
            let mut tools = Vec::with_capacity(request.tools.len());
            for tool in &request.tools {
                let strict = strict.takes(tool, unmapped).then_some(true);
                tools.push(ToolEntry::ToolSpec(tool_spec(tool, traits, strict)));
                tools.extend(tool.cache.map(|mark| ToolEntry::CachePoint(mark.into())));
            }
            tools
        }
    };
    // Models that cannot be forced refuse the field, whatever it says.
    let has_field = !choice_is_elsewhere && traits.tools.has_choice(Word::Required);
    let tool_choice = match choice.filter(|_| has_field) {
        None | Some(Choice::None) => None,
        Some(Choice::Auto) => Some(ChoiceOut::Auto {}),
        Some(Choice::Any) => Some(ChoiceOut::Any {}),
        Some(Choice::Named(name)) => Some(ChoiceOut::Tool { name }),
    };
    Some(ToolConfig { tools, tool_choice })
}

/// Each tool that was called, in the order of the calls.
fn stubs<'r>(request: &'r Request<'_>, traits: &Traits) -> Vec<ToolEntry<'r>> {
    let mut names: Vec<&str> = Vec::new();
    for part in request.turns.iter().flat_map(|turn| &turn.parts) {
        if let Part::ToolCall(call) = part
            && !names.contains(&&*call.name)
        {
            names.push(&call.name);
        }
    }
    if names.is_empty() {
        names.push(UNNAMED);
    }
    let stub = |name| {
        let json = schema::arguments(None, &traits.schema);
        ToolEntry::ToolSpec(ToolSpec {
            name,
            description: None,
            input_schema: InputSchema { json },
            strict: None,
        })
    };
    names.into_iter().map(stub).collect()
}

/// Descriptions may not be empty.
fn tool_spec<'r>(tool: &'r Tool<'_>, traits: &Traits, strict: Option<bool>) -> ToolSpec<'r> {
    ToolSpec {
        name: &tool.name,
        description: tool.description.as_deref().filter(|text| !text.is_empty()),
        input_schema: InputSchema { json: schema::arguments(tool.parameters, &traits.schema) },
        strict,
    }
}
