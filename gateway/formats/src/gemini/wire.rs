//! `GenerateContentResponse`: a whole answer, or one step of a stream; and what its words mean.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::logprobs::LogprobsResult;
use super::usage::UsageMetadata;
use crate::calls::fingerprint;
use crate::exchange::{Stop, ToolCall};
use crate::json::Str;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response<'a> {
    /// One only: requests for several are not translated.
    #[serde(borrow, default)]
    pub(super) candidates: Vec<Candidate<'a>>,
    #[serde(borrow, default)]
    pub(super) prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(borrow, default)]
    pub(super) usage_metadata: Option<UsageMetadata<'a>>,
    #[serde(borrow, default)]
    pub(super) model_version: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) response_id: Option<Str<'a>>,
    /// In the midst of a stream.
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) logprobs_result: Option<LogprobsResult<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default)]
    pub(super) parts: Vec<PartIn<'a>>,
}

/// A union of which one field is set, beside its thought marks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartIn<'a> {
    #[serde(default)]
    pub(super) thought: bool,
    #[serde(borrow, default)]
    pub(super) thought_signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) function_call: Option<FunctionCall<'a>>,
    #[serde(borrow, default)]
    pub(super) inline_data: Option<InlineData<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FunctionCall<'a> {
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InlineData<'a> {
    #[serde(borrow, default)]
    pub(super) mime_type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) data: Str<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback<'a> {
    #[serde(borrow, default)]
    pub(super) block_reason: Option<Str<'a>>,
}

impl Response<'_> {
    /// Whether the prompt was refused.
    pub(super) fn is_blocked(&self) -> bool {
        self.candidates.is_empty()
            && self.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.is_some())
    }
}

impl<'a> FunctionCall<'a> {
    /// As a call of the common view. Where the provider gives no id, one is made from the answer's id, the call
    /// and its place, so that the same answer always has the same ids and two answers hardly ever do.
    pub(super) fn into_call(self, response_id: &str, place: u32) -> ToolCall<'a> {
        let arguments = self.args.map_or("{}", RawValue::get);
        let id = match self.id.filter(|id| !id.is_empty()) {
            Some(id) => id.into_text(),
            None => {
                let seed = [response_id, &*self.name, arguments, &place.to_string()];
                Cow::Owned(format!("call_{:016x}", fingerprint(&seed)))
            }
        };
        ToolCall { id, name: self.name.into_text(), arguments: Cow::Borrowed(arguments) }
    }
}

/// Whether the model has stopped: proxies fill the field in from the first event on.
pub(super) fn is_a_reason(reason: &Str<'_>) -> bool {
    !matches!(&**reason, "" | "FINISH_REASON_UNSPECIFIED")
}

/// What a `finishReason` means; it does not tell calls of tools from the end.
pub(super) fn stop(reason: &str, has_calls: bool) -> Stop {
    match reason {
        "STOP" if has_calls => Stop::ToolUse,
        "STOP" => Stop::End,
        "MAX_TOKENS" => Stop::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Stop::ContentFilter,
        _ => Stop::Other,
    }
}
