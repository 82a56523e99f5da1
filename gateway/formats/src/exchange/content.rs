//! What turns and answers consist of.

use serde_json::value::RawValue;

use super::Text;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnRole {
    /// The person or program that asks; also brings the results of tools.
    User,
    /// The model.
    Assistant,
    /// The developer, in the midst of the conversation. What stands before the first turn is no turn: see
    /// [`super::Request::system`].
    System,
}

/// One turn of the conversation. Neighbours of the same role are possible: formats that forbid them join them.
#[derive(Debug, Clone)]
pub struct Turn<'a> {
    /// Who speaks.
    pub role: TurnRole,
    /// Name of the participant, where the format has one.
    pub name: Option<Text<'a>>,
    /// What is said, in order.
    pub parts: Vec<Part<'a>>,
}

/// One part of a turn or of an answer.
#[derive(Debug, Clone)]
pub enum Part<'a> {
    /// Text.
    Text {
        /// The text.
        text: Text<'a>,
        /// Where the provider's prompt cache may end a prefix.
        cache: Option<CacheMark>,
    },
    /// A picture.
    Image(Image<'a>),
    /// A sound.
    Audio(Media<'a>),
    /// A file, such as a PDF.
    Document {
        /// Its bytes or address.
        media: Media<'a>,
        /// Its name.
        name: Option<Text<'a>>,
    },
    /// The model asks for a tool.
    ToolCall(ToolCall<'a>),
    /// What a tool gave; only in turns of the user.
    ToolResult(ToolResult<'a>),
    /// Thoughts of the model.
    Reasoning {
        /// The thoughts or their summary; empty where they are redacted.
        text: Text<'a>,
        /// Proof of the provider that they are unchanged; only that provider can read it. See [`super::proofs`].
        signature: Option<Text<'a>>,
        /// Thoughts that only the provider can read. See [`super::proofs`].
        redacted: Option<Text<'a>>,
    },
    /// Why the model would not answer.
    Refusal(Text<'a>),
}

/// Instructions as a text of the user that says what it is.
#[must_use]
pub fn note_text(instructions: &str) -> String {
    format!("<system-reminder>\n{instructions}\n</system-reminder>")
}

impl<'a> Turn<'a> {
    /// Instructions in the midst of a conversation, for a format or a model that has them at its beginning only:
    /// as texts of the user that say what they are. `None` if the turn is nobody's instructions.
    #[must_use]
    pub fn as_user_note(&self) -> Option<Turn<'a>> {
        if self.role != TurnRole::System {
            return None;
        }
        let note = |part: &Part<'a>| match part {
            Part::Text { text, cache } => Part::Text { text: note_text(text).into(), cache: *cache },
            other => other.clone(),
        };
        Some(Turn { role: TurnRole::User, name: None, parts: self.parts.iter().map(note).collect() })
    }
}

impl<'a> Part<'a> {
    /// A plain text.
    #[must_use]
    pub fn text(text: impl Into<Text<'a>>) -> Self {
        Self::Text { text: text.into(), cache: None }
    }
}

/// A mark up to which the prompt may be cached by the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMark {
    /// For about five minutes.
    FiveMinutes,
    /// For about one hour.
    OneHour,
}

/// Where the bytes of a medium are.
#[derive(Debug, Clone)]
pub enum Source<'a> {
    /// Here, in base64 (RFC 4648 §4).
    Base64(Text<'a>),
    /// At an address that the provider fetches.
    Url(Text<'a>),
    /// In the provider's file store, by id.
    File(Text<'a>),
}

/// A medium that is no picture.
#[derive(Debug, Clone)]
pub struct Media<'a> {
    /// MIME type (`audio/wav`, `application/pdf`); empty where the format does not say.
    pub media_type: Text<'a>,
    /// Where its bytes are.
    pub source: Source<'a>,
    /// Where the provider's prompt cache may end a prefix.
    pub cache: Option<CacheMark>,
}

/// A picture.
#[derive(Debug, Clone)]
pub struct Image<'a> {
    /// MIME type (`image/png`); empty where the format does not say.
    pub media_type: Text<'a>,
    /// Where its bytes are.
    pub source: Source<'a>,
    /// OpenAI's `detail`: `low`, `high` or `auto`.
    pub detail: Option<Text<'a>>,
    /// Where the provider's prompt cache may end a prefix.
    pub cache: Option<CacheMark>,
}

/// The model asks for a tool.
#[derive(Debug, Clone)]
pub struct ToolCall<'a> {
    /// Id that its result refers to.
    pub id: Text<'a>,
    /// Name of the tool.
    pub name: Text<'a>,
    /// Arguments as JSON text, as the model wrote it: possibly not valid. Empty means `{}`.
    pub arguments: Text<'a>,
}

/// What a tool gave.
#[derive(Debug, Clone)]
pub struct ToolResult<'a> {
    /// Id of the call.
    pub call_id: Text<'a>,
    /// Texts and pictures.
    pub parts: Vec<Part<'a>>,
    /// A structured result, where the format has one.
    pub json: Option<&'a RawValue>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// Where the provider's prompt cache may end a prefix.
    pub cache: Option<CacheMark>,
}
