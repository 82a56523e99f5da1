//! TLS towards backends and token endpoints: the system's roots, TLS 1.2 and 1.3; for a backend that wants
//! it, authorities of its own and a certificate of the gateway.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use secrecy::ExposeSecret;
use tollgate_config::{BackendTlsConfig, ClientCertificateConfig};
use tollgate_settings::{Fingerprint, SecretError};

/// Client settings with the system's certificate authorities, which are read once per process. Without any
/// (a bare container) every https backend will be refused at its handshake; that is logged once, and http
/// backends work.
///
/// # Errors
/// When the cryptography provider does not offer the protocol versions.
pub fn client_config() -> Result<ClientConfig, rustls::Error> {
    Ok(builder()?.with_root_certificates(system_roots()).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            tracing::warn!("no certificate authorities on this system: https endpoints cannot be verified");
        }
        Arc::new(roots)
    };
    Arc::clone(ROOTS.get_or_init(read))
}

/// TLS settings of backends that differ from those of all others. They do not print.
pub struct BackendTls {
    client: ClientConfig,
    fingerprint: Option<Fingerprint>,
}

/// Why the TLS settings of a backend cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackendTlsError {
    /// The file of authorities is not usable.
    #[error("{path} is not a PEM file of certificates: {reason}")]
    Authorities {
        /// Path as configured.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The secret with the client certificate or its key cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The client certificate is no PEM certificate.
    #[error("the certificate is not a PEM certificate")]
    Certificate,
    /// The key is no PEM key.
    #[error("the key is not a PEM private key")]
    Key,
    /// Certificate and key do not fit together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used together: {0}")]
    Pair(rustls::Error),
    /// The cryptography provider does not offer the protocol versions.
    #[error(transparent)]
    Provider(rustls::Error),
}

impl BackendTlsError {
    /// The field at fault, below `tls`.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Authorities { .. } => "ca",
            Self::Secret(_) | Self::Pair(_) | Self::Provider(_) => "client_certificate",
            Self::Certificate => "client_certificate.certificate",
            Self::Key => "client_certificate.key",
        }
    }
}

impl BackendTls {
    /// Resolves configured settings.
    ///
    /// # Errors
    /// When a file, certificate or key is not usable.
    pub fn resolve(config: &BackendTlsConfig) -> Result<Self, BackendTlsError> {
        let fingerprint = Self::fingerprint_of(config);
        let roots = match &config.ca {
            Some(path) => Arc::new(read_authorities(path)?),
            None => system_roots(),
        };
        let builder = builder().map_err(BackendTlsError::Provider)?.with_root_certificates(roots);
        let client = match &config.client_certificate {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let (chain, key) = read_pair(pair)?;
                builder.with_client_auth_cert(chain, key).map_err(BackendTlsError::Pair)?
            }
        };
        Ok(Self { client, fingerprint })
    }

    /// Identifies configured settings by their content, certificates and key included. `None` if these cannot be read.
    #[must_use]
    pub fn fingerprint_of(config: &BackendTlsConfig) -> Option<Fingerprint> {
        let files: Vec<&Path> = config.ca.iter().map(PathBuf::as_path).collect();
        Fingerprint::of(config, &files)
    }

    /// Identifies these settings by their content; `None` if that could not be read.
    #[must_use]
    pub const fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// The settings for a client.
    #[must_use]
    pub const fn client_config(&self) -> &ClientConfig {
        &self.client
    }
}

/// TLS settings of a backend's own, known again by their content when a new configuration has them too.
pub(super) struct OwnTls {
    settings: Weak<BackendTls>,
    fingerprint: Option<Fingerprint>,
}

impl OwnTls {
    pub(super) fn of(settings: &Arc<BackendTls>) -> Self {
        Self { settings: Arc::downgrade(settings), fingerprint: settings.fingerprint() }
    }

    /// Whether both have the same content; if so, the pool lives as long as `wanted`.
    pub(super) fn is_same(&mut self, wanted: &Arc<BackendTls>) -> bool {
        if std::ptr::eq(self.settings.as_ptr(), Arc::as_ptr(wanted)) {
            return true;
        }
        let same = self.fingerprint.is_some() && self.fingerprint == wanted.fingerprint();
        if same {
            self.settings = Arc::downgrade(wanted);
        }
        same
    }

    /// Whether no configuration in use has these settings any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.settings.strong_count() == 0
    }
}

impl fmt::Debug for BackendTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackendTls(***)")
    }
}

fn read_authorities(path: &Path) -> Result<RootCertStore, BackendTlsError> {
    let failed = |reason: String| BackendTlsError::Authorities { path: path.display().to_string(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(failed("it has none".to_owned())) } else { Ok(roots) }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_pair(config: &ClientCertificateConfig) -> Result<Pair, BackendTlsError> {
    let certificate = config.certificate.resolve()?;
    let chain: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_slice_iter(certificate.expose_secret().as_bytes()).collect();
    let chain = chain.map_err(|_| BackendTlsError::Certificate)?;
    if chain.is_empty() {
        return Err(BackendTlsError::Certificate);
    }
    let key = config.key.resolve()?;
    let key =
        PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).map_err(|_| BackendTlsError::Key)?;
    Ok((chain, key))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
