//! What a search for an answer ends with.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use http::Response;
use tollgate_backends::AnswerBody;
use tollgate_crossing::Crossing;
use tollgate_limits::Balance;
use tollgate_runtime::snapshot::Target;

use super::attempt::Attempt;
use super::first_byte::Begun;
use super::several::Several;
use super::verdict::Refusal;

/// A backend answered.
pub(super) enum Reply<'a> {
    /// It does what was asked.
    Answer {
        /// The answer, or its beginning.
        begun: Begun<'a>,
        /// The limit with the least left, for the client's headers.
        limit: Option<Balance>,
        /// For the client's headers.
        served: Served,
    },
    /// It refuses the request itself.
    Refusal {
        /// What it says.
        refusal: Refusal,
        /// For the client's headers.
        served: Served,
    },
}

/// A backend that answers: the head is here, the body follows.
pub(super) struct Answering<'a> {
    /// Books that stay open until the body ends.
    pub attempt: Attempt,
    /// The answer.
    pub response: Response<AnswerBody>,
    /// What the client and the backend speak.
    pub crossing: Crossing,
    /// Who answers.
    pub target: &'a Target,
    /// Whether the client reads calls of tools in OpenAI's old form only.
    pub legacy_functions: bool,
    /// Calls that went before the one that is answered.
    pub(super) several: Option<Rc<Several>>,
}

/// How an answer came about, for the client's headers.
#[derive(Debug, Clone)]
pub struct Served {
    /// Calls that were made, with the one that answered.
    pub attempts: u8,
    /// Configured name of the backend that answered and the model's name there; none where clients are not
    /// told.
    pub target: Option<(Arc<str>, Arc<str>)>,
    /// A cookie that keeps the client's session where it is.
    pub set_cookie: Option<HeaderValue>,
    /// Variant of a weighted trial that answered.
    pub variant: Option<Arc<str>>,
    /// Parameters that the backend's format has no place for.
    pub dropped: Vec<Cow<'static, str>>,
}
