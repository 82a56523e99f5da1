//! All formats and what they can do.

use tollgate_families::ApiFormat;
use tollgate_formats::adapt::Place;
use tollgate_formats::exchange::{Answer, Request, AnswerHead, StreamDecoder, StreamEncoder};
use tollgate_formats::gemini::client::embeddings::Call;
use tollgate_formats::view::View;
use tollgate_formats::{
    ClientError, FormatError, ProviderError, TargetModel, Unmapped, anthropic, bedrock, gemini, openai_chat,
    openai_completions, openai_embeddings, openai_responses,
};

/// What clients speak.
pub struct Client {
    /// Name of the format.
    pub name: &'static str,
    /// Reads a request.
    pub decode_request: for<'a> fn(&'a [u8]) -> Result<Request<'a>, FormatError>,
    /// Writes an answer.
    pub encode_answer: fn(&Answer<'_>, &AnswerHead) -> Vec<u8>,
    /// Writes a stream.
    pub encoder: fn(AnswerHead, bool) -> Box<dyn StreamEncoder>,
    /// Writes an error.
    pub encode_error: fn(&ClientError<'_>) -> Vec<u8>,
}

/// What backends speak.
pub struct Backend {
    /// Name of the format.
    pub name: &'static str,
    /// Models of several families and generations.
    pub models: &'static [&'static str],
    /// The format, as families of models know it.
    pub format: ApiFormat,
    /// What its API takes, whatever the model.
    pub place: Place,
    /// Writes a request.
    pub encode_request: EncodeRequest,
    /// Reads an answer.
    pub decode_answer: for<'a> fn(&'a [u8]) -> Result<Answer<'a>, FormatError>,
    /// Reads a stream.
    pub decoder: fn() -> Box<dyn StreamDecoder>,
    /// Reads an error.
    pub decode_error: fn(u16, &[u8]) -> ProviderError,
}

/// Writes a request for a model.
pub type EncodeRequest = fn(&Request<'_>, TargetModel<'_>, &mut Unmapped) -> Result<Vec<u8>, FormatError>;

/// Reads what the gateway must know of a request.
pub type ReadView = for<'a> fn(&'a [u8]) -> Result<View<'a>, FormatError>;

/// Every format of clients.
pub const CLIENTS: &[Client] = &[
    Client {
        name: "openai_chat",
        decode_request: openai_chat::request::decode,
        encode_answer: openai_chat::answer::encode,
        encoder: |shown, usage| Box::new(openai_chat::stream::Encoder::new(shown, usage)),
        encode_error: openai_chat::error::encode,
    },
    Client {
        name: "openai_completions",
        decode_request: openai_completions::request::decode,
        encode_answer: openai_completions::answer::encode,
        encoder: |shown, usage| Box::new(openai_completions::stream::Encoder::new(shown, usage)),
        encode_error: openai_completions::error::encode,
    },
    Client {
        name: "openai_responses",
        decode_request: openai_responses::request::decode,
        encode_answer: openai_responses::answer::encode,
        encoder: |shown, _| Box::new(openai_responses::stream::Encoder::new(shown)),
        encode_error: openai_chat::error::encode,
    },
    Client {
        name: "anthropic",
        decode_request: anthropic::request::decode,
        encode_answer: anthropic::answer::encode,
        encoder: |shown, _| Box::new(anthropic::stream::Encoder::new(shown)),
        encode_error: anthropic::error::encode,
    },
    Client {
        name: "gemini",
        decode_request: |body| gemini::client::request::decode(body, true),
        encode_answer: gemini::client::answer::encode,
        encoder: |shown, _| Box::new(gemini::client::stream::Encoder::new(shown)),
        encode_error: gemini::client::error::encode,
    },
];

/// Every format of backends.
pub const BACKENDS: &[Backend] = &[
    Backend {
        name: "openai_chat",
        models: &["gpt-4o", "o3-mini"],
        format: ApiFormat::OpenAi,
        place: openai_chat::request::PLACE,
        encode_request: openai_chat::request::encode,
        decode_answer: openai_chat::answer::decode,
        decoder: || Box::new(openai_chat::stream::Decoder::new()),
        decode_error: openai_chat::error::decode,
    },
    Backend {
        name: "anthropic",
        models: &["claude-sonnet-4-5", "claude-opus-4-6", "other"],
        format: ApiFormat::Anthropic,
        place: anthropic::request::PLACE,
        encode_request: anthropic::request::encode,
        decode_answer: anthropic::answer::decode,
        decoder: || Box::new(anthropic::stream::Decoder::new()),
        decode_error: anthropic::error::decode,
    },
    Backend {
        name: "bedrock",
        models: &[
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us.amazon.nova-2-lite-v1:0",
            "us.amazon.nova-pro-v1:0",
            "openai.gpt-oss-120b-1:0",
            "cohere.command-r-plus-v1:0",
            "meta.llama3-70b-instruct-v1:0",
            "us.anthropic.claude-opus-4-6-v1",
        ],
        format: ApiFormat::Bedrock,
        place: bedrock::request::PLACE,
        encode_request: bedrock::request::encode,
        decode_answer: bedrock::answer::decode,
        decoder: || Box::new(bedrock::stream::Decoder::new()),
        decode_error: |status, body| bedrock::error::decode(status, None, body),
    },
    Backend {
        name: "gemini",
        models: &["gemini-3-pro-preview", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-flash", "gemma-3"],
        format: ApiFormat::Gemini,
        place: gemini::request::PLACE,
        encode_request: gemini::request::encode,
        decode_answer: gemini::answer::decode,
        decoder: || Box::new(gemini::stream::Decoder::new()),
        decode_error: gemini::error::decode,
    },
    Backend {
        name: "openai_responses",
        models: &["gpt-4o", "gpt-5.4", "gpt-5.3-codex"],
        format: ApiFormat::OpenAi,
        place: openai_responses::request::PLACE,
        encode_request: openai_responses::request::encode,
        decode_answer: openai_responses::answer::decode,
        decoder: || Box::new(openai_responses::stream::Decoder::new()),
        decode_error: openai_chat::error::decode,
    },
];

/// Every view, with the fields beside `model` that it lets the gateway change.
pub const VIEWS: &[(&str, ReadView, &[&str])] = &[
    (
        "openai_chat",
        openai_chat::view::view,
        &["stream_options", "max_tokens", "max_completion_tokens", "temperature"],
    ),
    ("openai_completions", openai_completions::view::view, &["stream_options", "max_tokens", "temperature"]),
    (
        "openai_responses",
        openai_responses::view::view,
        &["max_output_tokens", "temperature", "previous_response_id"],
    ),
    ("anthropic", anthropic::view::view, &["max_tokens", "temperature"]),
    ("openai_embeddings", openai_embeddings::view::view, &[]),
    // Its other fields that can change stand in an object of their own.
    ("gemini", |body| gemini::client::view::view(body, false), &[]),
    ("gemini_embeddings", |body| gemini::client::embeddings::view(body, Call::Batch), &[]),
];

/// What a client is shown, by choice.
#[must_use]
pub fn shown(legacy_functions: bool) -> AnswerHead {
    AnswerHead {
        id: "answer-1".to_owned(),
        model: "alias \"quoted\"\n".to_owned(),
        created_s: 1_700_000_000,
        legacy_functions,
        ..AnswerHead::default()
    }
}
