//! RS256 assertions of service accounts (RFC 7515, RFC 7523).

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use crate::error::CredentialError;

/// How long an assertion is valid; the longest that Google takes.
const ASSERTION_LIFE: Duration = Duration::from_secs(3600);

/// A private RSA key that signs assertions.
pub(crate) struct AssertionKey {
    key: RsaKeyPair,
    key_id: Option<String>,
}

/// What an assertion says.
pub(crate) struct Claims<'a> {
    /// Who asks.
    pub(crate) issuer: &'a str,
    /// The endpoint that is asked.
    pub(crate) audience: &'a str,
    /// What for.
    pub(crate) scope: &'a str,
    /// When, since 1970.
    pub(crate) issued: Duration,
}

impl AssertionKey {
    /// Reads a PEM key, PKCS #8 or PKCS #1. The error does not repeat it.
    pub(crate) fn from_pem(pem: &str, key_id: Option<String>) -> Result<Self, &'static str> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "is not a PEM private key")?;
        let key = match &key {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err("is not an RSA key"),
        };
        let key = key.map_err(|_| "is not an RSA key of 2048 to 4096 bits")?;
        Ok(Self { key, key_id })
    }

    /// A signed assertion.
    pub(crate) fn sign(&self, claims: &Claims<'_>) -> Result<String, CredentialError> {
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(key_id) = &self.key_id {
            header["kid"] = key_id.as_str().into();
        }
        let payload = json!({
            "iss": claims.issuer,
            "scope": claims.scope,
            "aud": claims.audience,
            "iat": claims.issued.as_secs(),
            "exp": (claims.issued + ASSERTION_LIFE).as_secs(),
        });
        let encode = |text: String| BASE64_URL_SAFE_NO_PAD.encode(text);
        let mut token = format!("{}.{}", encode(header.to_string()), encode(payload.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| CredentialError::Signing("the assertion's key does not work"))?;
        token.push('.');
        token.push_str(&BASE64_URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}
