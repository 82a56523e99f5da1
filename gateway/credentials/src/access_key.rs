//! Access keys of AWS, fixed or temporary.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use tollgate_settings::SecretTemplate;

use crate::config::AwsSigv4Config;
use crate::error::ConfigureError;
use crate::sigv4;

/// An access key with its secret, and the signing key of the day.
pub(crate) struct AccessKey {
    id: String,
    secret: SecretString,
    session_token: Option<HeaderValue>,
    /// Derived once a day: four hashes less per request.
    today: ArcSwapOption<DayKey>,
}

pub(crate) struct DayKey {
    date: String,
    pub(crate) key: hmac::Key,
}

impl AccessKey {
    /// The key that stands in the configuration, if one does.
    pub(crate) fn configured(config: &AwsSigv4Config) -> Result<Option<Self>, ConfigureError> {
        let resolve = |field, template: &SecretTemplate| {
            template.resolve().map_err(|error| ConfigureError::new(field, error.to_string()))
        };
        let (Some(id), Some(secret)) = (&config.access_key_id, &config.secret_access_key) else {
            return Ok(None);
        };
        let id = resolve("aws_sigv4.access_key_id", id)?;
        let secret = resolve("aws_sigv4.secret_access_key", secret)?;
        let session = config.session_token.as_ref();
        let session = session.map(|token| resolve("aws_sigv4.session_token", token)).transpose()?;
        Self::new("aws_sigv4.access_key_id", id.expose_secret().to_owned(), secret, session).map(Some)
    }

    /// A key that `field` of the configuration leads to.
    pub(crate) fn new(
        field: &'static str,
        id: String,
        secret: SecretString,
        session_token: Option<SecretString>,
    ) -> Result<Self, ConfigureError> {
        Self::from_parts(id, secret, session_token).ok_or_else(|| {
            ConfigureError::new(field, "the access key has characters that a header cannot hold")
        })
    }

    /// `None` if a part cannot stand in a header.
    pub(crate) fn from_parts(
        id: String,
        secret: SecretString,
        session_token: Option<SecretString>,
    ) -> Option<Self> {
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

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn session_token(&self) -> Option<&HeaderValue> {
        self.session_token.as_ref()
    }

    /// What signs on this day.
    pub(crate) fn day_key(&self, date: &str, region: &str, service: &str) -> Arc<DayKey> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signing_key_is_derived_once_a_day() {
        let key = AccessKey::from_parts("AKID".into(), "secret".into(), None).unwrap();
        let first = key.day_key("20150830", "us-east-1", "iam");
        assert!(Arc::ptr_eq(&first, &key.day_key("20150830", "us-east-1", "iam")));
        assert!(!Arc::ptr_eq(&first, &key.day_key("20150831", "us-east-1", "iam")));
    }
}
