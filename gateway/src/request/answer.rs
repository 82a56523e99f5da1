//! What goes back to the client.
//!
//! ```text
//!                    ┌─▶ OpenAnswer ─▶ AnswerStart ─┬─▶ Whole ───┐
//! CallResult ─▶ CallVerdict                          ├─▶ Stream ──┼─▶ Answer ─▶ response
//!  (search)          ├─▶ Refusal ─────────────────────┴─▶ Relayed ─┘
//!                    └─▶ Unanswered: the next target is tried
//! ```
//! A call ends with a head or an error (`CallResult`), which is judged (`CallVerdict`). Of an open answer the search
//! waits for something that the client can be given (`AnswerStart`); from then on the answer is the client's.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tollgate_backends::AnswerBody;
use tollgate_limits::Balance;

use super::guard::RequestGuard;
use super::passthrough::relayed::Relayed;
use super::stream::ClientStream;
use crate::policies::semantic_cache::CacheStatus;

/// What goes back to the client.
pub enum Answer {
    Whole {
        status: StatusCode,
        /// Its body, in the client's API format.
        body: Bytes,
        /// Facts for headers.
        facts: Facts,
        /// What the request holds until the body is written.
        guard: RequestGuard,
    },
    /// An answer that is relayed without being changed.
    Relayed {
        status: StatusCode,
        /// Its headers, as far as the client needs them.
        headers: HeaderMap,
        body: Box<Relayed<AnswerBody>>,
        /// Facts for headers; `None` where the answer's own headers are all that its client expects.
        facts: Option<Facts>,
    },
    Stream {
        stream: Box<ClientStream>,
        /// Facts for headers.
        facts: Facts,
    },
}

/// Facts about an answer that headers tell the client.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Whether a whole body is a stream that was told at once.
    pub is_stream: bool,
    /// What the cache did.
    pub cache: Option<CacheStatus>,
    /// Similarity of a semantic hit.
    pub similarity: Option<f32>,
    /// The limit with the least left.
    pub limit: Option<Balance>,
    /// Which backend answered, after how many attempts.
    pub served: Option<Served>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Who counted, where tokens were to be counted.
    pub counted_by: Option<CountedBy>,
}

/// Who counted the tokens of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedBy {
    /// The provider that serves the model.
    Provider,
    /// The gateway: the provider's own count may be another one.
    Estimate,
}

impl CountedBy {
    /// Its name in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Estimate => "estimate",
        }
    }
}

/// How an answer came about.
#[derive(Debug, Clone)]
pub struct Served {
    /// Calls that were made, with the one that answered.
    pub attempts: u8,
    /// Configured name of the backend that answered and the model's name there; `None` where clients are not told.
    pub target: Option<(Arc<str>, Arc<str>)>,
    /// A cookie that keeps the client's session where it is.
    pub set_cookie: Option<HeaderValue>,
    /// Variant of a weighted trial that answered.
    pub variant: Option<Arc<str>>,
    /// Parameters that the backend's format has no place for.
    pub dropped: Vec<Cow<'static, str>>,
    /// What the backend says of its rate limits, where clients are told, by the names that they are told.
    pub rates: Vec<(HeaderName, HeaderValue)>,
}
