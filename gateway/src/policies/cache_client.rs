//! The cache service over HTTP.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tollgate_backends::call::{BackendClient, collect, post_request};
use tollgate_runtime::cache_endpoint::CacheEndpoint;
use tollgate_schemas::cache::{LookupRequest, LookupResponse};

use crate::cache_port::{CacheLookup, LookupError, LookupFuture};

/// Largest answer of the cache service, bytes.
const MAX_ANSWER: usize = 1 << 20;
/// Tells the service when nobody waits any more, ms.
const DEADLINE_HEADER: HeaderName = HeaderName::from_static("x-tollgate-deadline-ms");

/// Asks a cache service over HTTP, with the connections of one worker thread.
pub struct HttpCache {
    caller: Rc<BackendClient>,
}

impl HttpCache {
    /// A client with the connections of `caller`.
    #[must_use]
    pub fn new(caller: Rc<BackendClient>) -> Self {
        Self { caller }
    }

    async fn ask(
        &self,
        endpoint: &CacheEndpoint,
        request: LookupRequest,
        deadline: Duration,
    ) -> Result<LookupResponse, LookupError> {
        let fail = |error: &dyn std::error::Error| LookupError(error.to_string());
        let body = serde_json::to_vec(&request).map_err(|error| fail(&error))?;
        let post = post_request(endpoint.lookup_url.clone(), headers(endpoint, deadline), Bytes::from(body));
        let response = self.caller.send(post, deadline, deadline).await.map_err(|error| fail(&error))?;
        if response.status() != StatusCode::OK {
            return Err(LookupError(format!("status {}", response.status())));
        }
        let body = collect(response.into_body(), MAX_ANSWER, deadline).await.map_err(|error| fail(&error))?;
        serde_json::from_slice(&body).map_err(|error| fail(&error))
    }
}

fn headers(endpoint: &CacheEndpoint, deadline: Duration) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(DEADLINE_HEADER, HeaderValue::from(u64::try_from(deadline.as_millis()).unwrap_or(0)));
    if let Some(authorization) = &endpoint.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers
}

impl CacheLookup for HttpCache {
    fn lookup<'a>(
        &'a self,
        endpoint: &'a CacheEndpoint,
        request: LookupRequest,
        deadline: Duration,
    ) -> LookupFuture<'a> {
        Box::pin(self.ask(endpoint, request, deadline))
    }
}
