//! What a request holds from its first byte until the last one of its answer is written.

use tollgate_admission::{Held, Permit};
use tracing::Span;

/// A place among the running requests, and the memory of its bodies.
#[derive(Debug)]
pub struct RequestGuard {
    pub _permit: Permit,
    /// Its span, which ends with it.
    pub _span: Span,
    /// The memory of its body.
    pub held: Held,
    /// The memory of its answer, where that is whole.
    pub answer: Option<Held>,
}
