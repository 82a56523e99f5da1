//! TLS towards backends: the system's roots, TLS 1.2 and 1.3.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Client settings with the system's certificate authorities. Without any (a bare container) every https
/// backend will be refused at its handshake; that is logged once, and http backends work.
///
/// # Errors
/// When the cryptography provider does not offer the protocol versions.
pub fn client_config() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!("no certificate authorities on this system: https backends cannot be verified");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
