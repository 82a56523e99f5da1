//! A request for a model's answer, as its attempts need it.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use tollgate_admission::QueueKey;
use tollgate_backends::backend::Backend;
use tollgate_base::time::now_ms;
use tollgate_crossing::WayBack;
use tollgate_expressions::RequestFacts;
use tollgate_formats::exchange::AnswerHead;
use tollgate_formats::view::View;
use tollgate_runtime::snapshot::Model;

use super::context::RequestContext;
use crate::books::event::EventContext;
use crate::headers;
use crate::stored::response_ids::StoredAt;

/// Bytes of text per token.
const BYTES_PER_TOKEN: u64 = 4;

/// A request for a model's answer.
pub struct ModelRequest<'a> {
    pub context: &'a RequestContext,
    /// What its events have in common.
    pub events: EventContext<'a>,
    /// The model asked for.
    pub model: &'a Model,
    /// Its body, as the alias wants it.
    pub body: &'a Bytes,
    /// The body as read.
    pub view: &'a View<'a>,
    /// Type of its body, where that is not JSON.
    pub content_type: Option<HeaderValue>,
    /// What expressions may know of it.
    pub facts: RequestFacts<'a>,
    /// The stored answer that it continues, if it does.
    pub continues: Option<&'a StoredAt>,
    /// Whose turn it is where requests wait.
    pub queue_key: &'a QueueKey,
    /// Tokens that it may use, prompt and completion together.
    pub expected_tokens: u64,
}

impl ModelRequest<'_> {
    /// Its headers for a backend. `is_native` says whether that speaks the client's own format.
    #[must_use]
    pub fn headers(&self, backend: &Backend, is_native: bool) -> HeaderMap {
        let client = self.facts.headers;
        let mut headers = headers::for_backend(client, &self.context.trace, backend.format, is_native);
        if let Some(kind) = &self.content_type {
            headers.insert(CONTENT_TYPE, kind.clone());
        }
        headers
    }

    /// The betas of Anthropic's API that the client asks for: formats without such a header have a place for those they
    /// know in their bodies.
    #[must_use]
    pub fn betas(&self) -> Vec<&str> {
        headers::anthropic_betas(self.facts.headers)
    }

    /// Largest answer that is not a stream, bytes.
    #[must_use]
    pub fn max_answer(&self) -> usize {
        self.context.snapshot.server.max_answer(self.context.format.embeds()).as_usize()
    }

    /// Bytes of text that the model can have answered with at most, as far as the request bounds it.
    #[must_use]
    pub fn most_answer_bytes(&self) -> u64 {
        let tokens = self.view.max_output_tokens.unwrap_or(u64::MAX);
        tokens.saturating_mul(self.view.choices.max(1)).saturating_mul(BYTES_PER_TOKEN)
    }

    /// What the client sees of an answer in another format than the backend's.
    #[must_use]
    pub fn shown(&self, way_back: &WayBack) -> AnswerHead {
        AnswerHead {
            id: format!("{}{}", self.context.format.id_prefix(), self.context.id.0.simple()),
            model: self.model.alias.to_string(),
            created_s: u64::try_from(now_ms() / 1_000).unwrap_or(0),
            legacy_functions: way_back.legacy_functions,
            tool_names: way_back.tool_names.clone(),
            prompt_tokens: None,
        }
    }
}
