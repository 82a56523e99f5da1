//! Google Cloud: service account keys exchanged for tokens ("OAuth 2.0 for server to server applications"),
//! and the metadata server.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::clock::Clock;
use crate::config::{GcpMetadataConfig, GcpServiceAccountConfig};
use crate::endpoint::{Endpoint, TokenClient};
use crate::environment::Environment;
use crate::error::{ConfigureError, CredentialError};
use crate::jwt::{AssertionKey, Claims};
use crate::token::{self, Fetched};

const METADATA_SERVER: &str = "http://metadata.google.internal";
const KEY_FIELD: &str = "gcp_service_account.key";

/// The parts of a key file that are used.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: Option<String>,
    token_uri: String,
}

/// A service account with its key, resolved.
pub(crate) struct ServiceAccount {
    endpoint: Endpoint,
    key: AssertionKey,
    email: String,
    /// What the assertion is addressed to: the endpoint that the key names, also where a proxy is asked.
    audience: String,
    scope: String,
}

impl ServiceAccount {
    pub(crate) fn new(config: &GcpServiceAccountConfig) -> Result<Self, ConfigureError> {
        let text = config.key.resolve().map_err(|error| ConfigureError::new(KEY_FIELD, error.to_string()))?;
        // The parser's own words could repeat what stands there.
        let file: KeyFile = serde_json::from_str(text.expose_secret())
            .map_err(|_| ConfigureError::new(KEY_FIELD, "is not the JSON of a service account key"))?;
        if file.kind != "service_account" {
            return Err(ConfigureError::new(KEY_FIELD, "is a key of another type than service_account"));
        }
        let url = config.token_url.as_ref().unwrap_or(&file.token_uri);
        let endpoint = Endpoint::new(url, config.allow_plain_http, "gcp_service_account.token_url")?;
        let key = AssertionKey::from_pem(&file.private_key, file.private_key_id)
            .map_err(|reason| ConfigureError::new(KEY_FIELD, format!("private_key {reason}")))?;
        Ok(Self {
            endpoint,
            key,
            email: file.client_email,
            audience: file.token_uri,
            scope: config.scope.clone(),
        })
    }

    pub(crate) async fn fetch(
        &self,
        client: &TokenClient,
        clock: &Clock,
    ) -> Result<Fetched<HeaderValue>, CredentialError> {
        let assertion = self.key.sign(&Claims {
            issuer: &self.email,
            audience: &self.audience,
            scope: &self.scope,
            issued: clock.unix(),
        })?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &assertion)
            .finish();
        let answer = client.post_form(&self.endpoint, HeaderMap::new(), form).await?;
        token::bearer(&self.endpoint, &answer, clock.unix())
    }

    pub(crate) fn endpoint_name(&self) -> Arc<str> {
        Arc::clone(&self.endpoint.name)
    }
}

/// The identity of the machine or pod, resolved.
pub(crate) struct Metadata {
    endpoint: Endpoint,
}

impl Metadata {
    pub(crate) fn new(config: &GcpMetadataConfig, environment: &Environment) -> Result<Self, ConfigureError> {
        let named = || environment.get("GCE_METADATA_HOST").map(|host| format!("http://{host}"));
        let base = config.endpoint.clone().or_else(named).unwrap_or_else(|| METADATA_SERVER.to_owned());
        let account = config.service_account.as_deref().unwrap_or("default");
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'@' | b'_');
        if account.is_empty() || !account.bytes().all(is_name) {
            return Err(ConfigureError::new("gcp_metadata.service_account", "must be an email address"));
        }
        let base = base.trim_end_matches('/');
        let url = format!("{base}/computeMetadata/v1/instance/service-accounts/{account}/token");
        Ok(Self { endpoint: Endpoint::new(&url, config.allow_plain_http, "gcp_metadata.endpoint")? })
    }

    pub(crate) async fn fetch(
        &self,
        client: &TokenClient,
        clock: &Clock,
    ) -> Result<Fetched<HeaderValue>, CredentialError> {
        let flavor = (HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
        let answer = client.get(&self.endpoint, HeaderMap::from_iter([flavor])).await?;
        token::bearer(&self.endpoint, &answer, clock.unix())
    }

    pub(crate) fn endpoint_name(&self) -> Arc<str> {
        Arc::clone(&self.endpoint.name)
    }
}
