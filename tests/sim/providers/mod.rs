//! The model APIs of the providers on their own paths, in one process with the simple models.
//!
//! | API | paths |
//! |---|---|
//! | OpenAI, and Gemini's endpoint that is compatible with it | `/v1/{chat/completions, completions, embeddings, responses}`, `/v1beta/openai/…` |
//! | Azure OpenAI | `/openai/deployments/{name}/{chat/completions, completions, embeddings}?api-version=`, `/openai/v1/…` |
//! | Anthropic | `/v1/messages`, `/v1/messages/count_tokens` |
//! | Bedrock | `/model/{id}/{converse, converse-stream, invoke}` |
//! | Gemini | `/v1beta/models/{name}:{generateContent, streamGenerateContent, embedContent, batchEmbedContents}` |
//!
//! Requests are read strictly, as the real APIs do, and on purpose without the code of the gateway: a wrong
//! translation is to be refused, not to be understood by its own mistake. What is answered: [`mind`].

use std::time::{SystemTime, UNIX_EPOCH};

use http::Response;
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::sim::answer;
use crate::sim::body::SimBody;

mod agent;
mod anthropic;
mod ask;
mod bedrock;
mod catalogue;
mod check;
mod event_stream;
mod gemini;
mod kept;
mod mind;
mod openai;
mod prompt_cache;
mod refuse;
mod route;
mod serve;
mod sigv4;
mod steps;

pub use sigv4::ACCESS_KEY_ID;

pub(super) use openai::store::Store;
pub(super) use prompt_cache::PromptCache;
pub(super) use serve::serve;

use self::refuse::{Dialect, Refusal};

/// Whether the models here have this name.
pub(super) fn knows(name: &str) -> bool {
    catalogue::find(name).is_some()
}

/// Whether a request shows the backend's key as its provider wants to see it.
pub(super) fn key_fits(head: &Parts, body: &[u8], key: &str) -> bool {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if bearer.and_then(|value| value.strip_prefix("Bearer ")) == Some(key) {
        return true;
    }
    let path = head.uri.path();
    if path.starts_with("/openai/") {
        header("api-key") == Some(key)
    } else if path.starts_with("/v1/messages") {
        header("x-api-key") == Some(key)
    } else if path.starts_with("/v1beta/") {
        header("x-goog-api-key") == Some(key)
    } else {
        path.starts_with("/model/") && sigv4::fits(head, body, key)
    }
}

/// The refusal of a request without the key.
pub(super) fn unauthorized(head: &Parts) -> Response<SimBody> {
    let status = |dialect| if dialect == Dialect::Bedrock { 403 } else { 401 };
    let dialect = route::dialect(head.uri.path());
    dialect.refuse(&Refusal::new(status(dialect), "Incorrect API key provided.").code("invalid_api_key"))
}

/// A text as the pieces of a stream.
fn pieces(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { answer::pieces(text, None) }
}

/// A text in two parts, so that it must be put together again.
fn halves(text: &str) -> [&str; 2] {
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (one, other) = text.split_at(middle);
    [one, other]
}

/// Seconds since the Unix epoch.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
