//! Signs requests for AWS with a fixed access key or with temporary ones.

use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Uri};

use crate::access_key::AccessKey;
use crate::cache::TokenCache;
use crate::clock::Clock;
use crate::config::AwsSigv4Config;
use crate::context::CredentialContext;
use crate::error::{ConfigureError, CredentialError};
use crate::sigv4::{self, Moment};
use crate::sts::WebIdentity;

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Signs requests to one region and service.
pub(crate) struct Signer {
    region: String,
    service: String,
    keys: Keys,
    clock: Clock,
}

enum Keys {
    Fixed(Box<AccessKey>),
    Assumed(TokenCache<WebIdentity>),
}

impl Signer {
    pub(crate) fn new(
        backend: &Arc<str>,
        config: &AwsSigv4Config,
        context: &CredentialContext,
    ) -> Result<Self, ConfigureError> {
        Ok(Self {
            region: config.region.clone(),
            service: config.service.clone(),
            keys: keys(backend, config, context)?,
            clock: context.clock.clone(),
        })
    }

    /// Signs a request, with keys that are fetched first if there are no valid ones.
    pub(crate) async fn prepare(&self, head: &mut Parts, body: &[u8]) -> Result<(), CredentialError> {
        match &self.keys {
            Keys::Fixed(key) => self.sign(head, body, key),
            Keys::Assumed(cache) => {
                if let Some(signed) = cache.with_valid(|key| self.sign(head, body, key)) {
                    return signed;
                }
                let held = Box::pin(cache.wait()).await?;
                self.sign(head, body, &held.value)
            }
        }
    }

    pub(crate) fn invalidate(&self) {
        if let Keys::Assumed(cache) = &self.keys {
            cache.invalidate();
        }
    }

    fn sign(&self, head: &mut Parts, body: &[u8], key: &AccessKey) -> Result<(), CredentialError> {
        let wrong = |_| CredentialError::Signing("a part of the signature cannot stand in a header");
        let moment = Moment::at(self.clock.unix().as_secs())
            .ok_or(CredentialError::Signing("the clock of this machine is wrong"))?;
        let host = host(&head.uri).ok_or(CredentialError::Signing("its URL has no host"))?;
        head.headers.remove(AUTHORIZATION);
        head.headers.insert(HOST, host);
        head.headers.insert(X_AMZ_DATE, HeaderValue::from_str(moment.as_str()).map_err(wrong)?);
        match key.session_token() {
            Some(token) => head.headers.insert(X_AMZ_SECURITY_TOKEN, token.clone()),
            None => head.headers.remove(X_AMZ_SECURITY_TOKEN),
        };
        let canonical = sigv4::canonical(head, body);
        let scope = sigv4::scope(moment.date(), &self.region, &self.service);
        let today = key.day_key(moment.date(), &self.region, &self.service);
        let signature = sigv4::signature(&today.key, &moment, &scope, &canonical);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            key.id(),
            canonical.signed_headers
        );
        let mut authorization = HeaderValue::try_from(authorization)
            .map_err(|_| CredentialError::Signing("a part of the signature cannot stand in a header"))?;
        authorization.set_sensitive(true);
        head.headers.insert(AUTHORIZATION, authorization);
        Ok(())
    }
}

/// The host header that belongs to a URL: with its port, unless that is the usual one.
fn host(uri: &Uri) -> Option<HeaderValue> {
    let usual = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    let host = uri.host()?;
    match uri.port_u16() {
        Some(port) if port != usual => HeaderValue::try_from(format!("{host}:{port}")).ok(),
        _ => HeaderValue::from_str(host).ok(),
    }
}

fn keys(
    backend: &Arc<str>,
    config: &AwsSigv4Config,
    context: &CredentialContext,
) -> Result<Keys, ConfigureError> {
    if let Some(key) = AccessKey::configured(config)? {
        return Ok(Keys::Fixed(Box::new(key)));
    }
    let environment = &context.environment;
    let named = environment.get("AWS_ACCESS_KEY_ID").zip(environment.secret("AWS_SECRET_ACCESS_KEY"));
    if let (None, Some((id, secret))) = (&config.web_identity, named) {
        let session = environment.secret("AWS_SESSION_TOKEN");
        return AccessKey::new("aws_sigv4", id, secret, session).map(|key| Keys::Fixed(Box::new(key)));
    }
    let usual = Default::default();
    let identity = WebIdentity::new(
        config.web_identity.as_ref().unwrap_or(&usual),
        &config.region,
        environment,
        context.client.clone(),
        context.clock.clone(),
    )?;
    let clock = context.clock.clone();
    Ok(Keys::Assumed(TokenCache::new(identity, Arc::clone(backend), clock, context.timing)))
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("region", &self.region)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_is_the_one_that_is_sent() {
        for (url, host_header) in [
            (
                "https://bedrock-runtime.us-east-1.amazonaws.com/model",
                "bedrock-runtime.us-east-1.amazonaws.com",
            ),
            ("https://h:443/", "h"),
            ("http://h:80/", "h"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
            ("https://h:80/", "h:80"),
        ] {
            assert_eq!(host(&url.parse().unwrap()).unwrap(), host_header, "{url}");
        }
    }
}
