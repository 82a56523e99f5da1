//! A whole answer on its way to the client.

use bytes::Bytes;
use tollgate_formats::Usage;
use tollgate_formats::exchange::Stop;

/// A whole answer on its way to the client.
#[derive(Debug)]
pub struct Incoming {
    /// Its body in the client's format.
    pub body: Bytes,
    /// What the provider says it used.
    pub usage: Option<Usage>,
    /// What was generated; empty unless the content is read, or must be counted.
    pub text: String,
    /// Why the model stopped, where that was read.
    pub stop: Option<Stop>,
    /// Whether it is a text that ended by itself: the only kind that is cached.
    pub plain: bool,
}

impl Incoming {
    /// An answer of which no more is known than what it used.
    pub(crate) fn metered(body: Bytes, usage: Option<Usage>) -> Self {
        Self { body, usage, text: String::new(), stop: None, plain: false }
    }
}
