//! Bedrock's CountTokens: how many tokens the prompt of a Converse request has. Claude models alone are counted.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::operation_path;
use crate::error::FormatError;
use crate::json::Object;
use crate::view;

/// What the ids of Claude models begin with, after the region of an inference profile.
const CLAUDE: &str = "anthropic.";

/// Path of a call; `None` for models that are not counted. Inference profiles are counted by their model.
#[must_use]
pub fn path(model: &str) -> Option<String> {
    // The ARN of an application's profile does not say which model is behind it.
    let is_arn = model.starts_with("arn:");
    let at = if is_arn { model.rfind(CLAUDE)? } else { model.find(CLAUDE)? };
    let before = &model[..at];
    let is_model = before.is_empty() || before.ends_with(['.', '/']);
    is_model.then(|| operation_path(&model[at..], "count-tokens"))
}

/// The request for a count, from the Converse request whose prompt is to be counted.
///
/// # Errors
/// When that is no JSON object.
pub fn request(converse: &[u8]) -> Result<Vec<u8>, FormatError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Converse<'a> {
        #[serde(borrow, default)]
        messages: Option<&'a RawValue>,
        #[serde(borrow, default)]
        system: Option<&'a RawValue>,
        #[serde(borrow, default)]
        tool_config: Option<&'a RawValue>,
        #[serde(borrow, default)]
        additional_model_request_fields: Option<&'a RawValue>,
    }
    let read: Converse<'_> = view::read(converse)?;
    let mut out = Vec::with_capacity(256);
    let mut body = Object::new(&mut out);
    let mut input = Object::new(body.key("input"));
    let mut counted = Object::new(input.key("converse"));
    let fields = [
        ("messages", read.messages),
        ("system", read.system),
        ("toolConfig", read.tool_config),
        ("additionalModelRequestFields", read.additional_model_request_fields),
    ];
    for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        counted.put(name, &value);
    }
    counted.end();
    input.end();
    body.end();
    Ok(out)
}

/// Reads the answer: tokens of the prompt.
///
/// # Errors
/// When it is no token count.
pub fn decode(body: &[u8]) -> Result<u64, FormatError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        input_tokens: u64,
    }
    Ok(serde_json::from_slice::<Count>(body)?.input_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_of_anthropic_are_counted_and_profiles_by_their_model() {
        let counted = Some("/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens".to_owned());
        for model in [
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ] {
            assert_eq!(path(model), counted, "{model}");
        }
        for model in ["amazon.nova-pro-v1:0", "arn:aws:bedrock:us-east-1:1:application-inference-profile/ab"]
        {
            assert_eq!(path(model), None, "{model}");
        }
    }

    #[test]
    fn the_prompt_of_a_converse_request_is_counted_and_nothing_else_of_it() {
        let converse = br#"{"messages":[{"role":"user","content":[{"text":"a"}]}],"inferenceConfig":{"maxTokens":5},"toolConfig":{"tools":[]}}"#;
        let expected = r#"{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"a"}]}],"toolConfig":{"tools":[]}}}}"#;
        assert_eq!(String::from_utf8(request(converse).unwrap()).unwrap(), expected);
        assert_eq!(decode(br#"{"inputTokens":12}"#), Ok(12));
    }
}
