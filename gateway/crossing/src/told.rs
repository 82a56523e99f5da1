//! An error of a backend on its way to the client: read in the backend's format, told in the client's and with the
//! words and codes that its programs look for.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_formats::meaning::{BackendError, Meaning};
use tollgate_formats::{ClientError, FormatError};
use tollgate_schemas::ids::RequestId;

use super::client::ClientFormat;
use super::crossing::Crossing;
use super::wire::Wire;

/// What a client reads of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<'e> {
    /// The provider's, with a beginning that clients know where they look for one.
    pub message: Cow<'e, str>,
    /// The provider's code, or the one that says the same in the client's format.
    pub code: Option<&'e str>,
}

/// The code by which clients of OpenAI's formats know that they have to shorten the prompt.
const TOO_LONG: &str = "context_length_exceeded";
/// The code of OpenAI and Azure for a content that a filter refuses.
const FILTERED: &str = "content_filter";
/// With these words Anthropic says that a prompt is too long; its clients shorten the conversation on reading them.
const PROMPT_IS_TOO_LONG: &str = "prompt is too long";
/// And so it says that prompt and answer together are; its clients ask for a shorter answer.
const BOTH_ARE_TOO_LONG: &str = "exceed context limit";

impl ClientFormat {
    /// What its clients are told of an error.
    #[must_use]
    pub fn words(self, said: &BackendError) -> Words<'_> {
        let (message, code) = (Cow::Borrowed(&*said.error.message), said.error.code.as_deref());
        match (self, said.meaning) {
            (Self::Messages, Meaning::TooLong) => Words { message: in_anthropics_words(message), code },
            (Self::Gemini { .. } | Self::GeminiEmbeddings(_), Meaning::TooLong) => {
                Words { message: in_googles_words(message), code }
            }
            (Self::Messages | Self::Gemini { .. } | Self::GeminiEmbeddings(_), _) => Words { message, code },
            (_, Meaning::TooLong) => Words { message, code: Some(TOO_LONG) },
            (_, Meaning::Filtered) if code != Some("content_policy_violation") => {
                Words { message, code: Some(FILTERED) }
            }
            _ => Words { message, code },
        }
    }

    /// The status of a refusal.
    #[must_use]
    pub const fn refusal_status(self, said: &BackendError) -> u16 {
        match said.status {
            status @ (400..=499 | 501 | 505) => status,
            // A server of one's own said 500 of a request that it cannot take.
            _ => 400,
        }
    }

    /// A refusal in its own form.
    #[must_use]
    pub fn refusal(self, said: &BackendError, request_id: RequestId) -> Bytes {
        let Words { message, code } = self.words(said);
        let request_id = request_id.to_string();
        let shown = ClientError {
            kind: said.error.kind,
            message: &message,
            code: Some(code.unwrap_or("backend_refused")),
            param: said.error.param.as_deref(),
            request_id: Some(&request_id),
        };
        self.encode_error(&shown).into()
    }
}

impl Crossing {
    /// What a backend says with an error, and what it means.
    #[must_use]
    pub fn error(self, head: &http::response::Parts, body: &[u8]) -> BackendError {
        let error_type = head.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let status = head.status.as_u16();
        BackendError::new(status, self.wire.decode_error(status, error_type, body))
    }

    /// A backend's refusal for the client: as it came where both speak the same format, it is JSON and has the words
    /// that clients look for; else in the client's form with what the backend said.
    #[must_use]
    pub fn refusal(self, said: &BackendError, body: Bytes, request_id: RequestId) -> Bytes {
        let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        let is_in_words = || {
            let Words { message, code } = self.client.words(said);
            message == said.error.message && code == said.error.code.as_deref()
        };
        if self.is_native() && is_in_words() && is_json() {
            return body;
        }
        self.client.refusal(said, request_id)
    }
}

impl Wire {
    /// The error that an answer turned out to be although its status says success; `fault` where it is none.
    pub(crate) fn error_in(self, body: &[u8], fault: FormatError) -> FormatError {
        #[derive(Deserialize)]
        struct Marks<'a> {
            #[serde(borrow, default)]
            error: Option<&'a RawValue>,
            #[serde(borrow, default)]
            object: Option<&'a RawValue>,
            #[serde(borrow, default, rename = "__type")]
            aws_type: Option<&'a RawValue>,
            #[serde(borrow, default, alias = "Message")]
            message: Option<&'a RawValue>,
        }
        if matches!(fault, FormatError::Provider(_)) {
            return fault;
        }
        // Google wraps the errors of its streams in a list.
        let start = body.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b'[').unwrap_or(0);
        let mut reader = serde_json::Deserializer::from_slice(&body[start..]);
        let Ok(marks) = Marks::deserialize(&mut reader) else { return fault };
        let is_error = match self {
            Self::Converse | Self::Invoke => marks.aws_type.is_some() || marks.message.is_some(),
            _ => marks.error.is_some() || marks.object.is_some_and(|object| object.get() == "\"error\""),
        };
        match is_error {
            true => FormatError::Provider(Box::new(self.decode_error(200, None, body))),
            false => fault,
        }
    }
}

/// A message that begins as Anthropic's does, with its two numbers where they can be told.
fn in_anthropics_words(message: Cow<'_, str>) -> Cow<'_, str> {
    let small = message.to_ascii_lowercase();
    if small.starts_with(PROMPT_IS_TOO_LONG) || small.contains(BOTH_ARE_TOO_LONG) {
        return message;
    }
    match lengths(&message) {
        Some((asked, most)) => {
            format!("{PROMPT_IS_TOO_LONG}: {asked} tokens > {most} maximum ({message})").into()
        }
        None => format!("{PROMPT_IS_TOO_LONG}: {message}").into(),
    }
}

/// A message as Google says it, with its two numbers where they can be told.
fn in_googles_words(message: Cow<'_, str>) -> Cow<'_, str> {
    const WORDS: &str = "exceeds the maximum number of tokens allowed";
    if message.contains(WORDS) {
        return message;
    }
    match lengths(&message) {
        Some((asked, most)) => format!("The input token count ({asked}) {WORDS} ({most}). {message}").into(),
        None => format!("The input token count {WORDS}. {message}").into(),
    }
}

/// What was asked for and the most there may be, if the text has just these two numbers.
fn lengths(message: &str) -> Option<(u64, u64)> {
    let mut found = [0_u64; 2];
    let mut count = 0;
    for word in
        message.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != ',' && letter != '.')
    {
        let digits = word.trim_end_matches(['.', ',']).replace(',', "");
        let Ok(number) = digits.parse::<u64>() else { continue };
        if number < 256 || found.contains(&number) {
            continue;
        }
        *found.get_mut(count)? = number;
        count += 1;
    }
    (count == 2).then(|| (found[0].max(found[1]), found[0].min(found[1])))
}

#[cfg(test)]
#[path = "told_tests.rs"]
mod tests;
