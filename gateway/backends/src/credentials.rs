//! The credentials that the gateway shows to a backend: made from the configuration, with this process's time,
//! environment and TLS. The kinds are in [`tollgate_credentials`].

use std::sync::Arc;

use tollgate_config::CredentialsConfig;
use tollgate_credentials::{ConfigureError, CredentialContext, Credentials};

use super::tls;

/// Why credentials cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The configuration, a secret or the environment is at fault.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// TLS towards token endpoints cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl CredentialsError {
    /// The field at fault, below the backend, and what is wrong with it.
    #[must_use]
    pub fn place(&self) -> (String, String) {
        match self {
            Self::Configure(ConfigureError { field, reason }) => {
                (format!("credentials.{field}"), reason.clone())
            }
            Self::Tls(_) => ("credentials".to_owned(), self.to_string()),
        }
    }
}

/// Makes the credentials of the backend named `backend`.
///
/// # Errors
/// When a secret is missing or cannot be used, or the platform's variables are not there.
pub fn resolve(
    backend: &Arc<str>,
    config: Option<&CredentialsConfig>,
) -> Result<Arc<Credentials>, CredentialsError> {
    let Some(config) = config else { return Ok(Arc::new(Credentials::anonymous())) };
    let surroundings = CredentialContext::process(tls::client_config()?);
    Ok(Arc::new(Credentials::new(backend, config, &surroundings)?))
}
