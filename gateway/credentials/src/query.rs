//! A secret in the query. It is put there at the last moment, and nothing before sees it.

use std::fmt;

use http::Uri;
use http::uri::PathAndQuery;
use secrecy::{ExposeSecret, SecretString};

use crate::config::QueryConfig;
use crate::error::{ConfigureError, CredentialError};

/// A query parameter with a secret value.
pub(crate) struct QueryCredential {
    name: String,
    /// `name=value`, encoded.
    pair: SecretString,
}

impl QueryCredential {
    /// The parameter that the configuration names.
    pub(crate) fn configured(config: &QueryConfig) -> Result<Self, ConfigureError> {
        let value =
            config.value.resolve().map_err(|error| ConfigureError::new("query.value", error.to_string()))?;
        Ok(Self::new(&config.name, &value))
    }

    fn new(name: &str, value: &SecretString) -> Self {
        let mut pair = form_urlencoded::Serializer::new(String::new());
        pair.append_pair(name, value.expose_secret());
        // The form's `+` for a space is not a space everywhere.
        Self { name: name.to_owned(), pair: pair.finish().replace('+', "%20").into() }
    }

    /// Adds the parameter; one of the same name that the client sent goes.
    pub(crate) fn apply(&self, uri: &mut Uri) -> Result<(), CredentialError> {
        let mut text = String::with_capacity(uri.path().len() + self.pair.expose_secret().len() + 64);
        text.push_str(uri.path());
        text.push('?');
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let name = form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name);
            if name.is_none_or(|name| name != self.name) {
                text.push_str(pair);
                text.push('&');
            }
        }
        text.push_str(self.pair.expose_secret());
        let wrong = |_| CredentialError::Signing("its path and query cannot be put together");
        let mut parts = std::mem::take(uri).into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(text).map_err(wrong)?);
        *uri = Uri::from_parts(parts)
            .map_err(|_| CredentialError::Signing("its path and query cannot be put together"))?;
        Ok(())
    }
}

impl fmt::Debug for QueryCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryCredential").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(uri: &str) -> String {
        let mut uri: Uri = uri.parse().unwrap();
        QueryCredential::new("api key", &"a b+c&d=é".into()).apply(&mut uri).unwrap();
        uri.to_string()
    }

    #[test]
    fn the_parameter_joins_what_is_there() {
        let pair = "api%20key=a%20b%2Bc%26d%3D%C3%A9";
        assert_eq!(applied("https://h/v1/chat"), format!("https://h/v1/chat?{pair}"));
        assert_eq!(applied("https://h/p?"), format!("https://h/p?{pair}"));
        assert_eq!(applied("https://h/p?b=2&a=%20+"), format!("https://h/p?b=2&a=%20+&{pair}"));
    }

    #[test]
    fn a_clients_parameter_of_that_name_goes_however_it_is_written() {
        let pair = "api%20key=a%20b%2Bc%26d%3D%C3%A9";
        assert_eq!(
            applied("https://h/p?api+key=x&k=1&%61pi%20key=y&api%20key"),
            format!("https://h/p?k=1&{pair}")
        );
    }

    #[test]
    fn its_value_does_not_print() {
        let query = QueryCredential::new("key", &"s3cret".into());
        assert!(!format!("{query:?}").contains("s3cret"));
    }
}
