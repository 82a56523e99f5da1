//! TLS towards a backend: whom to trust, and the certificate to show.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tollgate_settings::{Mistakes, SecretTemplate};

/// TLS towards a backend. It goes with any kind of credentials.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BackendTlsConfig {
    /// PEM file of the certificate authorities that the backend's certificate may come from, instead of the
    /// system's.
    pub ca: Option<PathBuf>,
    /// Certificate that the gateway shows.
    pub client_certificate: Option<ClientCertificateConfig>,
}

/// A certificate with its private key, both PEM.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClientCertificateConfig {
    /// The certificate, followed by those between it and its authority: `${secret:file:/path}`.
    pub certificate: SecretTemplate,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: SecretTemplate,
}

impl BackendTlsConfig {
    /// Whether nothing is special about it.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.ca.is_none() && self.client_certificate.is_none()
    }

    /// What is wrong with it, below `tls`. Whether its files can be read and fit together shows when it is compiled.
    #[must_use]
    pub fn mistakes(&self, url: &str) -> Mistakes {
        let mut mistakes = Mistakes::default();
        if self.is_default() {
            return mistakes;
        }
        if !url.starts_with("https:") {
            let field = if self.ca.is_some() { "ca" } else { "client_certificate" };
            mistakes.add(field, "needs an https url");
        }
        mistakes
    }
}
