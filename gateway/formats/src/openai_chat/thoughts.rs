//! Thoughts of messages, in the fields of different servers: plain text, blocks with proofs, OpenRouter's details.

use serde_json::value::RawValue;

use crate::exchange::Part;
use crate::json::Str;

/// Thoughts with a proof of the provider, as gateways in front of Anthropic carry them in this format.
#[derive(Debug, serde::Deserialize)]
pub(super) struct ThinkingBlock<'a> {
    #[serde(borrow, default)]
    thinking: Option<Str<'a>>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    data: Option<Str<'a>>,
}

impl<'a> ThinkingBlock<'a> {
    pub(super) fn part(self) -> Part<'a> {
        Part::Reasoning {
            text: self.thinking.map(Str::into_text).unwrap_or_default(),
            signature: self.signature.map(Str::into_text),
            redacted: self.data.map(Str::into_text),
        }
    }
}

/// An item of `reasoning_details`, in which OpenRouter gives thoughts with the proofs of whoever made them.
#[derive(Debug, serde::Deserialize)]
pub(super) struct ReasoningDetail<'a> {
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    summary: Option<Str<'a>>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    data: Option<Str<'a>>,
}

impl<'a> ReasoningDetail<'a> {
    pub(super) fn part(self) -> Part<'a> {
        Part::Reasoning {
            text: self.text.or(self.summary).map(Str::into_text).unwrap_or_default(),
            signature: self.signature.map(Str::into_text),
            redacted: self.data.map(Str::into_text),
        }
    }
}

/// The thoughts in `reasoning_details`; other servers may have another field of this name.
pub(super) fn details<'a>(raw: Option<&'a RawValue>) -> impl Iterator<Item = Part<'a>> {
    let items: Option<Vec<ReasoningDetail<'a>>> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
    items.into_iter().flatten().map(ReasoningDetail::part)
}

/// The thoughts of a message: with proofs where it has them, else as plain text.
pub(super) fn thoughts<'a>(
    blocks: Option<Vec<ThinkingBlock<'a>>>,
    details_given: Option<&'a RawValue>,
    text: Option<Str<'a>>,
) -> Vec<Part<'a>> {
    if let Some(blocks) = blocks.filter(|blocks| !blocks.is_empty()) {
        return blocks.into_iter().map(ThinkingBlock::part).collect();
    }
    let proven: Vec<Part<'a>> = details(details_given).collect();
    if !proven.is_empty() {
        return proven;
    }
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| Part::Reasoning { text: text.0, signature: None, redacted: None }).into_iter().collect()
}
