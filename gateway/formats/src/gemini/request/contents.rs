//! The conversation as `contents`: turns of one side joined, results of tools first and by the function's name.

use std::collections::HashMap;

use serde::Serialize;
use tollgate_families::{NameField, Returned, Traits, When};

use super::media::{FileData, InlineData, Medium, medium};
use super::result::{FunctionResponse, function_response};
use crate::calls::Arguments;
use crate::error::FormatError;
use crate::exchange::{Part, ToolCall, ToolResult, Turn, TurnRole};
use crate::media::left_out;
use crate::unmapped::Unmapped;

/// Stands in for the proof of a call's thoughts that is not there: models from Gemini 3 on refuse calls without
/// one, and the documentation names this word for calls that come from elsewhere.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// One side's words until the other one speaks.
#[derive(Debug, Serialize)]
pub(super) struct Content<'r> {
    role: &'static str,
    parts: Vec<PartOut<'r>>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct PartOut<'r> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<InlineData<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<FileData<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<FunctionResponse<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'r str>,
}

#[derive(Debug, Serialize)]
struct FunctionCall<'r> {
    id: &'r str,
    name: &'r str,
    args: Arguments<'r>,
}

/// Writes the conversation.
pub(super) fn contents<'r>(
    turns: &'r [Turn<'_>],
    traits: &'r Traits,
    unmapped: &mut Unmapped,
) -> Result<Vec<Content<'r>>, FormatError> {
    let mut writer = Writer { contents: Vec::with_capacity(turns.len()), names: HashMap::new(), traits };
    for turn in turns {
        if turn.name.is_some() && traits.messages.name != NameField::Taken {
            unmapped.hint("messages[].name");
        }
        writer.turn(turn, unmapped)?;
    }
    let wants_proofs =
        traits.thoughts.returned == Returned::Signature && traits.thoughts.when != When::Optional;
    for content in &mut writer.contents {
        content.parts.sort_by_key(|part| part.function_response.is_none());
        if wants_proofs {
            stand_in_for_proof(&mut content.parts);
        }
    }
    if writer.contents.is_empty() {
        return Err(FormatError::invalid(
            "there must be at least one message that says something",
            "messages",
        ));
    }
    Ok(writer.contents)
}

struct Writer<'r> {
    contents: Vec<Content<'r>>,
    /// Function of each call so far, by its id.
    names: HashMap<&'r str, &'r str>,
    traits: &'r Traits,
}

impl<'r> Writer<'r> {
    fn turn(&mut self, turn: &'r Turn<'_>, unmapped: &mut Unmapped) -> Result<(), FormatError> {
        let role = match turn.role {
            TurnRole::User | TurnRole::System => "user",
            TurnRole::Assistant => "model",
        };
        let mut parts = Vec::with_capacity(turn.parts.len());
        // The proof that the next call carries, or the next part where there is no call: clients may have moved
        // thoughts before everything else.
        let has_calls = turn.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        let mut proof: Option<&'r str> = None;
        for part in &turn.parts {
            if let Part::Reasoning { text, signature, .. } = part {
                let Some(own) = signature.as_deref() else { continue };
                parts.extend(proof.replace(own).map(bare_proof));
                if !text.is_empty() {
                    parts.push(PartOut { thought: true, text: Some(text), ..PartOut::default() });
                }
            } else if let Some(mut written) = self.part(part, unmapped)? {
                if written.function_call.is_some() || !has_calls {
                    written.thought_signature = proof.take();
                }
                parts.push(written);
                if let Part::ToolResult(result) = part {
                    parts.extend(self.media_behind(result, unmapped)?);
                }
            }
        }
        parts.extend(proof.map(bare_proof));
        if parts.is_empty() {
            let text = left_out(&turn.parts);
            parts.extend(text.map(|text| PartOut { text: Some(text), ..PartOut::default() }));
        }
        match self.contents.last_mut() {
            _ if parts.is_empty() => {}
            Some(last) if last.role == role => last.parts.extend(parts),
            _ => self.contents.push(Content { role, parts }),
        }
        Ok(())
    }

    fn part(
        &mut self,
        part: &'r Part<'_>,
        unmapped: &mut Unmapped,
    ) -> Result<Option<PartOut<'r>>, FormatError> {
        Ok(match part {
            Part::Text { text, .. } | Part::Refusal(text) => {
                (!text.is_empty()).then(|| PartOut { text: Some(text), ..PartOut::default() })
            }
            Part::ToolCall(call) => {
                self.names.insert(&call.id, &call.name);
                Some(PartOut { function_call: Some(function_call(call)), ..PartOut::default() })
            }
            Part::ToolResult(result) => {
                let name = self.names.get(&*result.call_id).ok_or_else(|| {
                    let shown: String = result.call_id.chars().take(64).collect();
                    FormatError::invalid(
                        format!("the result for `{shown}` belongs to no call of the conversation"),
                        "messages",
                    )
                })?;
                let holds_media = |part: &Part<'_>| self.holds(part);
                let response = function_response(result, name, self.traits, holds_media, unmapped)?;
                Some(PartOut { function_response: Some(response), ..PartOut::default() })
            }
            Part::Reasoning { .. } => None,
            other => medium(other, self.traits, unmapped)?.map(PartOut::medium),
        })
    }

    /// Whether a result may hold this medium.
    fn holds(&self, part: &Part<'_>) -> bool {
        let takes = &self.traits.media;
        if matches!(part, Part::Image(_)) { takes.result_images } else { takes.result_documents }
    }

    /// Media of a result that may not hold them stand behind it.
    fn media_behind(
        &self,
        result: &'r ToolResult<'_>,
        unmapped: &mut Unmapped,
    ) -> Result<Vec<PartOut<'r>>, FormatError> {
        let mut behind = Vec::new();
        for part in result.parts.iter().filter(|part| !self.holds(part)) {
            behind.extend(medium(part, self.traits, unmapped)?.map(PartOut::medium));
        }
        Ok(behind)
    }
}

impl<'r> PartOut<'r> {
    fn medium((inline_data, file_data): Medium<'r>) -> Self {
        PartOut { inline_data, file_data, ..PartOut::default() }
    }
}

/// Of the calls of one step, the first carries the proof.
fn stand_in_for_proof(parts: &mut [PartOut<'_>]) {
    if let Some(first) = parts.iter_mut().find(|part| part.function_call.is_some())
        && first.thought_signature.is_none()
    {
        first.thought_signature = Some(NO_SIGNATURE);
    }
}

/// A proof whose part is gone.
fn bare_proof(signature: &str) -> PartOut<'_> {
    PartOut { text: Some(""), thought_signature: Some(signature), ..PartOut::default() }
}

fn function_call<'r>(call: &'r ToolCall<'_>) -> FunctionCall<'r> {
    FunctionCall { id: &call.id, name: &call.name, args: Arguments(&call.arguments) }
}
