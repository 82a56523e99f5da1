//! An answer whose head is here and whose body follows.

use std::rc::Rc;

use http::Response;
use tollgate_backends::AnswerBody;
use tollgate_crossing::{Crossing, WayBack};
use tollgate_runtime::snapshot::Target;

use super::several::Several;
use crate::books::attempt::Attempt;

/// A backend that does what was asked.
pub struct OpenAnswer<'a> {
    /// Books that stay open until the body ends.
    pub attempt: Attempt,
    pub response: Response<AnswerBody>,
    /// What the client and the backend speak.
    pub crossing: Crossing,
    pub target: &'a Target,
    /// What the way back must know.
    pub way_back: WayBack,
    /// Calls that went before the one that is answered.
    pub several: Option<Rc<Several>>,
}
