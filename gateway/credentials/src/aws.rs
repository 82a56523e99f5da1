//! Signs requests for AWS with a fixed access key or with temporary ones.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Uri};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

use crate::cache::TokenCache;
use crate::clock::Clock;
use crate::config::AwsSigv4Config;
use crate::credentials::Surroundings;
use crate::error::{ConfigureError, CredentialError};
use crate::sigv4::{self, Moment};
use crate::sts::WebIdentity;

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// An access key with its secret, and the signing key of the day.
pub(crate) struct AccessKey {
    id: String,
    secret: SecretString,
    session_token: Option<HeaderValue>,
    /// Derived once a day: four hashes less per request.
    today: ArcSwapOption<DayKey>,
}

struct DayKey {
    date: String,
    key: hmac::Key,
}

impl AccessKey {
    /// None when a part cannot stand in a header.
    pub(crate) fn new(id: String, secret: SecretString, session_token: Option<SecretString>) -> Option<Self> {
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let session_token = match session_token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::from_str(token.expose_secret()).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Some(Self { id, secret, session_token, today: ArcSwapOption::empty() })
    }

    #[cfg(test)]
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn day_key(&self, date: &str, region: &str, service: &str) -> Arc<DayKey> {
        match self.today.load_full() {
            Some(today) if today.date == date => today,
            _ => {
                let key = sigv4::signing_key(self.secret.expose_secret(), date, region, service);
                let today = Arc::new(DayKey { date: date.to_owned(), key });
                self.today.store(Some(Arc::clone(&today)));
                today
            }
        }
    }
}

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
        surroundings: &Surroundings,
    ) -> Result<Self, ConfigureError> {
        Ok(Self {
            region: config.region.clone(),
            service: config.service.clone(),
            keys: keys(backend, config, surroundings)?,
            clock: surroundings.clock.clone(),
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
        match &key.session_token {
            Some(token) => head.headers.insert(X_AMZ_SECURITY_TOKEN, token.clone()),
            None => head.headers.remove(X_AMZ_SECURITY_TOKEN),
        };
        let canonical = sigv4::canonical(head, body);
        let scope = sigv4::scope(moment.date(), &self.region, &self.service);
        let today = key.day_key(moment.date(), &self.region, &self.service);
        let signature = sigv4::signature(&today.key, &moment, &scope, &canonical);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            key.id, canonical.signed_headers
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
    surroundings: &Surroundings,
) -> Result<Keys, ConfigureError> {
    if let Some(key) = configured_key(config)? {
        return Ok(Keys::Fixed(Box::new(key)));
    }
    let environment = &surroundings.environment;
    let named = environment.get("AWS_ACCESS_KEY_ID").zip(environment.secret("AWS_SECRET_ACCESS_KEY"));
    if let (None, Some((id, secret))) = (&config.web_identity, named) {
        return access_key("aws_sigv4", id, secret, environment.secret("AWS_SESSION_TOKEN"));
    }
    let usual = Default::default();
    let identity = WebIdentity::new(
        config.web_identity.as_ref().unwrap_or(&usual),
        &config.region,
        environment,
        surroundings.client.clone(),
        surroundings.clock.clone(),
    )?;
    let clock = surroundings.clock.clone();
    Ok(Keys::Assumed(TokenCache::new(identity, Arc::clone(backend), clock, surroundings.timing)))
}

/// The key that stands in the configuration, if one does.
pub(crate) fn configured_key(config: &AwsSigv4Config) -> Result<Option<AccessKey>, ConfigureError> {
    let resolve = |field, template: &tollgate_settings::SecretTemplate| {
        template.resolve().map_err(|error| ConfigureError::new(field, error.to_string()))
    };
    let (Some(id), Some(secret)) = (&config.access_key_id, &config.secret_access_key) else {
        return Ok(None);
    };
    let id = resolve("aws_sigv4.access_key_id", id)?;
    let secret = resolve("aws_sigv4.secret_access_key", secret)?;
    let session = config.session_token.as_ref();
    let session = session.map(|token| resolve("aws_sigv4.session_token", token)).transpose()?;
    made("aws_sigv4.access_key_id", id.expose_secret().to_owned(), secret, session).map(Some)
}

fn access_key(
    field: &'static str,
    id: String,
    secret: SecretString,
    session: Option<SecretString>,
) -> Result<Keys, ConfigureError> {
    made(field, id, secret, session).map(|key| Keys::Fixed(Box::new(key)))
}

fn made(
    field: &'static str,
    id: String,
    secret: SecretString,
    session: Option<SecretString>,
) -> Result<AccessKey, ConfigureError> {
    AccessKey::new(id, secret, session)
        .ok_or_else(|| ConfigureError::new(field, "the access key has characters that a header cannot hold"))
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

    #[test]
    fn the_signing_key_is_derived_once_a_day() {
        let key = AccessKey::new("AKID".into(), "secret".into(), None).unwrap();
        let first = key.day_key("20150830", "us-east-1", "iam");
        assert!(Arc::ptr_eq(&first, &key.day_key("20150830", "us-east-1", "iam")));
        assert!(!Arc::ptr_eq(&first, &key.day_key("20150831", "us-east-1", "iam")));
    }
}
