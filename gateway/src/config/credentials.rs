//! How the gateway identifies itself towards a backend.

use serde::{Deserialize, Serialize};
use tollgate_settings::SecretTemplate;

/// Credentials towards a backend: exactly one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CredentialsConfig {
    /// A header with a secret value.
    Header(HeaderCredential),
}

/// A header with a secret value.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderCredential {
    /// Name of the header.
    pub name: String,
    /// Its value, for example `Bearer ${secret:env:OPENAI_API_KEY}`.
    pub value: SecretTemplate,
}
