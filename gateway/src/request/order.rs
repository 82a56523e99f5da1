//! What a request brings to its attempts.

use bytes::Bytes;
use http::HeaderMap;
use tollgate_formats::exchange::AnswerHead;
use tollgate_formats::view::View;

use super::context::RequestContext;
use super::event::{self, Subject};
use super::response_ids::StoredAt;
use crate::expressions::RequestFacts;
use crate::overload::Place;

/// What a request brings to its attempts.
pub struct Order<'a> {
    /// The request.
    pub context: &'a RequestContext,
    /// What its events have in common.
    pub subject: Subject<'a>,
    /// Its body as received.
    pub body: &'a Bytes,
    /// Its body as read.
    pub view: &'a View<'a>,
    /// Headers of the client that are passed on.
    pub headers: HeaderMap,
    /// What expressions may know of it.
    pub facts: RequestFacts<'a>,
    /// The stored answer that it continues, if it does.
    pub continues: Option<&'a StoredAt>,
    /// Whose turn it is where requests wait.
    pub place: &'a Place,
}

impl Order<'_> {
    /// What the client sees of an answer in another format than the backend's.
    #[must_use]
    pub fn shown(&self, alias: &str, legacy_functions: bool) -> AnswerHead {
        AnswerHead {
            id: format!("{}{}", self.context.format.id_prefix(), self.context.id.0.simple()),
            model: alias.to_owned(),
            created_s: u64::try_from(event::now_ms() / 1_000).unwrap_or(0),
            legacy_functions,
        }
    }
}
