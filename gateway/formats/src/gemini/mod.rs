//! Google's Gemini API, native `generateContent` (v1beta): of backends here, of clients in [`client`].
//!
//! The model is part of the path. The base URL of a backend is the host with whatever comes before the version:
//! `https://generativelanguage.googleapis.com`; [`path`] adds the rest. Google's OpenAI-compatible endpoint is
//! no concern of this module: it is a backend with OpenAI's format.
//!
//! What is peculiar here and handled: results of tools name the function, not the call; a call may lack an id;
//! proofs of thoughts hang on any part; the reason to stop does not tell calls of tools from
//! the end; prompts are refused with an answer that has no candidate; thinking has a budget or a level, depending
//! on the model. Cache marks have no place: Google caches prompts by itself.

pub mod answer;
pub mod client;
pub mod count_tokens;
pub mod embeddings;
pub mod error;
mod logprobs;
pub mod request;
pub mod stream;
mod usage;
mod wire;

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Letters of a path segment that stay as they are (RFC 3986 "unreserved"), and the slash of `tunedModels/x`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Path and query of a call. `model` may stand without its collection (`gemini-2.5-flash`) or with it
/// (`models/…`, `tunedModels/…`).
#[must_use]
pub fn path(model: &str, stream: bool) -> String {
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    method_path(model, method)
}

/// The model and the method that a path of a call names; the model without the collection `models`.
#[must_use]
pub fn of_path(path: &str) -> Option<(String, &str)> {
    let (before, method) = path.rsplit_once(':')?;
    let model = match before.rsplit_once("/models/") {
        Some((_, model)) => model,
        None => &before[before.rfind("/tunedModels/")? + 1..],
    };
    let model = percent_decode_str(model).decode_utf8().ok()?;
    Some((model.into_owned(), method))
}

fn method_path(model: &str, method: &str) -> String {
    let collection = if has_collection(model) { "" } else { "models/" };
    format!("/v1beta/{collection}{}:{method}", utf8_percent_encode(model, SEGMENT))
}

/// A model with its collection, as bodies name it.
#[must_use]
pub fn resource(model: &str) -> Cow<'_, str> {
    if has_collection(model) { Cow::Borrowed(model) } else { Cow::Owned(format!("models/{model}")) }
}

fn has_collection(model: &str) -> bool {
    model.starts_with("models/") || model.starts_with("tunedModels/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_model_again() {
        assert_eq!(
            of_path("/v1beta/models/gemini-2.5-flash:generateContent"),
            Some(("gemini-2.5-flash".to_owned(), "generateContent"))
        );
        let tuned = of_path("/v1beta/tunedModels/my-1:generateContent").unwrap();
        assert_eq!(tuned.0, "tunedModels/my-1");
        assert_eq!(of_path("/v1beta/models"), None);
        assert_eq!(of_path("/upload:x"), None);
    }

    #[test]
    fn the_model_and_what_is_asked_of_it_stand_in_the_path() {
        assert_eq!(path("gemini-2.5-flash", false), "/v1beta/models/gemini-2.5-flash:generateContent");
        assert_eq!(
            path("models/gemini-3-pro-preview", true),
            "/v1beta/models/gemini-3-pro-preview:streamGenerateContent?alt=sse"
        );
        assert_eq!(path("tunedModels/my-1", false), "/v1beta/tunedModels/my-1:generateContent");
        assert_eq!(path("a?b#c:d", false), "/v1beta/models/a%3Fb%23c%3Ad:generateContent");
    }
}
