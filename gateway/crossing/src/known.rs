//! What is known of a call that is passed through, from its backend's format and its path: how to read what it
//! used. What is not known passes all the same.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::value::RawValue;
use tollgate_formats::BackendFormat;
use tollgate_formats::openai_media::MediaKind;
use tollgate_formats::openai_media::usage::of_answer;
use tollgate_formats::{Answer, Usage, bedrock, gemini, openai_embeddings};
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::Operation;

use super::client::ClientFormat;
use super::crossing::generated;
use super::path;
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
    /// What the model wrote, where the answer was understood but does not say what was used.
    pub text: Option<String>,
}

impl Known {
    /// Of a call of a backend of this format. `path` is the one at the backend, in its canonical spelling.
    #[must_use]
    pub fn of(format: BackendFormat, method: &Method, path: &str) -> Option<Self> {
        if method != Method::POST {
            return None;
        }
        let read = in_known_case(&path::read(path));
        let own = match format {
            // A slash in a model's name is encoded, so its words are looked for before it is decoded.
            BackendFormat::Bedrock => {
                bedrock(&in_known_case(path.trim_end_matches('/'))).or_else(|| bedrock(&read))
            }
            BackendFormat::Gemini => gemini(&read),
            BackendFormat::OpenAi | BackendFormat::AzureOpenAi | BackendFormat::Anthropic => None,
        };
        let named = own.map(|(model, reading)| Self { reading, model: Some(model) }.bounded());
        named.or_else(|| common(&read).map(|wire| Self { reading: Reading::Wire(wire), model: None }))
    }

    fn bounded(mut self) -> Self {
        self.model = self.model.filter(|model| model.len() <= MAX_MODEL_BYTES);
        self
    }
}

/// OpenAI's paths and Anthropic's: many servers have them beside their own.
fn common(path: &str) -> Option<Wire> {
    let known = [
        ("/chat/completions", Wire::Chat),
        ("/completions", Wire::Completions),
        ("/responses", Wire::Responses),
        ("/embeddings", Wire::Embeddings),
        ("/v1/messages", Wire::Messages),
    ];
    let media = MediaKind::ALL.into_iter().map(|kind| (kind.path(), Wire::Media(kind)));
    known.into_iter().chain(media).find_map(|(end, wire)| ends_with(path, end).then_some(wire))
}

fn gemini(path: &str) -> Option<(String, Reading)> {
    let (model, method) = gemini::of_path(path)?;
    let known = ["generateContent", "streamGenerateContent"];
    let is_known = known.iter().any(|known| method.eq_ignore_ascii_case(known));
    is_known.then_some((model, Reading::Wire(Wire::Generate)))
}

fn bedrock(path: &str) -> Option<(String, Reading)> {
    let (model, operation) = bedrock::of_path(path)?;
    let is = |name: &str| operation.eq_ignore_ascii_case(name);
    let reading = match () {
        () if is("converse") || is("converse-stream") => Reading::Wire(Wire::Converse),
        () if is("invoke") || is("invoke-with-response-stream") => Reading::Invoke,
        () => return None,
    };
    Some((model, reading))
}

/// Names of collections as the formats write them.
fn in_known_case(path: &str) -> String {
    let known = ["model", "models", "tunedModels"];
    let words = path
        .split('/')
        .map(|word| *known.iter().find(|known| known.eq_ignore_ascii_case(word)).unwrap_or(&word));
    words.collect::<Vec<_>>().join("/")
}

/// Servers that route without regard to case are not asked which they are.
fn ends_with(path: &str, end: &str) -> bool {
    let at = path.len().checked_sub(end.len());
    at.and_then(|at| path.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

impl Reading {
    /// Whether its answers are vectors.
    #[must_use]
    pub const fn is_embeddings(self) -> bool {
        matches!(self, Self::Wire(Wire::Embeddings | Wire::BatchEmbed))
    }

    /// The kind of operation for events.
    #[must_use]
    pub const fn operation(self) -> Operation {
        match self {
            Self::Wire(Wire::Chat | Wire::Responses | Wire::Messages | Wire::Converse | Wire::Generate) => {
                Operation::Chat
            }
            Self::Wire(Wire::Completions) => Operation::TextCompletion,
            Self::Wire(Wire::Embeddings | Wire::Invoke | Wire::Embed | Wire::BatchEmbed) => {
                Operation::Embeddings
            }
            Self::Wire(Wire::Media(kind)) => ClientFormat::Media(kind).operation(),
            Self::Invoke => Operation::Passthrough,
        }
    }

    /// The class that tokens of a request are charged as where nobody reports them; `None` where only the model knows
    /// what a request comes to.
    #[must_use]
    pub const fn prompt_class(self) -> Option<TokenClass> {
        match self {
            Self::Wire(Wire::Media(_)) => None,
            Self::Wire(Wire::Embeddings | Wire::Invoke | Wire::Embed | Wire::BatchEmbed) => {
                Some(TokenClass::Embedding)
            }
            Self::Wire(_) | Self::Invoke => Some(TokenClass::Input),
        }
    }

    /// The request that makes a stream say what was used at its end; `None` where it need not be changed.
    #[must_use]
    pub fn asking_for_usage(self, body: &Bytes) -> Option<Bytes> {
        let client = match self {
            Self::Wire(Wire::Chat) => ClientFormat::Chat,
            Self::Wire(Wire::Completions) => ClientFormat::Completions,
            _ => return None,
        };
        let view = client.view(body).ok().filter(|view| view.stream && !view.include_usage)?;
        client.usage_change(&view).map(|change| view.rewrite(body, &[change]))
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
                AnswerFacts { usage, model: model_of(body), text: None }
            }
            Wire::Media(kind) => AnswerFacts { usage: of_answer(kind, body), ..AnswerFacts::default() },
            Wire::Generate if body.trim_ascii_start().starts_with(b"[") => of_parts(body),
            wire => wire
                .decode_answer(body)
                .map_or_else(|_| AnswerFacts::default(), |answer| AnswerFacts::of(&answer)),
        }
    }
}

