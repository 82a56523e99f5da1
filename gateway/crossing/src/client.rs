//! The API formats that clients speak: one enum, every question that the rest of the gateway has about them.

use std::borrow::Cow;

use bytes::Bytes;
use tollgate_formats::exchange::{AnswerHead, StreamEncoder};
use tollgate_formats::gemini::client as gemini;
use tollgate_formats::openai_embeddings::request::{EmbeddingRequest, Encoding};
use tollgate_formats::openai_media::MediaKind;
use tollgate_formats::view::{Change, View};
use tollgate_formats::{
    Answer, ClientError, FormatError, Request, Usage, anthropic, openai_chat, openai_completions,
    openai_embeddings, openai_media, openai_responses,
};
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::Operation;

/// An API format that clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientFormat {
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI's legacy Completions.
    Completions,
    /// OpenAI Responses.
    Responses,
    /// OpenAI Embeddings.
    Embeddings,
    /// Anthropic Messages.
    Messages,
    /// Gemini's generateContent.
    Gemini {
        /// Whether it is the one that streams: the path says so, not the body.
        stream: bool,
    },
    /// Gemini's embeddings.
    GeminiEmbeddings(EmbedCall),
    /// OpenAI's APIs around media: bytes pass, whatever they are.
    Media(MediaKind),
}

pub use tollgate_formats::gemini::client::embeddings::Call as EmbedCall;

