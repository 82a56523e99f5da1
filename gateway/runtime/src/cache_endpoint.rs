//! Where the cache service is asked, and what it is shown.

use http::{HeaderValue, Uri};
use secrecy::ExposeSecret;
use tollgate_config::CacheServiceConfig;
use tollgate_settings::{Mistakes, SecretError};

/// Where lookups go and what they authenticate with.
#[derive(Debug, Clone)]
pub struct CacheEndpoint {
    /// URL of the lookup.
    pub lookup_url: Uri,
    /// Value of `Authorization`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
}

/// Why the cache service cannot be asked as it is configured.
#[derive(Debug, thiserror::Error)]
enum CacheEndpointError {
    #[error("{0}")]
    Url(#[from] http::uri::InvalidUri),
    #[error("{0}")]
    Token(#[from] SecretError),
    #[error("must be printable ASCII")]
    TokenText,
}

impl CacheEndpointError {
    const fn field(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Token(_) | Self::TokenText => "token",
        }
    }
}

impl CacheEndpoint {
    /// Reads URL and token; notes what cannot be used below `cache_service`.
    pub(crate) fn resolve(config: &CacheServiceConfig, mistakes: &mut Mistakes) -> Option<Self> {
        let noted = |error: CacheEndpointError| {
            mistakes.add(format!("cache_service.{}", error.field()), error.to_string());
        };
        Self::new(config).map_err(noted).ok()
    }

    fn new(config: &CacheServiceConfig) -> Result<Self, CacheEndpointError> {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(more: &str) -> Result<CacheEndpoint, String> {
        let text = format!(r#"{{ "url": "http://cache:8092/"{more} }}"#);
        let config: CacheServiceConfig = serde_json::from_str(&text).unwrap();
        let mut mistakes = Mistakes::default();
        let found = CacheEndpoint::resolve(&config, &mut mistakes);
        found.ok_or_else(|| format!("{}: {}", mistakes.0[0].path, mistakes.0[0].message))
    }

    #[test]
    fn the_token_is_sent_as_bearer_and_never_printed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "t0ken\n").unwrap();
        let token = format!(r#", "token": "${{secret:file:{}}}""#, file.path().display());
        let endpoint = endpoint(&token).unwrap();
        assert_eq!(endpoint.authorization.as_ref().unwrap(), "Bearer t0ken");
        assert!(!format!("{endpoint:?}").contains("t0ken"));
    }

    #[test]
    fn without_a_token_no_credential_is_sent() {
        let endpoint = endpoint("").unwrap();
        assert_eq!(endpoint.lookup_url, "http://cache:8092/v1/lookup");
        assert!(endpoint.authorization.is_none());
    }

    #[test]
    fn a_token_that_is_not_there_is_named() {
        let error = endpoint(r#", "token": "${secret:env:TOLLGATE_NOT_SET}""#).err().unwrap();
        assert!(error.starts_with("cache_service.token: environment variable TOLLGATE_NOT_SET"), "{error}");
    }
}