impl AnswerFacts {
    fn of(answer: &Answer<'_>) -> Self {
        let text = answer.usage.is_none().then(|| generated(answer));
        Self { usage: answer.usage, model: name(&answer.model), text }
    }
}

/// A stream of Gemini that was asked for without server-sent events: a list of its parts.
fn of_parts(body: &[u8]) -> AnswerFacts {
    let Ok(parts) = serde_json::from_slice::<Vec<&RawValue>>(body) else { return AnswerFacts::default() };
    let mut said = AnswerFacts::default();
    let mut text = String::new();
    for part in parts {
        let Ok(answer) = Wire::Generate.decode_answer(part.get().as_bytes()) else { continue };
        if let Some(usage) = &answer.usage {
            said.usage.get_or_insert_default().update(usage);
        }
        said.model = said.model.or_else(|| name(&answer.model));
        text.push_str(&generated(&answer));
    }
    said.text = said.usage.is_none().then_some(text);
    said
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
        for other in [
            "/v1%2Fchat%2Fcompletions",
            "/v1/Chat/Completions/",
            "/v1/chat%5Ccompletions",
            "/v1/chat/completions%3Bx",
        ] {
            assert_eq!(known(F::OpenAi, other), wire(Wire::Chat), "{other}");
        }
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
        let arn = Some("arn:aws:x/y".to_owned());
        assert_eq!(
            known(F::Bedrock, "/model/arn%3Aaws%3Ax%2Fy/converse/"),
            Some((Reading::Wire(Wire::Converse), arn))
        );
        assert_eq!(known(F::Bedrock, "/model/a/count-tokens"), None);
        assert_eq!(
            known(F::Gemini, "/v1beta/models/g%3AgenerateContent"),
            Some((Reading::Wire(Wire::Generate), Some("g".to_owned())))
        );
        assert_eq!(known(F::Gemini, "/v1beta/models/g:countTokens"), None);
        for format in [F::OpenAi, F::AzureOpenAi, F::Anthropic, F::Bedrock, F::Gemini] {
            assert_eq!(known(format, "/v1beta/openai/chat/completions"), wire(Wire::Chat), "{format:?}");
            assert_eq!(known(format, "/anthropic/v1/messages"), wire(Wire::Messages), "{format:?}");
        }
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
    fn a_stream_is_asked_to_say_what_it_used_where_its_format_can() {
        let chat = Reading::Wire(Wire::Chat);
        let asked = |reading: Reading, body: &'static str| reading.asking_for_usage(&Bytes::from(body));
        let streamed = r#"{"model":"m","messages":[],"stream":true}"#;
        let changed = asked(chat, streamed).unwrap();
        assert!(
            std::str::from_utf8(&changed).unwrap().contains(r#""stream_options":{"include_usage":true}"#)
        );
        assert_eq!(asked(chat, r#"{"model":"m","messages":[]}"#), None);
        assert_eq!(asked(chat, "not JSON"), None);
        assert_eq!(asked(Reading::Wire(Wire::Messages), streamed), None);
    }

    #[test]
    fn a_list_of_parts_of_gemini_says_what_was_used_or_what_was_written() {
        let part = |usage: &str| {
            format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"text":"Hi"}}]}}}}]{usage},"modelVersion":"g"}}"#
            )
        };
        let usage = r#","usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}"#;
        let said = |parts: String| Reading::Wire(Wire::Generate).of_answer(&Bytes::from(parts));
        assert_eq!(said(format!("[{},\n{}]", part(""), part(usage))).usage.unwrap().total(), 5);
        let unsaid = said(format!("[{},{}]", part(""), part("")));
        assert_eq!(
            (unsaid.usage, unsaid.text.as_deref(), unsaid.model.as_deref()),
            (None, Some("HiHi"), Some("g"))
        );
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