impl ClientFormat {
    /// Its name in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "openai.chat",
            Self::Completions => "openai.completions",
            Self::Responses => "openai.responses",
            Self::Embeddings => "openai.embeddings",
            Self::Messages => "anthropic.messages",
            Self::Gemini { .. } => "gemini.generate_content",
            Self::GeminiEmbeddings(EmbedCall::One) => "gemini.embed_content",
            Self::GeminiEmbeddings(EmbedCall::Batch) => "gemini.batch_embed_contents",
            Self::Media(kind) => kind.as_str(),
        }
    }

    /// The kind of operation for events.
    #[must_use]
    pub const fn operation(self) -> Operation {
        match self {
            Self::Chat | Self::Responses | Self::Messages | Self::Gemini { .. } => Operation::Chat,
            Self::Completions => Operation::TextCompletion,
            Self::Embeddings | Self::GeminiEmbeddings(_) => Operation::Embeddings,
            Self::Media(MediaKind::Speech | MediaKind::Transcription | MediaKind::Translation) => {
                Operation::Audio
            }
            Self::Media(MediaKind::Moderation) => Operation::Moderation,
            Self::Media(_) => Operation::Image,
        }
    }

    /// The class that tokens of a prompt are billed as.
    #[must_use]
    pub const fn prompt_class(self) -> TokenClass {
        match self {
            Self::Embeddings | Self::GeminiEmbeddings(_) => TokenClass::Embedding,
            // What media come to in tokens only their models know.
            Self::Media(_) => TokenClass::Request,
            _ => TokenClass::Input,
        }
    }

    /// Whether requests are relayed without being understood: bytes pass, whatever they are.
    #[must_use]
    pub const fn is_media(self) -> bool {
        matches!(self, Self::Media(_))
    }

    /// Whether vectors are asked for.
    #[must_use]
    pub const fn embeds(self) -> bool {
        matches!(self, Self::Embeddings | Self::GeminiEmbeddings(_))
    }

    /// Whether a stream begins with the tokens of its prompt.
    #[must_use]
    pub const fn tells_prompt_first(self) -> bool {
        matches!(self, Self::Messages)
    }

    /// Whether answers may be kept by the cache and given again.
    #[must_use]
    pub const fn is_cacheable(self) -> bool {
        matches!(self, Self::Chat)
    }

    /// Whether an answer has tokens of its own that a request can bound.
    #[must_use]
    pub const fn bounds_output(self) -> bool {
        !matches!(self, Self::Embeddings | Self::GeminiEmbeddings(_) | Self::Media(_))
    }

    /// Reads no more of a JSON body than every request needs.
    ///
    /// # Errors
    /// When the body is not what the format says.
    pub fn view(self, body: &[u8]) -> Result<View<'_>, FormatError> {
        match self {
            Self::Chat => openai_chat::view::view(body),
            Self::Completions => openai_completions::view::view(body),
            Self::Responses => openai_responses::view::view(body),
            Self::Embeddings => openai_embeddings::view::view(body),
            Self::Messages => anthropic::view::view(body),
            Self::Gemini { stream } => gemini::view::view(body, stream),
            Self::GeminiEmbeddings(call) => gemini::embeddings::view(body, call),
            Self::Media(_) => openai_media::view::view(body, "").map(|seen| seen.view),
        }
    }

    /// The body in the form in which [`ClientFormat::decode`] reads all of it.
    #[must_use]
    pub fn prepare(self, body: &Bytes) -> Bytes {
        match self {
            Self::Gemini { .. } => gemini::schema::in_json_schema(body),
            _ => body.clone(),
        }
    }

    /// Reads a whole request; embeddings and media are none.
    ///
    /// # Errors
    /// When the body is not what the format says.
    pub fn decode(self, body: &[u8]) -> Result<Request<'_>, FormatError> {
        match self {
            Self::Chat => openai_chat::request::decode(body),
            Self::Completions => openai_completions::request::decode(body),
            Self::Responses => openai_responses::request::decode(body),
            Self::Messages => anthropic::request::decode(body),
            Self::Gemini { stream } => gemini::request::decode(body, stream),
            Self::Embeddings | Self::GeminiEmbeddings(_) | Self::Media(_) => {
                Err(FormatError::invalid("the request has no conversation", None))
            }
        }
    }

    /// Reads a request for vectors.
    ///
    /// # Errors
    /// When the body is not what the format says.
    pub fn decode_embeddings(self, body: &[u8]) -> Result<EmbeddingRequest<'_>, FormatError> {
        match self {
            Self::GeminiEmbeddings(call) => gemini::embeddings::decode(body, call),
            _ => openai_embeddings::request::decode(body),
        }
    }

    /// Vectors for the client.
    #[must_use]
    pub fn encode_vectors(
        self,
        vectors: &[Vec<f32>],
        encoding: Encoding,
        model: &str,
        used: &Usage,
    ) -> Vec<u8> {
        match self {
            Self::GeminiEmbeddings(call) => gemini::embeddings::encode(vectors, call, used),
            _ => openai_embeddings::answer::encode(vectors, encoding, model, used),
        }
    }

    /// What vectors of a provider that speaks this very format have used, where it says so.
    ///
    /// # Errors
    /// When the body is no list of vectors.
    pub fn usage_of_vectors(self, body: &[u8]) -> Result<Option<Usage>, FormatError> {
        match self {
            Self::GeminiEmbeddings(_) => gemini::embeddings::usage(body),
            _ => openai_embeddings::answer::usage(body),
        }
    }

    /// A whole answer for the client.
    #[must_use]
    pub fn encode_answer(self, answer: &Answer<'_>, shown: &AnswerHead) -> Vec<u8> {
        match self {
            Self::Completions => openai_completions::answer::encode(answer, shown),
            Self::Responses => openai_responses::answer::encode(answer, shown),
            Self::Messages => anthropic::answer::encode(answer, shown),
            Self::Gemini { .. } => gemini::answer::encode(answer, shown),
            Self::Chat | Self::Embeddings | Self::GeminiEmbeddings(_) | Self::Media(_) => {
                openai_chat::answer::encode(answer, shown)
            }
        }
    }

    /// The format of a method of Gemini's models, and whether only tokens are counted; `None` if it is not served.
    #[must_use]
    pub fn of_gemini_method(method: &str) -> Option<(Self, bool)> {
        Some(match method {
            "generateContent" => (Self::Gemini { stream: false }, false),
            "streamGenerateContent" => (Self::Gemini { stream: true }, false),
            "countTokens" => (Self::Gemini { stream: false }, true),
            "embedContent" => (Self::GeminiEmbeddings(EmbedCall::One), false),
            "batchEmbedContents" => (Self::GeminiEmbeddings(EmbedCall::Batch), false),
            _ => return None,
        })
    }

    /// Whether clients of the format may send their key in the query.
    #[must_use]
    pub const fn has_key_in_query(self) -> bool {
        matches!(self, Self::Gemini { .. } | Self::GeminiEmbeddings(_))
    }

    /// The request whose prompt is to be counted, in the body of a token count.
    ///
    /// # Errors
    /// When the body is not what the format says.
    pub fn counted_request(self, body: &Bytes) -> Result<Bytes, FormatError> {
        match self {
            Self::Gemini { .. } => Ok(body.slice_ref(gemini::count_tokens::request(body)?)),
            _ => Ok(body.clone()),
        }
    }

    /// How many tokens a prompt has, for the client.
    #[must_use]
    pub fn encode_token_count(self, tokens: u64) -> Vec<u8> {
        match self {
            Self::Gemini { .. } => gemini::count_tokens::encode(tokens),
            _ => anthropic::count_tokens::encode(tokens),
        }
    }

    /// An error for the client.
    #[must_use]
    pub fn encode_error(self, error: &ClientError<'_>) -> Vec<u8> {
        match self {
            Self::Messages => anthropic::error::encode(error),
            Self::Gemini { .. } | Self::GeminiEmbeddings(_) => gemini::error::encode(error),
            _ => openai_chat::error::encode(error),
        }
    }

    /// Writes a stream for the client.
    #[must_use]
    pub fn encoder(self, shown: AnswerHead, include_usage: bool) -> Box<dyn StreamEncoder> {
        match self {
            Self::Completions => Box::new(openai_completions::stream::Encoder::new(shown, include_usage)),
            Self::Responses => Box::new(openai_responses::stream::Encoder::new(shown)),
            Self::Messages => Box::new(anthropic::stream::Encoder::new(shown)),
            Self::Gemini { .. } => Box::new(gemini::stream::Encoder::new(shown)),
            Self::Chat | Self::Embeddings | Self::GeminiEmbeddings(_) | Self::Media(_) => {
                Box::new(openai_chat::stream::Encoder::new(shown, include_usage))
            }
        }
    }

    /// What begins the ids of answers that this format's clients see.
    #[must_use]
    pub const fn id_prefix(self) -> &'static str {
        match self {
            Self::Chat => "chatcmpl-",
            Self::Completions => "cmpl-",
            Self::Responses => "resp_",
            Self::Messages => "msg_",
            Self::Gemini { .. } | Self::GeminiEmbeddings(_) => "",
            Self::Embeddings => "embd-",
            Self::Media(_) => "media-",
        }
    }

    /// What makes a provider that speaks this very format report usage at the end of a stream.
    #[must_use]
    pub fn usage_change(self, view: &View<'_>) -> Option<Change> {
        match self {
            Self::Chat | Self::Completions => openai_chat::view::usage_change(view),
            Self::Responses | Self::Messages | Self::Gemini { .. } => None,
            Self::Embeddings | Self::GeminiEmbeddings(_) | Self::Media(_) => None,
        }
    }

    /// What makes a body name this model, where the provider speaks this very format.
    #[must_use]
    pub fn model_change(self, view: &View<'_>, model: &str) -> Option<Change> {
        match self {
            // The path names it; a body that does so too must not say otherwise.
            Self::Gemini { .. } => {
                view.model.map(|_| Change::new("model", &tollgate_formats::gemini::resource(model)))
            }
            // Each of its contents names one: see [`ClientFormat::for_provider`].
            Self::GeminiEmbeddings(_) => None,
            _ => Some(Change::new("model", &model)),
        }
    }

    /// The last touch to a body that passes to a provider that speaks this very format.
    ///
    /// # Errors
    /// When the body is not what the format says.
    pub fn for_provider(self, body: Bytes, model: &str) -> Result<Bytes, FormatError> {
        match self {
            Self::Gemini { .. } => Ok(gemini::proof::without_foreign(&body, model)),
            Self::GeminiEmbeddings(call) => gemini::embeddings::for_model(&body, call, model),
            _ => Ok(body),
        }
    }

    /// A body that passes to OpenAI's APIs without what others put into it, and what of it is to be named.
    pub(crate) fn without_foreign(self, view: &View<'_>, body: Bytes) -> (Bytes, Vec<Cow<'static, str>>) {
        match self {
            Self::Chat => (openai_chat::request::own_thoughts(body), Vec::new()),
            Self::Responses => {
                openai_responses::view::without_label(view, openai_responses::own_thoughts(body))
            }
            _ => (body, Vec::new()),
        }
    }

    /// The fields that bound the answer's tokens, the one that is written first. Servers heed one or the other.
    #[must_use]
    pub const fn max_tokens_fields(self) -> &'static [&'static str] {
        match self {
            // The one that every server knows; the crossing gives it the word of the target.
            Self::Chat => &["max_tokens", "max_completion_tokens"],
            Self::Responses => &["max_output_tokens"],
            Self::Gemini { .. } => &["maxOutputTokens"],
            Self::Completions | Self::Messages => &["max_tokens"],
            Self::Embeddings | Self::GeminiEmbeddings(_) | Self::Media(_) => &["max_tokens"],
        }
    }
}
