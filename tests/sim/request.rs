//! The parts of requests that matter here, borrowed from the body.

use std::borrow::Cow;

use serde::Deserialize;

/// `POST /v1/chat/completions`.
#[derive(Debug, Deserialize)]
pub struct ChatRequest<'a> {
    /// Which model.
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    /// The conversation.
    #[serde(borrow)]
    pub messages: Vec<Message<'a>>,
    /// Whether the answer comes as a stream.
    #[serde(default)]
    pub stream: bool,
    /// Options of the stream.
    #[serde(default)]
    pub stream_options: Option<StreamOptions>,
    /// Most tokens of the answer.
    #[serde(default, alias = "max_completion_tokens")]
    pub max_tokens: Option<u64>,
    /// Asks for reasoning, which costs tokens.
    #[serde(default, borrow)]
    pub reasoning_effort: Option<Cow<'a, str>>,
}

/// `stream_options`.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct StreamOptions {
    /// Whether the stream ends with a chunk that has the usage.
    #[serde(default)]
    pub include_usage: bool,
}

/// One message.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    /// Who says it.
    #[serde(borrow)]
    pub role: Cow<'a, str>,
    /// What is said; none for an answer that is tool calls alone.
    #[serde(default, borrow)]
    pub content: Option<Content<'a>>,
}

/// A text, or parts of which some are texts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Content<'a> {
    /// One text.
    Text(#[serde(borrow)] Cow<'a, str>),
    /// Parts.
    Parts(#[serde(borrow)] Vec<Part<'a>>),
}

/// A part of a message.
#[derive(Debug, Deserialize)]
pub struct Part<'a> {
    /// The text of a text part.
    #[serde(default, borrow)]
    pub text: Option<Cow<'a, str>>,
}

impl Message<'_> {
    /// Its texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (whole, parts): (Option<&str>, &[Part<'_>]) = match &self.content {
            Some(Content::Text(text)) => (Some(text), &[]),
            Some(Content::Parts(parts)) => (None, parts),
            None => (None, &[]),
        };
        whole.into_iter().chain(parts.iter().filter_map(|part| part.text.as_deref()))
    }
}

impl ChatRequest<'_> {
    /// What the answer is about: the last thing the user said.
    #[must_use]
    pub fn question(&self) -> String {
        let last = self.messages.iter().rev().find(|message| message.role == "user");
        last.map(|message| message.texts().collect::<Vec<_>>().join(" ")).unwrap_or_default()
    }

    /// Whether a stream must end with its usage.
    #[must_use]
    pub fn wants_usage(&self) -> bool {
        self.stream_options.is_some_and(|options| options.include_usage)
    }
}

/// `POST /v1/embeddings`.
#[derive(Debug, Deserialize)]
pub struct EmbeddingsRequest<'a> {
    /// Which model.
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    /// One text or several.
    #[serde(borrow)]
    pub input: Input<'a>,
}

/// What is embedded.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Input<'a> {
    /// One text.
    One(#[serde(borrow)] Cow<'a, str>),
    /// Several.
    Many(#[serde(borrow)] Vec<Cow<'a, str>>),
}

impl Input<'_> {
    /// All texts.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts.iter().map(AsRef::as_ref).collect(),
        }
    }
}
