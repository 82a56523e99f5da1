//! A whole answer of Converse.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{AdditionalFields, ServiceTier, TokenUsage, stop};
use crate::error::FormatError;
use crate::exchange::{Answer, Image, Part, Source, ToolCall, Usage};
use crate::json::{self, Str};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    #[serde(borrow)]
    stop_reason: Str<'a>,
    #[serde(borrow, default)]
    usage: Option<TokenUsage<'a>>,
    #[serde(borrow, default)]
    additional_model_response_fields: Option<AdditionalFields<'a>>,
    #[serde(borrow, default)]
    service_tier: Option<ServiceTier<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
}

/// A union of which one field is set; blocks of other kinds have none of these.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<ReasoningContent<'a>>,
    #[serde(borrow, default)]
    citations_content: Option<CitationsContent<'a>>,
    #[serde(borrow, default)]
    image: Option<ImageBlock<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    #[serde(borrow)]
    tool_use_id: Str<'a>,
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningContent<'a> {
    #[serde(borrow, default)]
    reasoning_text: Option<ReasoningText<'a>>,
    #[serde(borrow, default)]
    redacted_content: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct ReasoningText<'a> {
    #[serde(borrow)]
    text: Str<'a>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
}

/// Text with its sources; only the text is taken over.
#[derive(Deserialize)]
struct CitationsContent<'a> {
    #[serde(borrow, default)]
    content: Vec<CitedText<'a>>,
}

#[derive(Deserialize)]
struct CitedText<'a> {
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct ImageBlock<'a> {
    #[serde(borrow)]
    format: Str<'a>,
    #[serde(borrow)]
    source: ImageSource<'a>,
}

#[derive(Deserialize)]
pub(super) struct ImageSource<'a> {
    #[serde(borrow, default)]
    pub(super) bytes: Option<Str<'a>>,
}

/// Reads an answer. It has neither id nor model in its body; those are empty.
///
/// # Errors
/// When the body is not what Converse answers.
pub fn decode(body: &[u8]) -> Result<Answer<'_>, FormatError> {
    let body: Body<'_> = serde_json::from_str(json::answer_text(body)?)?;
    let blocks = body.output.message.content;
    let mut parts = Vec::with_capacity(blocks.len());
    for block in blocks {
        read_block(block, &mut parts);
    }
    Ok(Answer {
        id: Cow::Borrowed(""),
        model: Cow::Borrowed(""),
        created_s: None,
        parts,
        stop: stop(&body.stop_reason),
        stop_sequence: body
            .additional_model_response_fields
            .and_then(|fields| fields.stop_sequence)
            .map(Str::into_text),
        usage: body.usage.map(Usage::from),
        logprobs: None,
        service_tier: body.service_tier.map(|tier| tier.kind.into_text()),
    })
}

fn read_block<'a>(block: Block<'a>, parts: &mut Vec<Part<'a>>) {
    parts.extend(block.text.map(|text| Part::text(text.into_text())));
    parts.extend(block.tool_use.map(|call| {
        Part::ToolCall(ToolCall {
            id: call.tool_use_id.into_text(),
            name: call.name.into_text(),
            arguments: call.input.map_or(Cow::Borrowed("{}"), |input| Cow::Borrowed(input.get())),
        })
    }));
    parts.extend(block.reasoning_content.map(|thoughts| {
        let (text, signature) = thoughts
            .reasoning_text
            .map_or((Cow::Borrowed(""), None), |thought| (thought.text.into_text(), thought.signature));
        Part::Reasoning {
            text,
            signature: signature.map(Str::into_text),
            redacted: thoughts.redacted_content.map(Str::into_text),
        }
    }));
    let cited = block.citations_content.into_iter().flat_map(|citations| citations.content);
    parts.extend(cited.filter_map(|cited| cited.text).map(|text| Part::text(text.into_text())));
    parts.extend(block.image.and_then(|image| {
        let media_type = Cow::Owned(format!("image/{}", &*image.format));
        let source = Source::Base64(image.source.bytes?.into_text());
        Some(Part::Image(Image { media_type, source, detail: None, cache: None }))
    }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exchange::Stop;

    #[test]
    fn text_thoughts_and_calls_are_read_in_order() {
        let body = br#"{"output":{"message":{"role":"assistant","content":[
            {"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig"}}},
            {"reasoningContent":{"redactedContent":"AAEC"}},
            {"text":"Looking."},
            {"toolUse":{"toolUseId":"t1","name":"weather","input":{"city": "Bern"}}},
            {"citationsContent":{"content":[{"text":"Cited."}],"citations":[{"title":"x"}]}}]}},
            "stopReason":"tool_use","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},
            "metrics":{"latencyMs":5},"serviceTier":{"type":"flex"}}"#;
        let answer = decode(body).unwrap();
        assert_eq!((answer.stop, answer.service_tier.as_deref()), (Stop::ToolUse, Some("flex")));
        let [thought, redacted, text, call, cited] = &answer.parts[..] else { panic!("{:?}", answer.parts) };
        assert!(
            matches!(thought, Part::Reasoning { text, signature: Some(sig), .. } if text == "hm" && sig == "sig")
        );
        assert!(matches!(redacted, Part::Reasoning { redacted: Some(data), .. } if data == "AAEC"));
        assert!(matches!(text, Part::Text { text, .. } if text == "Looking."));
        assert!(
            matches!(call, Part::ToolCall(call) if call.id == "t1" && call.arguments == r#"{"city": "Bern"}"#)
        );
        assert!(matches!(cited, Part::Text { text, .. } if text == "Cited."));
    }

    #[test]
    fn the_stop_text_is_read_where_the_model_tells_it() {
        let body = br#"{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"stop_sequence",
            "additionalModelResponseFields":{"stop_sequence":"END"}}"#;
        let answer = decode(body).unwrap();
        assert_eq!((answer.stop, answer.stop_sequence.as_deref()), (Stop::StopSequence, Some("END")));
        assert!(answer.usage.is_none());
    }

    #[test]
    fn plain_text_is_borrowed_from_the_body() {
        let body = br#"{"output":{"message":{"content":[{"text":"hi"}]}},"stopReason":"end_turn"}"#;
        let answer = decode(body).unwrap();
        assert!(matches!(&answer.parts[..], [Part::Text { text: Cow::Borrowed("hi"), .. }]));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert!(decode(b"{}").is_err());
        assert!(decode(b"\xff").is_err());
        assert!(decode(br#"{"output":{},"stopReason":"end_turn"}"#).is_err());
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&body);
        }
    }
}
