//! What a request holds from its first byte to the last one of its answer.

use tollgate_admission::{Held, Permit};

/// A place among the running requests, and the memory of its body.
#[derive(Debug)]
pub struct RequestGuard {
    /// Its place.
    pub permit: Permit,
    /// Its memory.
    pub held: Held,
}
