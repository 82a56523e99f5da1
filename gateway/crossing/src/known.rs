//! What is known of a call that is passed through, from its backend's format and its path: how to read what it
//! used. What is not known passes all the same.

use bytes::Bytes;
use http::{HeaderMap, Method};
use tollgate_formats::BackendFormat;
use tollgate_formats::openai_media::MediaKind;
use tollgate_formats::openai_media::usage::of_answer;
use tollgate_formats::{Usage, bedrock, gemini, openai_embeddings};
use tollgate_schemas::usage::Operation;

use super::wire::Wire;

/// Longest model name that is noted, bytes.
const MAX_MODEL_BYTES: usize = 256;

/// A call whose answer says what was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// How to read its answer.
    pub reading: Reading,
    /// The model, where the path names it.
    pub model: Option<String>,
}

/// How an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As one of an API format.
    Wire(Wire),
    /// Bedrock's InvokeModel.
    Invoke,
}

/// What an answer said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    /// What was used.
    pub usage: Option<Usage>,
    /// The model, where it says so.
    pub model: Option<String>,
}

impl Known {
    /// Of a call of a backend of this format. `path` is the one at the backend.
    #[must_use]
    pub fn of(format: BackendFormat, method: &Method, path: &str) -> Option<Self> {
        if method != Method::POST {
            return None;
        }
        match format {
            BackendFormat::OpenAi | BackendFormat::AzureOpenAi => {
                openai(path).map(|wire| Self { reading: Reading::Wire(wire), model: None })
            }
            BackendFormat::Anthropic => path
                .ends_with("/v1/messages")
                .then_some(Self { reading: Reading::Wire(Wire::Messages), model: None }),
            BackendFormat::Bedrock => {
                let (model, operation) = bedrock::of_path(path)?;
                let reading = match operation {
                    "converse" | "converse-stream" => Reading::Wire(Wire::Converse),
                    "invoke" | "invoke-with-response-stream" => Reading::Invoke,
                    _ => return None,
                };
                Some(Self { reading, model: Some(model) }.bounded())
            }
            BackendFormat::Gemini => {
                let (model, method) = gemini::of_path(path)?;
                let known = matches!(method, "generateContent" | "streamGenerateContent");
                known.then(|| Self { reading: Reading::Wire(Wire::Generate), model: Some(model) }.bounded())
            }
        }
    }

    fn bounded(mut self) -> Self {
        self.model = self.model.filter(|model| model.len() <= MAX_MODEL_BYTES);
        self
    }
}

fn openai(path: &str) -> Option<Wire> {
    let known = [
        ("/chat/completions", Wire::Chat),
        ("/completions", Wire::Completions),
        ("/responses", Wire::Responses),
        ("/embeddings", Wire::Embeddings),
    ];
    let media = MediaKind::ALL.into_iter().map(|kind| (kind.path(), Wire::Media(kind)));
    known.into_iter().chain(media).find_map(|(end, wire)| path.ends_with(end).then_some(wire))
}

impl Reading {
    /// The kind of operation for events.
    #[must_use]
    pub const fn operation(self) -> Operation {
        match self {
            Self::Wire(Wire::Chat | Wire::Responses | Wire::Messages | Wire::Converse | Wire::Generate) => {
                Operation::Chat
            }
            Self::Wire(Wire::Completions) => Operation::TextCompletion,
            Self::Wire(Wire::Embeddings | Wire::Invoke | Wire::BatchEmbed) => Operation::Embeddings,
            Self::Wire(Wire::Media(kind)) => super::ClientFormat::Media(kind).operation(),
            Self::Invoke => Operation::Passthrough,
        }
    }

    /// What the headers of an answer say.
    #[must_use]
    pub fn of_headers(self, headers: &HeaderMap) -> Option<Usage> {
        if self != Self::Invoke {
            return None;
        }
        let count = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
        bedrock::invoke::usage(bedrock::invoke::USAGE_HEADERS.map(count))
    }

