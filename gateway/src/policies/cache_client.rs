//! The cache service over HTTP.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use secrecy::ExposeSecret;
use tollgate_backends::call::{Caller, collect, post_request};
use tollgate_config::CacheServiceConfig;
use tollgate_schemas::cache::{LookupRequest, LookupResponse};
use tollgate_settings::SecretError;

use crate::cache_port::{CacheLookup, LookupError, LookupFuture};

/// Largest answer of the cache service, bytes.
const MAX_ANSWER: usize = 1 << 20;
/// Tells the service when nobody waits any more, ms.
const DEADLINE_HEADER: HeaderName = HeaderName::from_static("x-tollgate-deadline-ms");

/// Where lookups go and what they authenticate with: read once, shared by all workers.
#[derive(Clone)]
pub struct CacheEndpoint {
    lookup_url: Uri,
    authorization: Option<HeaderValue>,
}

/// Why the cache service cannot be asked as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum CacheEndpointError {
    /// Its address is not a URL.
    #[error("cache_service.url: {0}")]
    Url(#[from] http::uri::InvalidUri),
    /// The token is not there.
    #[error("cache_service.token: {0}")]
    Token(#[from] SecretError),
    /// The token has characters that no header can carry.
    #[error("cache_service.token: must be printable ASCII")]
    TokenText,
}

impl CacheEndpoint {
    /// Reads URL and token.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn new(config: &CacheServiceConfig) -> Result<Self, CacheEndpointError> {
        let lookup_url = format!("{}/v1/lookup", config.url.trim_end_matches('/')).parse()?;
        let authorization = config.token.as_ref().map(|token| {
            let token = token.resolve()?;
            let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
            let mut value = value.map_err(|_| CacheEndpointError::TokenText)?;
            value.set_sensitive(true);
            Ok::<_, CacheEndpointError>(value)
        });
        Ok(Self { lookup_url, authorization: authorization.transpose()? })
    }

    fn headers(&self, deadline: Duration) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(DEADLINE_HEADER, HeaderValue::from(u64::try_from(deadline.as_millis()).unwrap_or(0)));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        headers
    }
}

/// Asks a cache service over HTTP, with the connections of one worker thread.
pub struct HttpCache {
    caller: Rc<Caller>,
    endpoint: CacheEndpoint,
}

impl HttpCache {
    /// A client for the service at `endpoint`.
    #[must_use]
    pub const fn new(caller: Rc<Caller>, endpoint: CacheEndpoint) -> Self {
        Self { caller, endpoint }
    }

    async fn ask(&self, request: LookupRequest, deadline: Duration) -> Result<LookupResponse, LookupError> {
        let fail = |error: &dyn std::error::Error| LookupError(error.to_string());
        let body = serde_json::to_vec(&request).map_err(|error| fail(&error))?;
        let headers = self.endpoint.headers(deadline);
        let post = post_request(self.endpoint.lookup_url.clone(), headers, Bytes::from(body));
        let response = self.caller.send(post, deadline, deadline).await.map_err(|error| fail(&error))?;
        if response.status() != StatusCode::OK {
            return Err(LookupError(format!("status {}", response.status())));
        }
        let body = collect(response.into_body(), MAX_ANSWER, deadline).await.map_err(|error| fail(&error))?;
        serde_json::from_slice(&body).map_err(|error| fail(&error))
    }
}

impl CacheLookup for HttpCache {
    fn lookup(&self, request: LookupRequest, deadline: Duration) -> LookupFuture<'_> {
        Box::pin(self.ask(request, deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(more: &str) -> Result<CacheEndpoint, String> {
        let config: CacheServiceConfig =
            serde_json::from_str(&format!(r#"{{ "url": "http://cache:8092/"{more} }}"#)).unwrap();
        CacheEndpoint::new(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_token_is_sent_as_bearer_and_never_printed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "t0ken\n").unwrap();
        let token = format!(r#", "token": "${{secret:file:{}}}""#, file.path().display());
        let headers = endpoint(&token).unwrap().headers(Duration::from_millis(50));
        assert_eq!(headers[AUTHORIZATION], "Bearer t0ken");
        assert!(!format!("{headers:?}").contains("t0ken"));
        assert_eq!(headers[DEADLINE_HEADER], "50");
    }

    #[test]
    fn without_a_token_no_credential_is_sent() {
        let endpoint = endpoint("").unwrap();
        assert_eq!(endpoint.lookup_url, "http://cache:8092/v1/lookup");
        assert!(!endpoint.headers(Duration::ZERO).contains_key(AUTHORIZATION));
    }

    #[test]
    fn a_token_that_is_not_there_is_named() {
        let error = endpoint(r#", "token": "${secret:env:TOLLGATE_NOT_SET}""#).err().unwrap();
        assert!(error.starts_with("cache_service.token: environment variable TOLLGATE_NOT_SET"), "{error}");
    }
}
