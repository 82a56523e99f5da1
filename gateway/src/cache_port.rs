//! The port to the cache service, wherever it is.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tollgate_runtime::cache_endpoint::CacheEndpoint;
use tollgate_schemas::cache::{LookupRequest, LookupResponse};

/// A lookup in flight.
pub type LookupFuture<'a> = Pin<Box<dyn Future<Output = Result<LookupResponse, LookupError>> + 'a>>;

/// Asks the cache service, wherever it is.
pub trait CacheLookup {
    /// Looks for an answer there; the caller stops waiting at its deadline.
    fn lookup<'a>(
        &'a self,
        endpoint: &'a CacheEndpoint,
        request: LookupRequest,
        deadline: Duration,
    ) -> LookupFuture<'a>;
}

/// Why a lookup brought nothing; always treated as a miss.
#[derive(Debug, thiserror::Error)]
#[error("cache lookup: {0}")]
pub struct LookupError(pub String);