    /// What a whole answer says; nothing when it cannot be read.
    #[must_use]
    pub fn of_answer(self, body: &Bytes) -> AnswerFacts {
        let wire = match self {
            Self::Invoke => return AnswerFacts::default(),
            Self::Wire(wire) => wire,
        };
        match wire {
            Wire::Embeddings => {
                let usage = openai_embeddings::answer::usage(body).ok().flatten();
                AnswerFacts { usage, model: model_of(body) }
            }
            Wire::Media(kind) => AnswerFacts { usage: of_answer(kind, body), model: None },
            wire => wire.decode_answer(body).map_or_else(
                |_| AnswerFacts::default(),
                |answer| AnswerFacts { usage: answer.usage, model: name(&answer.model) },
            ),
        }
    }
}

/// A model's name as an answer says it, bounded; `None` if it says nothing.
#[must_use]
pub fn name(said: &str) -> Option<String> {
    (1..=MAX_MODEL_BYTES).contains(&said.len()).then(|| said.to_owned())
}

fn model_of(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        model: String,
    }
    serde_json::from_slice::<Named>(body).ok().and_then(|named| name(&named.model))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(format: BackendFormat, path: &str) -> Option<(Reading, Option<String>)> {
        Known::of(format, &Method::POST, path).map(|known| (known.reading, known.model))
    }

    #[test]
    fn paths_of_each_format_are_known() {
        use BackendFormat as F;
        let wire = |wire| Some((Reading::Wire(wire), None));
        assert_eq!(known(F::OpenAi, "/v1/chat/completions"), wire(Wire::Chat));
        assert_eq!(known(F::OpenAi, "/v1/completions"), wire(Wire::Completions));
        assert_eq!(known(F::OpenAi, "/v1/files"), None);
        assert_eq!(known(F::OpenAi, "/v1/responses/resp_1/cancel"), None);
        assert_eq!(
            known(F::AzureOpenAi, "/openai/deployments/d/audio/speech"),
            wire(Wire::Media(MediaKind::Speech))
        );
        assert_eq!(known(F::Anthropic, "/v1/messages"), wire(Wire::Messages));
        assert_eq!(known(F::Anthropic, "/v1/messages/count_tokens"), None);
        let model = Some("a:0".to_owned());
        assert_eq!(
            known(F::Bedrock, "/model/a%3A0/converse-stream"),
            Some((Reading::Wire(Wire::Converse), model.clone()))
        );
        assert_eq!(known(F::Bedrock, "/model/a%3A0/invoke"), Some((Reading::Invoke, model)));
        assert_eq!(known(F::Bedrock, "/model/a/count-tokens"), None);
        assert_eq!(known(F::Gemini, "/v1beta/models/g:countTokens"), None);
        assert_eq!(
            known(F::Gemini, "/v1beta/models/g:streamGenerateContent"),
            Some((Reading::Wire(Wire::Generate), Some("g".to_owned())))
        );
        assert_eq!(Known::of(F::OpenAi, &Method::GET, "/v1/chat/completions"), None);
    }

    #[test]
    fn whole_answers_say_usage_and_model() {
        let chat =
            br#"{"id":"c","object":"chat.completion","created":1,"model":"gpt-x","choices":[{"index":0,
            "message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
        let said = Reading::Wire(Wire::Chat).of_answer(&Bytes::from_static(chat));
        assert_eq!(said.model.as_deref(), Some("gpt-x"));
        assert_eq!(said.usage.unwrap().total(), 5);
        assert_eq!(Reading::Wire(Wire::Chat).of_answer(&Bytes::from_static(b"{")), AnswerFacts::default());
        let embeddings = br#"{"model":"e","data":[],"usage":{"prompt_tokens":4,"total_tokens":4}}"#;
        let said = Reading::Wire(Wire::Embeddings).of_answer(&Bytes::from_static(embeddings));
        assert_eq!((said.usage.unwrap().embedding, said.model.as_deref()), (4, Some("e")));
    }

    #[test]
    fn invoke_says_it_in_its_headers() {
        let headers: HeaderMap =
            [("x-amzn-bedrock-input-token-count", "9"), ("x-amzn-bedrock-output-token-count", "2")]
                .map(|(name, value)| {
                    (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
                })
                .into_iter()
                .collect();
        assert_eq!(Reading::Invoke.of_headers(&headers).unwrap().total(), 11);
        assert_eq!(Reading::Wire(Wire::Converse).of_headers(&headers), None);
    }
}
