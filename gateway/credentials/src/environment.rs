//! The environment variables that cloud platforms describe an identity with.

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::SecretString;

use crate::error::ConfigureError;

/// Where variables are looked up: in the process, or in a given set.
#[derive(Clone)]
pub struct Environment(Option<Arc<HashMap<String, String>>>);

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub const fn process() -> Self {
        Self(None)
    }

    /// These variables and no others.
    #[must_use]
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(Some(Arc::new(pairs.collect())))
    }

    /// A variable; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            None => std::env::var(name).ok(),
            Some(variables) => variables.get(name).cloned(),
        };
        value.filter(|text| !text.is_empty())
    }

    /// A variable with a secret value.
    pub(crate) fn secret(&self, name: &str) -> Option<SecretString> {
        self.get(name).map(SecretString::from)
    }

    /// A configured value, or the variable that stands in for it.
    pub(crate) fn or(
        &self,
        configured: Option<&String>,
        field: &'static str,
        name: &str,
    ) -> Result<String, ConfigureError> {
        configured
            .cloned()
            .or_else(|| self.get(name))
            .ok_or_else(|| ConfigureError::new(field, format!("is missing, and {name} is not set")))
    }
}

/// Values may be secrets, so they do not print.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Environment(given)" } else { "Environment(process)" })
    }
}
