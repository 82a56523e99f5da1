//! One configured backend, resolved: where it is, what it speaks, how long it may take.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tollgate_admission::Admission;
use tollgate_config::{BackendConfig, TimeoutOverrides};
use tollgate_credentials::Credentials;
use tollgate_crossing::{Endpoints, Wire};
use tollgate_formats::BackendFormat;

use super::tls::BackendTls;

/// A backend that can be called.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Configured name.
    pub name: Arc<str>,
    /// Company that serves it; part of the price key.
    pub provider: Arc<str>,
    /// Region label.
    pub region: Arc<str>,
    /// API format it speaks.
    pub format: BackendFormat,
    /// Whether Responses requests pass as they are.
    pub serves_responses: bool,
    /// Base URL of its stored Responses; `None` if it does not store any.
    pub responses_url: Option<String>,
    /// The one tenant that its account belongs to; `None` where tenants share it.
    pub tenant: Option<Arc<str>>,
    /// Headers from the configuration that are added to every request to it.
    pub headers: HeaderMap,
    /// Bounds the requests that run there at a time; `None` if there is no bound.
    pub admission: Option<Arc<Admission>>,
    /// How the gateway identifies itself.
    pub credentials: Arc<Credentials>,
    /// TLS settings of its own, if it has any.
    pub tls: Option<Arc<BackendTls>>,
    /// Longest time for the TCP and TLS handshakes.
    pub connect_timeout: Duration,
    /// Longest time from the call to the first byte of the answer.
    pub first_byte_timeout: Duration,
    /// Longest silence within an answer.
    pub idle_timeout: Duration,
    /// Longest time for the whole call.
    pub total_timeout: Duration,
}

/// Why a backend cannot be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Its URL cannot be read.
    #[error("`{0}` is not a URL")]
    Url(String),
    /// A header cannot be sent.
    #[error("`{0}` is not a header")]
    Header(String),
}

impl BackendError {
    /// The field at fault, below the backend.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Header(_) => "headers",
        }
    }
}

impl Backend {
    /// Resolves a configured backend. It is called with `credentials` and, if it has any, with TLS settings of its own.
    /// The number of its requests is unbounded until `admission` is set.
    ///
    /// # Errors
    /// When its URL cannot be read or a header cannot be sent.
    pub fn resolve(
        name: &Arc<str>,
        config: &BackendConfig,
        credentials: Arc<Credentials>,
        tls: Option<Arc<BackendTls>>,
    ) -> Result<Self, BackendError> {
        let responses = Endpoints::of(config, "").map_err(|_| BackendError::Url(config.url.clone()))?;
        let serves_responses = config.serves_responses();
        let responses_url = responses.uri(Wire::Responses, false).map(Uri::to_string);
        let provider = config.provider.clone().unwrap_or_else(|| config.format.as_str().into());
        Ok(Self {
            name: Arc::clone(name),
            provider,
            region: config.region.clone().unwrap_or_default(),
            format: config.format,
            serves_responses,
            responses_url: responses_url.filter(|_| serves_responses),
            tenant: config.tenant.clone(),
            headers: headers(config)?,
            admission: None,
            credentials,
            tls,
            connect_timeout: config.timeouts.connect.0,
            first_byte_timeout: config.timeouts.first_byte.0,
            idle_timeout: config.timeouts.idle.0,
            total_timeout: config.timeouts.total.0,
        })
    }

    /// The same backend with the timeouts of an alias.
    #[must_use]
    pub fn with_timeouts(self: &Arc<Self>, overrides: TimeoutOverrides) -> Arc<Self> {
        let TimeoutOverrides { connect, first_byte, idle, total } = overrides;
        if [connect, first_byte, idle, total].iter().all(Option::is_none) {
            return Arc::clone(self);
        }
        Arc::new(Self {
            connect_timeout: connect.map_or(self.connect_timeout, |time| time.0),
            first_byte_timeout: first_byte.map_or(self.first_byte_timeout, |time| time.0),
            idle_timeout: idle.map_or(self.idle_timeout, |time| time.0),
            total_timeout: total.map_or(self.total_timeout, |time| time.0),
            ..Self::clone(self)
        })
    }
}

fn headers(config: &BackendConfig) -> Result<HeaderMap, BackendError> {
    let mut headers = HeaderMap::new();
    for (name, value) in config.format.fixed_headers() {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    for (name, value) in &config.headers {
        let wrong = || BackendError::Header(name.clone());
        let key: HeaderName = name.parse().map_err(|_| wrong())?;
        headers.insert(key, value.parse().map_err(|_| wrong())?);
    }
    Ok(headers)
}
