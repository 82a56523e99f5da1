//! What a backend is spoken to in, and where: from its format and the client's.

use http::Uri;
use http::uri::InvalidUri;
use tollgate_config::BackendConfig;
use tollgate_families::Traits;
use tollgate_formats::BackendFormat;
use tollgate_formats::adapt::Place;
use tollgate_formats::exchange::StreamDecoder;
use tollgate_formats::openai_media::MediaKind;
use tollgate_formats::view::View;
use tollgate_formats::{
    Answer, FormatError, ProviderError, Request, TargetModel, Unmapped, Usage, anthropic, bedrock, gemini,
    openai_chat, openai_responses,
};

use super::client::{ClientFormat, EmbedCall};
use super::conversations::Conversations;

/// The API of a backend that a request is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
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
    /// Bedrock Converse.
    Converse,
    /// Gemini generateContent.
    Generate,
    /// Bedrock InvokeModel, for embeddings.
    Invoke,
    /// Gemini embedContent.
    Embed,
    /// Gemini batchEmbedContents.
    BatchEmbed,
    /// OpenAI's APIs around media.
    Media(MediaKind),
}

/// Reads a streamed answer, by its framing.
pub enum Decoder {
    /// Server-sent events.
    Sse(Box<dyn StreamDecoder>),
    /// Amazon's binary event stream.
    EventStream(bedrock::stream::Decoder),
}

impl Wire {
    /// The API that a backend of this format serves such a request with; `None` if it has none.
    #[must_use]
    pub fn of(
        format: BackendFormat,
        client: ClientFormat,
        conversations: Conversations,
        view: &View<'_>,
        traits: &Traits,
    ) -> Option<Self> {
        use BackendFormat as B;
        use ClientFormat as C;
        Some(match (format, client) {
            (B::OpenAi | B::AzureOpenAi, C::Chat | C::Messages | C::Responses | C::Gemini { .. }) => {
                match conversations.by_responses(client, view, traits) {
                    true => Self::Responses,
                    false => Self::Chat,
                }
            }
            (B::OpenAi | B::AzureOpenAi, C::Completions) => Self::Completions,
            (B::OpenAi | B::AzureOpenAi, C::Embeddings | C::GeminiEmbeddings(_)) => Self::Embeddings,
            (B::OpenAi | B::AzureOpenAi, C::Media(kind)) => Self::Media(kind),
            (B::Anthropic | B::Bedrock | B::Gemini, C::Media(_)) => return None,
            (B::Anthropic, C::Embeddings | C::GeminiEmbeddings(_)) => return None,
            (B::Anthropic, _) => Self::Messages,
            (B::Bedrock, C::Embeddings | C::GeminiEmbeddings(_)) => Self::Invoke,
            (B::Bedrock, _) => Self::Converse,
            (B::Gemini, C::GeminiEmbeddings(EmbedCall::One)) => Self::Embed,
            (B::Gemini, C::Embeddings | C::GeminiEmbeddings(EmbedCall::Batch)) => Self::BatchEmbed,
            (B::Gemini, _) => Self::Generate,
        })
    }

    /// Whether a client's bytes can pass as they are.
    #[must_use]
    pub const fn is_native_to(self, client: ClientFormat) -> bool {
        matches!(
            (self, client),
            (Self::Chat, ClientFormat::Chat)
                | (Self::Completions, ClientFormat::Completions)
                | (Self::Responses, ClientFormat::Responses)
                | (Self::Embeddings, ClientFormat::Embeddings)
                | (Self::Messages, ClientFormat::Messages)
                | (Self::Generate, ClientFormat::Gemini { .. })
                | (Self::Embed, ClientFormat::GeminiEmbeddings(EmbedCall::One))
                | (Self::BatchEmbed, ClientFormat::GeminiEmbeddings(EmbedCall::Batch))
                | (Self::Media(_), ClientFormat::Media(_))
        )
    }

    /// Which of the media APIs it is.
    #[must_use]
    pub const fn media(self) -> Option<MediaKind> {
        match self {
            Self::Media(kind) => Some(kind),
            _ => None,
        }
    }

