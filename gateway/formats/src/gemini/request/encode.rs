//! Writes a request.

use std::borrow::Cow;

use serde::Serialize;
use tollgate_families::Traits;

use super::contents::{Content, contents};
use super::generation::{GenerationConfig, Json, generation_config, takes_form};
use crate::adapt::{Place, TargetModel};
use crate::error::FormatError;
use crate::exchange::{CUSTOM_PARAMETERS, OutputForm, Request, Text, Tool, ToolChoice};
use crate::json;
use crate::schema::{self, Fitted};
use crate::unmapped::Unmapped;

/// What this API takes, whatever the model.
pub const PLACE: Place = Place {
    takes_unmarked_proofs: false,
    has_system_turns: false,
    most_name_letters: 128,
    has_allowed_tools: true,
};

/// Writes a request for a model, whose name is not part of it. Thoughts of other providers are left out in any case,
/// and so are cache marks: Google caches by itself.
///
/// # Errors
/// When something has no place here and may not be left out, or the conversation does not hold together.
pub fn encode(
    request: &Request<'_>,
    target: TargetModel<'_>,
    unmapped: &mut Unmapped,
) -> Result<Vec<u8>, FormatError> {
    let traits = target.traits;
    refuse_unmappable(request, traits, unmapped)?;
    let offered = offered(request, traits, unmapped)?;
    let takes_form = takes_form(request, traits, !offered.is_empty());
    let instruction = (!takes_form).then(|| in_words(&request.output)).flatten();
    let system: Vec<TextPart<'_>> = request
        .system
        .iter()
        .map(|text| &*text.text)
        .chain(instruction.as_deref())
        .filter(|text| !text.is_empty())
        .map(|text| TextPart { text })
        .collect();
    let body = Body {
        system_instruction: (!system.is_empty()).then_some(SystemInstruction { parts: system }),
        contents: contents(&request.turns, traits, unmapped)?,
        tools: tools(offered, traits, unmapped),
        tool_config: tool_config(request, offered),
        generation_config: generation_config(request, traits, takes_form, unmapped)?,
        service_tier: service_tier(request, unmapped)?,
    };
    let mut out = Vec::with_capacity(1_024);
    json::write(&mut out, &body);
    Ok(out)
}

/// The form of the answer as an instruction, for models that take it no other way.
fn in_words(form: &OutputForm<'_>) -> Option<String> {
    match form {
        OutputForm::Text => None,
        OutputForm::JsonObject => Some("Answer with one JSON object and nothing else.".to_owned()),
        OutputForm::JsonSchema { schema, .. } => Some(format!(
            "Answer with JSON that matches this JSON Schema, and nothing else:\n{}",
            schema.get()
        )),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<SystemInstruction<'r>>,
    contents: Vec<Content<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[ToolOut<'r>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'r>>,
    #[serde(skip_serializing_if = "GenerationConfig::is_empty")]
    generation_config: GenerationConfig<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(Serialize)]
struct SystemInstruction<'r> {
    parts: Vec<TextPart<'r>>,
}

#[derive(Serialize)]
struct TextPart<'r> {
    text: &'r str,
}

/// What no request of this format can say, by the names of OpenAI's chat format.
fn refuse_unmappable(
    request: &Request<'_>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    let sampling = &request.sampling;
    unmapped.given("n", sampling.choices.as_ref().filter(|choices| **choices != 1))?;
    unmapped.given("metadata", request.metadata.filter(|labels| labels.get() != "{}").as_ref())?;
    unmapped.given("user", request.end_user.as_ref())?;
    // A client of OpenAI's old form did not ask for it, and reads the first call alone.
    let matters = !request.tools.is_empty() && !request.legacy_functions;
    let one_at_a_time = request.parallel_tool_calls.filter(|parallel| !parallel && matters);
    if one_at_a_time.is_some() && !traits.tools.parallel_switch {
        unmapped.hint("parallel_tool_calls");
    }
    for extra in &request.extras {
        if extra.name == "store" && extra.value.get() == "false" {
            unmapped.hint("store");
            continue;
        }
        unmapped.param(extra.name.clone().into_owned())?;
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolOut<'r> {
    function_declarations: Vec<FunctionDeclaration<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionDeclaration<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    /// JSON Schema as it is; the older `parameters` knows only a part of OpenAPI's.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<Json<'r>>,
}

/// The tools that the model is offered.
fn offered<'r, 'a>(
    request: &'r Request<'a>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<&'r [Tool<'a>], FormatError> {
    let tools = &*request.tools;
    if !traits.tools.taken && !tools.is_empty() {
        unmapped.param("tools")?;
        return Ok(&[]);
    }
    let most = traits.tools.most.map_or(usize::MAX, |most| most as usize);
    if tools.len() > most {
        unmapped.param(format!("tools[{most}]"))?;
    }
    Ok(tools.get(..most).unwrap_or(tools))
}

fn tools<'r>(tools: &'r [Tool<'_>], traits: &Traits, unmapped: &mut Unmapped) -> Option<[ToolOut<'r>; 1]> {
    let mut parameters = |tool: &'r Tool<'_>| {
        let Some(given) = tool.parameters else {
            return tool.custom.map(|_| Json(Cow::Borrowed(CUSTOM_PARAMETERS)));
        };
        let Fitted { json, is_looser, .. } = schema::fitted(given, &traits.schema);
        if is_looser {
            unmapped.hint("tools[].function.parameters");
        }
        Some(Json(json))
    };
    let function_declarations: Vec<_> = tools
        .iter()
        .map(|tool| FunctionDeclaration {
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters_json_schema: parameters(tool),
        })
        .collect();
    (!function_declarations.is_empty()).then_some([ToolOut { function_declarations }])
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'r> {
    function_calling_config: FunctionCallingConfig<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCallingConfig<'r> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<Vec<&'r str>>,
}

/// `ANY` holds arguments to their schema anyway; `VALIDATED` is `AUTO` that does.
fn tool_config<'r>(request: &'r Request<'_>, offered: &[Tool<'_>]) -> Option<ToolConfig<'r>> {
    if offered.is_empty() {
        return None;
    }
    let is_strict = offered.iter().any(|tool| tool.strict == Some(true));
    let all = |names: &'r [Text<'_>]| Some(names.iter().map(|name| &**name).collect());
    let (mode, names) = match request.tool_choice.as_ref() {
        None | Some(ToolChoice::Auto) if is_strict => ("VALIDATED", None),
        None => return None,
        Some(ToolChoice::Auto) => ("AUTO", None),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", None),
        Some(ToolChoice::Named(name)) => ("ANY", Some(vec![&**name])),
        Some(ToolChoice::Allowed { required: true, names }) => ("ANY", all(names)),
        // `AUTO` takes no names.
        Some(ToolChoice::Allowed { required: false, names }) => ("VALIDATED", all(names)),
    };
    Some(ToolConfig {
        function_calling_config: FunctionCallingConfig { mode, allowed_function_names: names },
    })
}

/// OpenAI's `default` is Google's `standard`.
fn service_tier(request: &Request<'_>, unmapped: &mut Unmapped) -> Result<Option<&'static str>, FormatError> {
    Ok(match request.service_tier.as_deref() {
        None | Some("auto") => None,
        Some("default" | "standard_only") => Some("standard"),
        Some("flex") => Some("flex"),
        Some("priority") => Some("priority"),
        Some(_) => {
            unmapped.param("service_tier")?;
            None
        }
    })
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
