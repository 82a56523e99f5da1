//! The port to the cache service, wherever it is.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tollgate_schemas::cache::{LookupRequest, LookupResponse};

/// A lookup in flight.
pub type LookupFuture<'a> = Pin<Box<dyn Future<Output = Result<LookupResponse, LookupError>> + 'a>>;

/// Asks the cache service, wherever it is.
pub trait CacheLookup {
    /// Looks for an answer; the caller stops waiting at its deadline.
    fn lookup(&self, request: LookupRequest, deadline: Duration) -> LookupFuture<'_>;
}

/// Why a lookup brought nothing; always treated as a miss.
#[derive(Debug, thiserror::Error)]
#[error("cache lookup: {0}")]
pub struct LookupError(pub String);