    /// Type of the body of a streamed answer.
    #[must_use]
    pub const fn stream_type(self) -> &'static str {
        match self {
            Self::Converse => "application/vnd.amazon.eventstream",
            _ => "text/event-stream",
        }
    }

    /// What its answers are called in errors.
    #[must_use]
    pub const fn answer_name(self) -> &'static str {
        match self {
            Self::Chat => "a chat completion",
            Self::Completions => "a completion",
            Self::Responses => "a response",
            Self::Embeddings | Self::Invoke | Self::Embed | Self::BatchEmbed => "a list of embeddings",
            Self::Messages => "a message",
            Self::Converse => "an answer of Converse",
            Self::Generate => "generated content",
            Self::Media(_) => "an answer about media",
        }
    }

    /// What its API takes, whatever the model.
    #[must_use]
    pub const fn place(self) -> Place {
        match self {
            Self::Messages => anthropic::request::PLACE,
            Self::Converse => bedrock::request::PLACE,
            Self::Generate => gemini::request::PLACE,
            Self::Responses => openai_responses::request::PLACE,
            _ => openai_chat::request::PLACE,
        }
    }

    /// A request in its format.
    ///
    /// # Errors
    /// What the format cannot carry, unless `unmapped` leaves it out.
    pub fn encode(
        self,
        request: &Request<'_>,
        target: TargetModel<'_>,
        unmapped: &mut Unmapped,
    ) -> Result<Vec<u8>, FormatError> {
        match self {
            Self::Messages => anthropic::request::encode(request, target, unmapped),
            Self::Converse => bedrock::request::encode(request, target, unmapped),
            Self::Generate => gemini::request::encode(request, target, unmapped),
            Self::Responses => openai_responses::request::encode(request, target, unmapped),
            _ => openai_chat::request::encode(request, target, unmapped),
        }
    }

    /// Reads a whole answer.
    ///
    /// # Errors
    /// When it is not what the format says.
    pub fn decode_answer(self, body: &[u8]) -> Result<Answer<'_>, FormatError> {
        match self {
            Self::Responses => openai_responses::answer::decode(body),
            Self::Messages => anthropic::answer::decode(body),
            Self::Converse => bedrock::answer::decode(body),
            Self::Generate => gemini::answer::decode(body),
            _ => openai_chat::answer::decode(body),
        }
    }

    /// What a whole answer used, where that can be read without the rest of it.
    ///
    /// # Errors
    /// When it is not what the format says.
    pub fn usage_alone(self, body: &[u8]) -> Result<Option<Usage>, FormatError> {
        match self {
            Self::Chat | Self::Completions => openai_chat::answer::usage(body),
            _ => Ok(None),
        }
    }

    /// The request for a count of tokens, from the request whose prompt is to be counted; `None` if it has no such API.
    #[must_use]
    pub fn count_request(self, body: &[u8], model: &str) -> Option<Vec<u8>> {
        match self {
            Self::Messages => anthropic::count_tokens::request(body).ok(),
            Self::Converse => bedrock::count_tokens::request(body).ok(),
            Self::Generate => gemini::count_tokens::request(body, model).ok(),
            _ => None,
        }
    }

    /// Reads a count of tokens; `None` if it is none.
    #[must_use]
    pub fn decode_count(self, body: &[u8]) -> Option<u64> {
        match self {
            Self::Messages => anthropic::count_tokens::decode(body).ok(),
            Self::Converse => bedrock::count_tokens::decode(body).ok(),
            Self::Generate => gemini::count_tokens::decode(body).ok(),
            _ => None,
        }
    }

    /// Reads a streamed answer.
    #[must_use]
    pub fn decoder(self) -> Decoder {
        Decoder::Sse(match self {
            Self::Converse => return Decoder::EventStream(bedrock::stream::Decoder::new()),
            Self::Responses => Box::new(openai_responses::stream::Decoder::new()),
            Self::Messages => Box::new(anthropic::stream::Decoder::new()),
            Self::Generate => Box::new(gemini::stream::Decoder::new()),
            _ => Box::new(openai_chat::stream::Decoder::new()),
        })
    }

    /// Reads an error answer.
    #[must_use]
    pub fn decode_error(self, status: u16, error_type: Option<&str>, body: &[u8]) -> ProviderError {
        match self {
            Self::Messages => anthropic::error::decode(status, body),
            Self::Converse | Self::Invoke => bedrock::error::decode(status, error_type, body),
            Self::Generate | Self::Embed | Self::BatchEmbed => gemini::error::decode(status, body),
            _ => openai_chat::error::decode(status, body),
        }
    }
}

/// Where a target is called, for each API that its backend has.
#[derive(Debug, Clone)]
pub struct Endpoints {
    chat: Uri,
    stream: Uri,
    completions: Option<Uri>,
    responses: Option<Uri>,
    embeddings: Option<Uri>,
    /// Of one content alone, where that is another API (Gemini).
    embedding: Option<Uri>,
    /// Where tokens of a prompt are counted.
    count: Option<Uri>,
    /// In the order of [`MediaKind::ALL`]; empty where the backend has none.
    media: Box<[Uri]>,
}

/// Where the APIs around media are.
fn media(at: impl Fn(&str) -> Result<Uri, InvalidUri>) -> Result<Box<[Uri]>, InvalidUri> {
    MediaKind::ALL.into_iter().map(|kind| at(kind.path())).collect()
}

