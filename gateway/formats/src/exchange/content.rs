//! What turns and answers consist of.

use std::borrow::Cow;

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

/// Begins the text of a result that says that the tool failed, where a format has no other place for that.
const FAILED: &str = "Error: ";

impl<'a> ToolResult<'a> {
    /// Its parts for a format without a flag for failures: the first text says that the tool failed. It depends on the
    /// result alone, so a prompt begins as it did a turn ago.
    #[must_use]
    pub fn telling_failure(&self) -> Cow<'_, [Part<'a>]> {
        if !self.is_error {
            return Cow::Borrowed(&self.parts);
        }
        let mut parts = self.parts.clone();
        let first = parts.iter_mut().find_map(|part| match part {
            Part::Text { text, .. } | Part::Refusal(text) => Some(text),
            _ => None,
        });
        match (first, self.json) {
            (Some(text), _) => tell_failure(text),
            (None, Some(json)) => {
                let mut text = Text::Borrowed(json.get());
                tell_failure(&mut text);
                parts.insert(0, Part::text(text));
            }
            (None, None) => parts.insert(0, Part::text(FAILED.trim_end_matches([':', ' ']))),
        }
        Cow::Owned(parts)
    }
}

/// A text that says it by itself stays as it is.
fn tell_failure(text: &mut Text<'_>) {
    let word = FAILED.trim_ascii_end();
    let start = text.trim_start().get(..word.len());
    if !start.is_some_and(|start| start.eq_ignore_ascii_case(word)) {
        *text = format!("{FAILED}{text}").into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(parts: Vec<Part<'static>>, json: Option<&'static RawValue>) -> Vec<String> {
        let result = ToolResult { call_id: "c".into(), parts, json, is_error: true, cache: None };
        let told = result.telling_failure();
        let text = |part: &Part<'_>| match part {
            Part::Text { text, .. } => text.clone().into_owned(),
            _ => "(no text)".to_owned(),
        };
        told.iter().map(text).collect()
    }

    #[test]
    fn a_result_says_once_in_its_text_that_the_tool_failed() {
        let source = Source::Url("https://x.example/a.png".into());
        let picture = || {
            Part::Image(Image { media_type: "".into(), source: source.clone(), detail: None, cache: None })
        };
        let json = serde_json::from_str(r#"{"code":7}"#).unwrap();
        assert_eq!(failed(vec![Part::text("no such file")], None), ["Error: no such file"]);
        assert_eq!(failed(vec![Part::text(" error: no")], None), [" error: no"]);
        assert_eq!(failed(vec![Part::text("Errors: 0")], None), ["Error: Errors: 0"]);
        assert_eq!(failed(vec![picture(), Part::text("a")], None), ["(no text)", "Error: a"]);
        assert_eq!(failed(vec![picture()], Some(json)), [r#"Error: {"code":7}"#, "(no text)"]);
        assert_eq!(failed(Vec::new(), None), ["Error"]);
    }

    #[test]
    fn a_result_of_a_tool_that_did_not_fail_is_as_it_was() {
        let parts = vec![Part::text("a")];
        let result = ToolResult { call_id: "c".into(), parts, json: None, is_error: false, cache: None };
        assert!(matches!(result.telling_failure(), Cow::Borrowed([Part::Text { text, .. }]) if text == "a"));
    }
}
