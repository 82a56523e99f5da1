//! The one entry: credentials of a backend, made once, applied to every request.

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderName, HeaderValue};

use crate::aws::Signer;
use crate::azure::ManagedIdentity;
use crate::cache::{Source, TokenCache};
use crate::clock::Clock;
use crate::config::CredentialsConfig;
use crate::context::CredentialContext;
use crate::endpoint::TokenClient;
use crate::error::{ConfigureError, CredentialError};
use crate::oauth2::ClientCredentials;
use crate::query::QueryCredential;
use crate::token::Fetched;
use crate::{gcp, header, validate};

/// Credentials towards one backend. They never print.
pub struct Credentials(Kind);

enum Kind {
    Anonymous,
    Header(HeaderName, HeaderValue),
    Query(QueryCredential),
    Bearer(TokenCache<BearerSource>),
    AwsSigv4(Box<Signer>),
}

impl Credentials {
    /// Nothing is shown to the backend.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self(Kind::Anonymous)
    }

    /// Makes the credentials of the backend named `backend`. Nothing is fetched before the first request.
    ///
    /// # Errors
    /// When a secret is missing or malformed, an endpoint is no URL, or the platform does not say what it
    /// should.
    pub fn new(
        backend: &Arc<str>,
        config: &CredentialsConfig,
        context: &CredentialContext,
    ) -> Result<Self, ConfigureError> {
        validate::first_mistake(config)?;
        let environment = &context.environment;
        let token = match config {
            CredentialsConfig::Header(config) => {
                let (name, value) = header::configured(config)?;
                return Ok(Self(Kind::Header(name, value)));
            }
            CredentialsConfig::Query(config) => {
                return Ok(Self(Kind::Query(QueryCredential::configured(config)?)));
            }
            CredentialsConfig::AwsSigv4(config) => {
                return Ok(Self(Kind::AwsSigv4(Box::new(Signer::new(backend, config, context)?))));
            }
            CredentialsConfig::Oauth2(config) => TokenKind::Oauth2(ClientCredentials::new(config)?),
            CredentialsConfig::ManagedIdentity(config) => {
                TokenKind::Azure(ManagedIdentity::new(config, environment)?)
            }
            CredentialsConfig::GcpServiceAccount(config) => {
                TokenKind::ServiceAccount(Box::new(gcp::ServiceAccount::new(config)?))
            }
            CredentialsConfig::GcpMetadata(config) => {
                TokenKind::Metadata(gcp::Metadata::new(config, environment)?)
            }
        };
        let clock = context.clock.clone();
        let source = BearerSource { kind: token, client: context.client.clone(), clock: clock.clone() };
        Ok(Self(Kind::Bearer(TokenCache::new(source, Arc::clone(backend), clock, context.timing))))
    }

    /// Completes the head of a request whose body is `body`. Ready at once unless a token must be fetched.
    /// Call it last: a signature covers the head as it is then.
    ///
    /// # Errors
    /// When there is no valid token and none can be fetched, or the request cannot be signed.
    pub async fn prepare(&self, head: &mut Parts, body: &[u8]) -> Result<(), CredentialError> {
        match &self.0 {
            Kind::Anonymous => {}
            Kind::Header(name, value) => {
                head.headers.insert(name.clone(), value.clone());
            }
            Kind::Query(query) => query.apply(&mut head.uri)?,
            Kind::Bearer(cache) => {
                let value = match cache.with_valid(HeaderValue::clone) {
                    Some(value) => value,
                    None => Box::pin(cache.wait()).await?.value.clone(),
                };
                head.headers.insert(AUTHORIZATION, value);
            }
            Kind::AwsSigv4(signer) => signer.prepare(head, body).await?,
        }
        Ok(())
    }

    /// Whether a request's body is part of what is shown, so that it must be whole before the head can be sent.
    #[must_use]
    pub const fn sign_bodies(&self) -> bool {
        matches!(self.0, Kind::AwsSigv4(_))
    }

    /// The backend refuses what it was shown (401): the next request fetches a new token, unless this one is
    /// so young that another would not help. Fixed credentials stay as they are.
    pub fn invalidate(&self) {
        match &self.0 {
            Kind::Anonymous | Kind::Header(..) | Kind::Query(_) => {}
            Kind::Bearer(cache) => cache.invalidate(),
            Kind::AwsSigv4(signer) => signer.invalidate(),
        }
    }
}

/// The kind and nothing of its content.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Anonymous => "Anonymous",
            Kind::Header(..) => "Header(***)",
            Kind::Query(_) => "Query(***)",
            Kind::Bearer(_) => "Bearer(***)",
            Kind::AwsSigv4(_) => "AwsSigv4(***)",
        })
    }
}

/// Where bearer tokens come from.
struct BearerSource {
    kind: TokenKind,
    client: TokenClient,
    clock: Clock,
}

enum TokenKind {
    Oauth2(ClientCredentials),
    Azure(ManagedIdentity),
    ServiceAccount(Box<gcp::ServiceAccount>),
    Metadata(gcp::Metadata),
}

impl Source for BearerSource {
    type Value = HeaderValue;

    async fn fetch(&self) -> Result<Fetched<HeaderValue>, CredentialError> {
        match &self.kind {
            TokenKind::Oauth2(source) => source.fetch(&self.client, &self.clock).await,
            TokenKind::Azure(source) => source.fetch(&self.client, &self.clock).await,
            TokenKind::ServiceAccount(source) => source.fetch(&self.client, &self.clock).await,
            TokenKind::Metadata(source) => source.fetch(&self.client, &self.clock).await,
        }
    }

    fn endpoint(&self) -> Arc<str> {
        match &self.kind {
            TokenKind::Oauth2(source) => source.endpoint_name(),
            TokenKind::Azure(source) => source.endpoint_name(),
            TokenKind::ServiceAccount(source) => source.endpoint_name(),
            TokenKind::Metadata(source) => source.endpoint_name(),
        }
    }
}