impl Endpoints {
    /// The addresses of a model at a backend.
    ///
    /// # Errors
    /// When the backend's URL and the model's name make no address.
    pub fn of(backend: &BackendConfig, model: &str) -> Result<Self, InvalidUri> {
        let base = backend.url.trim_end_matches('/');
        let at = |path: String| format!("{base}{path}").parse::<Uri>();
        let openai = |prefix: &str, query: &str| {
            Ok(Self {
                chat: at(format!("{prefix}/chat/completions{query}"))?,
                stream: at(format!("{prefix}/chat/completions{query}"))?,
                completions: Some(at(format!("{prefix}/completions{query}"))?),
                responses: Some(at(format!("{prefix}/responses{query}"))?),
                embeddings: Some(at(format!("{prefix}/embeddings{query}"))?),
                embedding: None,
                count: None,
                media: media(|path| at(format!("{prefix}{path}{query}")))?,
            })
        };
        match backend.format {
            BackendFormat::OpenAi => openai("", ""),
            BackendFormat::AzureOpenAi => azure(base, backend.api_version.as_deref(), model),
            BackendFormat::Anthropic => {
                let messages = at("/v1/messages".to_owned())?;
                let count = at(anthropic::count_tokens::PATH.to_owned())?;
                Ok(Self::two(messages.clone(), messages, None, Some(count)))
            }
            BackendFormat::Bedrock => {
                let embeddings = at(bedrock::embeddings::path(model))?;
                let count = bedrock::count_tokens::path(model).map(at).transpose()?;
                Ok(Self::two(
                    at(bedrock::path(model, false))?,
                    at(bedrock::path(model, true))?,
                    Some(embeddings),
                    count,
                ))
            }
            BackendFormat::Gemini => {
                let (whole, stream) = (at(gemini::path(model, false))?, at(gemini::path(model, true))?);
                let embeddings = at(gemini::embeddings::path(model))?;
                let embedding = Some(at(gemini::embeddings::path_of_one(model))?);
                let count = Some(at(gemini::count_tokens::path(model))?);
                Ok(Self { embedding, ..Self::two(whole, stream, Some(embeddings), count) })
            }
        }
    }

    fn two(chat: Uri, stream: Uri, embeddings: Option<Uri>, count: Option<Uri>) -> Self {
        let (completions, responses, embedding, media) = (None, None, None, Box::default());
        Self { chat, stream, completions, responses, embeddings, embedding, count, media }
    }

    /// Where the tokens of a prompt are counted; `None` if the backend does not count those of this model.
    #[must_use]
    pub const fn count(&self) -> Option<&Uri> {
        self.count.as_ref()
    }

    /// Where a request goes; `None` if the backend has no such API.
    #[must_use]
    pub fn uri(&self, wire: Wire, stream: bool) -> Option<&Uri> {
        match wire {
            Wire::Completions => self.completions.as_ref(),
            Wire::Responses => self.responses.as_ref(),
            Wire::Embeddings | Wire::Invoke | Wire::BatchEmbed => self.embeddings.as_ref(),
            Wire::Embed => self.embedding.as_ref(),
            Wire::Media(kind) => self.media.get(kind as usize),
            Wire::Chat | Wire::Messages | Wire::Converse | Wire::Generate if stream => Some(&self.stream),
            Wire::Chat | Wire::Messages | Wire::Converse | Wire::Generate => Some(&self.chat),
        }
    }
}

/// Azure OpenAI: deployments in the path with a dated version, or the undated `v1` API with the model in the
/// body (Azure OpenAI reference, "API version lifecycle"). Responses exist in the `v1` API alone.
fn azure(base: &str, api_version: Option<&str>, model: &str) -> Result<Endpoints, InvalidUri> {
    let base = base.strip_suffix("/openai/v1").or_else(|| base.strip_suffix("/openai")).unwrap_or(base);
    let (prefix, query) = match api_version {
        Some(version) => {
            (format!("{base}/openai/deployments/{}", path_segment(model)), format!("?api-version={version}"))
        }
        None => (format!("{base}/openai/v1"), String::new()),
    };
    let at = |path: &str| format!("{prefix}{path}{query}").parse::<Uri>();
    Ok(Endpoints {
        chat: at("/chat/completions")?,
        stream: at("/chat/completions")?,
        completions: Some(at("/completions")?),
        responses: Some(format!("{base}/openai/v1/responses").parse()?),
        embeddings: Some(at("/embeddings")?),
        embedding: None,
        count: None,
        media: media(at)?,
    })
}

/// Text as one segment of a path (RFC 3986 §3.3): everything but unreserved characters is escaped.
#[must_use]
pub fn path_segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
