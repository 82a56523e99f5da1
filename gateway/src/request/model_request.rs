//! A request for a model's answer, as its attempts need it.

use bytes::Bytes;
use http::HeaderMap;
use tollgate_admission::QueueKey;
use tollgate_base::time::now_ms;
use tollgate_crossing::WayBack;
use tollgate_expressions::RequestFacts;
use tollgate_formats::exchange::AnswerHead;
use tollgate_formats::view::View;
use tollgate_runtime::snapshot::Model;

use super::context::RequestContext;
use crate::books::event::EventContext;
use crate::stored::response_ids::StoredAt;

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
    /// Headers of the client that are passed on.
    pub headers: HeaderMap,
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
    /// What the client sees of an answer in another format than the backend's.
    #[must_use]
    pub fn shown(&self, way_back: &WayBack) -> AnswerHead {
        AnswerHead {
            id: format!("{}{}", self.context.format.id_prefix(), self.context.id.0.simple()),
            model: self.model.alias.to_string(),
            created_s: u64::try_from(now_ms() / 1_000).unwrap_or(0),
            legacy_functions: way_back.legacy_functions,
            tool_names: way_back.tool_names.clone(),
        }
    }
}
