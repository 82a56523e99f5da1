//! OAuth 2.0 client credentials (RFC 6749 §4.4).

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::clock::Clock;
use crate::config::{ClientAuthentication, Oauth2Config};
use crate::endpoint::{Endpoint, TokenClient};
use crate::error::{ConfigureError, CredentialError};
use crate::token::{self, Fetched};

/// A client of a token endpoint, resolved.
pub(crate) struct ClientCredentials {
    pub(crate) endpoint: Endpoint,
    /// `Authorization: Basic`, where the client shows itself that way.
    basic: Option<HeaderValue>,
    /// The request's body.
    form: SecretString,
}

impl ClientCredentials {
    pub(crate) fn new(config: &Oauth2Config) -> Result<Self, ConfigureError> {
        let endpoint = Endpoint::new(&config.token_url, config.allow_plain_http, "oauth2.token_url")?;
        let secret = config
            .client_secret
            .resolve()
            .map_err(|error| ConfigureError::new("oauth2.client_secret", error.to_string()))?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        let basic = match config.authentication {
            ClientAuthentication::ClientSecretBasic => Some(basic(&config.client_id, &secret)?),
            ClientAuthentication::ClientSecretPost => {
                form.append_pair("client_id", &config.client_id);
                form.append_pair("client_secret", secret.expose_secret());
                None
            }
        };
        for (name, value) in [("scope", &config.scope), ("audience", &config.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        for (name, value) in &config.parameters {
            let value = value
                .resolve()
                .map_err(|error| ConfigureError::new("oauth2.parameters", format!("`{name}`: {error}")))?;
            form.append_pair(name, value.expose_secret());
        }
        Ok(Self { endpoint, basic, form: form.finish().into() })
    }

    pub(crate) async fn fetch(
        &self,
        client: &TokenClient,
        clock: &Clock,
    ) -> Result<Fetched<HeaderValue>, CredentialError> {
        let mut headers = HeaderMap::with_capacity(3);
        if let Some(basic) = &self.basic {
            headers.insert(AUTHORIZATION, basic.clone());
        }
        let form = self.form.expose_secret().to_owned();
        let answer = client.post_form(&self.endpoint, headers, form).await?;
        token::bearer(&self.endpoint, &answer, clock.unix())
    }

    pub(crate) fn endpoint_name(&self) -> Arc<str> {
        Arc::clone(&self.endpoint.name)
    }
}

/// Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1).
fn basic(id: &str, secret: &SecretString) -> Result<HeaderValue, ConfigureError> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair: SecretString = format!("{}:{}", encode(id), encode(secret.expose_secret())).into();
    let text = format!("Basic {}", BASE64_STANDARD.encode(pair.expose_secret()));
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| ConfigureError::new("oauth2.client_secret", "cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_authentication_encodes_before_it_joins() {
        let value = basic("my:client", &"p ä:s".into()).unwrap();
        let pair = BASE64_STANDARD.decode(value.to_str().unwrap().trim_start_matches("Basic ")).unwrap();
        assert_eq!(pair, b"my%3Aclient:p+%C3%A4%3As");
        assert!(!format!("{value:?}").contains("Basic"));
    }
}
