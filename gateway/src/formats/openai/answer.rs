//! Answers and stream chunks as views: usage, finish reason and text, nothing else.

use std::borrow::Cow;

use serde::Deserialize;

use super::usage::Usage;

/// A whole answer.
#[derive(Debug, Deserialize)]
pub struct Answer<'a> {
    /// The provider's usage report.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// The choices.
    #[serde(borrow, default)]
    pub choices: Vec<Choice<'a>>,
}

/// One choice of a whole answer.
#[derive(Debug, Deserialize)]
pub struct Choice<'a> {
    /// The message.
    #[serde(borrow, default)]
    pub message: Option<Delta<'a>>,
    /// Why the model stopped.
    #[serde(borrow, default)]
    pub finish_reason: Option<Cow<'a, str>>,
}

/// One chunk of a stream.
#[derive(Debug, Deserialize)]
pub struct Chunk<'a> {
    /// Present in one chunk when it was asked for; `null` in the others.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// Choices; empty in the chunk that carries the usage.
    #[serde(borrow, default)]
    pub choices: Vec<ChunkChoice<'a>>,
    /// An error in mid-stream.
    #[serde(default)]
    pub error: Option<serde::de::IgnoredAny>,
}

/// One choice of a chunk.
#[derive(Debug, Deserialize)]
pub struct ChunkChoice<'a> {
    /// What was added.
    #[serde(borrow, default)]
    pub delta: Option<Delta<'a>>,
    /// Why the model stopped.
    #[serde(borrow, default)]
    pub finish_reason: Option<Cow<'a, str>>,
}

/// A message or a piece of one.
#[derive(Debug, Deserialize)]
pub struct Delta<'a> {
    /// Visible text.
    #[serde(borrow, default)]
    pub content: Option<Cow<'a, str>>,
    /// Reasoning text of compatible servers.
    #[serde(borrow, default)]
    pub reasoning_content: Option<Cow<'a, str>>,
    /// Why the model would not answer.
    #[serde(borrow, default)]
    pub refusal: Option<Cow<'a, str>>,
    /// Calls of tools.
    #[serde(borrow, default)]
    pub tool_calls: Option<&'a serde_json::value::RawValue>,
}

impl Delta<'_> {
    /// The texts that were generated, for counting.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let tools = self.tool_calls.map(serde_json::value::RawValue::get);
        [self.content.as_deref(), self.reasoning_content.as_deref(), self.refusal.as_deref(), tools]
            .into_iter()
            .flatten()
    }
}

impl Answer<'_> {
    /// Whether the answer is a plain text that ended by itself: the only kind that is cached.
    #[must_use]
    pub fn is_plain_and_complete(&self) -> bool {
        match self.choices.as_slice() {
            [choice] => {
                choice.finish_reason.as_deref() == Some("stop")
                    && choice.message.as_ref().is_some_and(|message| {
                        message.content.is_some() && message.tool_calls.is_none() && message.refusal.is_none()
                    })
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_call_is_not_plain() {
        let plain = r#"{"choices":[{"message":{"content":"hi","tool_calls":null,"refusal":null},"finish_reason":"stop"}]}"#;
        let tool =
            r#"{"choices":[{"message":{"content":null,"tool_calls":[{}]},"finish_reason":"tool_calls"}]}"#;
        assert!(serde_json::from_str::<Answer<'_>>(plain).unwrap().is_plain_and_complete());
        assert!(!serde_json::from_str::<Answer<'_>>(tool).unwrap().is_plain_and_complete());
    }

    #[test]
    fn a_chunk_gives_its_text_and_usage() {
        let chunk: Chunk<'_> = serde_json::from_str(
            r#"{"id":"x","choices":[{"index":0,"delta":{"content":"h\u00e9"},"finish_reason":null}],"usage":null}"#,
        )
        .unwrap();
        assert_eq!(chunk.choices[0].delta.as_ref().unwrap().texts().collect::<String>(), "hé");
        assert!(chunk.usage.is_none());
    }
}
