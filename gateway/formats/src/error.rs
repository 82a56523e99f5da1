//! What can go wrong: bodies that cannot be read, requests that cannot be carried, errors of providers.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::error::Category;

/// A body, event or request that cannot be read or written in a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is not what the format says; the text names place and fault.
    #[error("{message}")]
    Invalid {
        /// What is wrong.
        message: String,
        /// The parameter at fault.
        param: Option<Cow<'static, str>>,
    },
    /// A parameter of the client has no place in the backend's format.
    #[error("`{param}` is not supported by the model behind this alias; leave it out")]
    Unsupported {
        /// The parameter, as the client's format calls it.
        param: Cow<'static, str>,
    },
    /// The stream was cut before the model had finished.
    #[error("the stream ended before the model had finished")]
    CutShort,
    /// The answer is an error of the provider, under a status that says success.
    #[error("{}", .0.message)]
    Provider(Box<ProviderError>),
}

impl FormatError {
    /// Something is wrong with a parameter.
    #[must_use]
    pub fn invalid(message: impl Into<String>, param: impl Into<Option<&'static str>>) -> Self {
        Self::Invalid { message: message.into(), param: param.into().map(Cow::Borrowed) }
    }
}

/// An answer that cannot be read. The parser's own words would quote it, and answers must not get into logs.
impl From<serde_json::Error> for FormatError {
    fn from(error: serde_json::Error) -> Self {
        let fault = match error.classify() {
            Category::Data => "a value has not the form that was expected",
            Category::Eof => "it ends too early",
            Category::Syntax | Category::Io => "it is not JSON",
        };
        let (line, column) = (error.line(), error.column());
        let message = format!("the JSON cannot be read: {fault} (line {line} column {column})");
        Self::Invalid { message, param: None }
    }
}

/// What is wrong with the JSON of a request, for its sender: what was expected, but not what stands there. Errors
/// of requests get into logs as well.
pub(crate) fn request_fault(error: &serde_json::Error) -> String {
    const QUOTING: [&str; 4] = ["invalid type: ", "invalid value: ", "unknown variant `", "unknown field `"];
    let text = error.to_string();
    if !QUOTING.into_iter().any(|start| text.starts_with(start)) {
        return text;
    }
    // What is quoted can hold the same words, but it comes first.
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => format!("an unexpected value at line {} column {}", error.line(), error.column()),
    }
}

/// Kinds of provider errors, as far as clients tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderErrorKind {
    /// The request is at fault.
    InvalidRequest,
    /// The credentials are not valid.
    Authentication,
    /// The credentials do not allow it.
    Permission,
    /// The model or object does not exist.
    NotFound,
    /// The request is too large.
    TooLarge,
    /// Too many requests or tokens.
    RateLimit,
    /// The provider is overloaded.
    Overloaded,
    /// The provider took too long.
    Timeout,
    /// The provider failed.
    Server,
}

/// An error of a provider, in words that every format has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// Its kind.
    pub kind: ProviderErrorKind,
    /// What it says.
    pub message: String,
    /// The HTTP status that the error names itself: it can stand in an answer that says 200.
    pub status: Option<u16>,
    /// The provider's own code, where it has one.
    pub code: Option<String>,
    /// The parameter at fault, where it names one.
    pub param: Option<String>,
    /// How long to wait, where it says so.
    pub retry_after: Option<Duration>,
}

impl ProviderError {
    /// As the client is told of it.
    #[must_use]
    pub fn shown<'a>(&'a self, request_id: Option<&'a str>) -> ClientError<'a> {
        ClientError {
            kind: self.kind,
            message: &self.message,
            code: self.code.as_deref(),
            param: self.param.as_deref(),
            request_id,
        }
    }
}

/// An error as a client is told of it, whoever is at fault; each format writes it in its own shape.
#[derive(Debug, Clone, Copy)]
pub struct ClientError<'a> {
    /// Its kind.
    pub kind: ProviderErrorKind,
    /// What the client reads.
    pub message: &'a str,
    /// Stable code, where there is one.
    pub code: Option<&'a str>,
    /// The parameter at fault, where one is.
    pub param: Option<&'a str>,
    /// The gateway's id of the request.
    pub request_id: Option<&'a str>,
}

impl ProviderErrorKind {
    /// The kind that an HTTP status stands for.
    #[must_use]
    pub const fn from_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Server,
        }
    }

    /// The HTTP status that stands for it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::Timeout => 504,
            Self::TooLarge => 413,
            Self::RateLimit => 429,
            Self::Overloaded => 503,
            Self::Server => 500,
        }
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
