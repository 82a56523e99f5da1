//! Whether an error means that the prompt is too long for the model, whatever the server calls it. Clients shrink
//! their history on that, and do not on anything else.

use std::sync::OnceLock;

use serde::Deserialize;

use crate::glob;

const FILE: &str = include_str!("../data/overflow.yaml");
/// Longer texts are looked at up to here, bytes; servers say it at once, some repeat the prompt after it.
const MOST_BYTES: usize = 8 << 10;
/// What says that a body as a whole was too large, and nothing else (RFC 9110 §15.5.14).
const CONTENT_TOO_LARGE: u16 = 413;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    as_of: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    sources: std::collections::BTreeMap<String, String>,
    codes: Vec<Code>,
    texts: Vec<Text>,
    never: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    server: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    source: String,
    code: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    server: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    source: String,
    text: String,
}

/// Whether an error of a backend means that the prompt is too long. `code` is the error's code or type, whichever the
/// format has; ask once for each where it has both. Errors that come within a stream have status 200.
#[must_use]
pub fn is_prompt_too_long(status: u16, code: Option<&str>, message: &str) -> bool {
    // Keys, unknown models, speed and overload.
    if matches!(status, 401..=404 | 429 | 503 | 529) {
        return false;
    }
    let file = file();
    let code = code.unwrap_or_default().trim().to_ascii_lowercase();
    let message = lower(message);
    let says = |texts: &[Text], said: &str| texts.iter().any(|text| glob::fits(&text.text, said));
    if says(&file.never, &message) || says(&file.never, &code) {
        return false;
    }
    if file.codes.iter().any(|known| known.code == code) || says(&file.texts, &message) {
        return true;
    }
    // Cerebras and Copilot say nothing more.
    status == CONTENT_TOO_LARGE && code.is_empty() && message.is_empty()
}

fn lower(message: &str) -> String {
    let message = message.trim();
    let mut end = message.len().min(MOST_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_ascii_lowercase()
}

/// Read once. A test holds that it can be read.
fn file() -> &'static File {
    static READ: OnceLock<File> = OnceLock::new();
    READ.get_or_init(|| serde_saphyr::from_str(FILE).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_can_be_read_and_each_line_has_a_source() {
        let file: File = serde_saphyr::from_str(FILE).unwrap();
        assert_eq!(file.as_of, "2026-11-27");
        let texts = file.texts.iter().chain(&file.never);
        for text in texts.clone() {
            assert_eq!(text.text, text.text.to_ascii_lowercase());
            assert!(!text.server.is_empty());
        }
        let sources = texts.map(|text| &text.source).chain(file.codes.iter().map(|code| &code.source));
        assert!(sources.flat_map(|source| source.split(' ')).all(|tag| file.sources.contains_key(tag)));
        assert!(file.codes.iter().all(|code| !code.server.is_empty()));
    }

    #[test]
    fn servers_are_understood_when_a_prompt_is_too_long() {
        for (status, code, message) in [
            (400, Some("context_length_exceeded"), ""),
            (400, None, "Your input exceeds the context window of this model. Please adjust your input."),
            (
                400,
                None,
                "This model's maximum context length is 128000 tokens. However, you requested 130000.",
            ),
            (400, Some("string_above_max_length"), "Invalid 'input'"),
            (400, Some("invalid_request_error"), "prompt is too long: 213462 tokens > 200000 maximum"),
            (400, None, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
            (413, Some("request_too_large"), "Request exceeds the maximum size"),
            (400, Some("ValidationException"), "Input is too long for requested model."),
            (
                400,
                None,
                "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
            ),
            (
                400,
                None,
                "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            ),
            (400, None, "Please reduce the length of the messages or completion."),
            (422, None, "The input (5000 tokens) is longer than the model's context length (4096 tokens)"),
            (422, None, "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 and 20"),
            (
                400,
                None,
                "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
            ),
            (400, None, "Invalid request: Your request exceeded model token limit: 262144"),
            (400, None, "invalid params, context window exceeds limit (2013)"),
            (400, Some("1261"), "Prompt exceeds max length"),
            (400, None, "Range of input length should be [1, 258048]"),
            (
                400,
                Some("exceed_context_size_error"),
                "the request exceeds the available context size, try increasing it",
            ),
            (
                400,
                None,
                "The number of tokens to keep from the initial prompt is greater than the context length",
            ),
            (500, None, "prompt too long; exceeded max context length by 512 tokens"),
            (400, None, "prompt token count of 200000 exceeds the limit of 128000"),
            (413, None, ""),
            (200, Some("context_length_exceeded"), "in a stream"),
        ] {
            assert!(is_prompt_too_long(status, code, message), "{code:?} {message}");
        }
    }

    #[test]
    fn other_errors_are_not_taken_for_it() {
        for (status, code, message) in [
            (429, None, "prompt is too long"),
            (400, Some("ThrottlingException"), "Too many tokens, please wait before trying again."),
            (
                413,
                Some("rate_limit_exceeded"),
                "Request too large for model on tokens per minute (TPM): Limit 6000",
            ),
            (400, None, "Rate limit: maximum context length is 5 per second"),
            (400, None, ""),
            (400, Some("invalid_value"), "image exceeds the limit of 5 MB"),
            (404, None, "The model's maximum context length is unknown"),
            (
                400,
                None,
                "max_tokens is too large: 200000. This model supports at most 16384 completion tokens",
            ),
        ] {
            assert!(!is_prompt_too_long(status, code, message), "{code:?} {message}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let message = format!("{}ä", "x".repeat(MOST_BYTES - 1));
        assert!(!is_prompt_too_long(400, None, &message));
        assert!(is_prompt_too_long(400, None, &format!("prompt is too long {message}")));
    }
}
