//! What the gateway shows to a backend. Header values are marked sensitive, so that they never print.

use http::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use tollgate_settings::SecretError;

use crate::config::CredentialsConfig;

/// Credentials towards one backend, ready to be sent.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// None.
    Anonymous,
    /// A fixed header.
    Header(HeaderName, HeaderValue),
}

/// Why credentials cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The secret is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The name or value cannot stand in a header.
    #[error("the credential cannot stand in a header")]
    NotAHeader,
}

impl Credentials {
    /// Resolves the configured credentials.
    ///
    /// # Errors
    /// When a secret is missing or cannot stand in a header.
    pub fn resolve(config: Option<&CredentialsConfig>) -> Result<Self, CredentialsError> {
        let Some(CredentialsConfig::Header(header)) = config else { return Ok(Self::Anonymous) };
        let name: HeaderName = header.name.parse().map_err(|_| CredentialsError::NotAHeader)?;
        let secret = header.value.resolve()?;
        let mut value =
            HeaderValue::from_str(secret.expose_secret()).map_err(|_| CredentialsError::NotAHeader)?;
        value.set_sensitive(true);
        Ok(Self::Header(name, value))
    }

    /// Adds them to a request's headers.
    pub fn apply(&self, headers: &mut http::HeaderMap) {
        if let Self::Header(name, value) = self {
            headers.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HeaderCredential;

    #[test]
    fn a_secret_header_is_sent_but_does_not_print() {
        let config = CredentialsConfig::Header(HeaderCredential {
            name: "Authorization".to_owned(),
            value: "Bearer s3cret".parse().unwrap(),
        });
        let credentials = Credentials::resolve(Some(&config)).unwrap();
        let mut headers = http::HeaderMap::new();
        credentials.apply(&mut headers);
        assert_eq!(headers["authorization"], "Bearer s3cret");
        assert!(!format!("{credentials:?} {headers:?}").contains("s3cret"));
    }
}
