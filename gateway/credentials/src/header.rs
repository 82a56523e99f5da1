//! A secret in a header.

use http::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use crate::config::HeaderConfig;
use crate::error::ConfigureError;

/// Name and value of the header that the configuration names; the value never prints.
pub(crate) fn configured(config: &HeaderConfig) -> Result<(HeaderName, HeaderValue), ConfigureError> {
    let name = config
        .name
        .parse::<HeaderName>()
        .map_err(|_| ConfigureError::new("header.name", format!("`{}` is not a header name", config.name)))?;
    let secret =
        config.value.resolve().map_err(|error| ConfigureError::new("header.value", error.to_string()))?;
    let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| {
        ConfigureError::new("header.value", "the secret has characters that a header cannot hold")
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}
