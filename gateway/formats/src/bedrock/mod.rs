//! Amazon Bedrock: Converse and ConverseStream, and embeddings by InvokeModel (Bedrock Runtime API,
//! 2023-09-30). A format of backends only.
//!
//! The model's id is part of the path, never of the body. Answers come as JSON, streams in the binary framing
//! of [`event_stream`]; requests are signed by the backend's credentials. The base URL of a backend is the
//! endpoint of a region: `https://bedrock-runtime.eu-central-1.amazonaws.com`.
//!
//! What is peculiar here and handled: turns alternate and the first is the user's; results of tools open the
//! user's turn; texts may not be blank; pictures are bytes, never addresses; tools cannot be forbidden, and those
//! that a conversation called must be declared; what only some models know stands in `additionalModelRequestFields`.
//! ARNs of provisioned, imported and application inference profiles do not name their model: unless the configuration
//! does, such a model is told what Converse itself knows and nothing more.

pub mod answer;
pub mod count_tokens;
pub mod embeddings;
pub mod error;
pub mod event_stream;
pub mod invoke;
mod picture;
pub mod request;
pub mod stream;
mod wire;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Letters of a path segment that stay as they are (RFC 3986 "unreserved"). AWS SDKs write the rest in percent
/// signs, `:` and `/` of ARNs too, and signatures are over what is written.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Path of a call of a model or inference profile, by id or ARN.
#[must_use]
pub fn path(model: &str, stream: bool) -> String {
    operation_path(model, if stream { "converse-stream" } else { "converse" })
}

/// The model and the operation that a path of a call names.
#[must_use]
pub fn of_path(path: &str) -> Option<(String, &str)> {
    let (before, operation) = path.rsplit_once('/')?;
    let (_, model) = before.rsplit_once("/model/")?;
    let model = percent_decode_str(model).decode_utf8().ok()?;
    (!model.is_empty()).then(|| (model.into_owned(), operation))
}

fn operation_path(model: &str, operation: &str) -> String {
    format!("/model/{}/{operation}", utf8_percent_encode(model, SEGMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_model_again() {
        for model in ["us.amazon.nova-pro-v1:0", "arn:aws:bedrock:us-east-1:1:inference-profile/x"] {
            assert_eq!(of_path(&path(model, true)), Some((model.to_owned(), "converse-stream")));
        }
        assert_eq!(of_path("/model//converse"), None);
        assert_eq!(of_path("/guardrail/x/apply"), None);
    }

    #[test]
    fn ids_and_arns_are_one_segment_of_the_path() {
        assert_eq!(
            path("anthropic.claude-3-5-sonnet-20240620-v1:0", false),
            "/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/converse"
        );
        assert_eq!(
            path("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0", true),
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2F\
             us.amazon.nova-pro-v1%3A0/converse-stream"
        );
    }
}
