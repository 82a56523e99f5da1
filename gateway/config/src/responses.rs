//! Answers that providers keep (Responses API).

use serde::{Deserialize, Serialize};
use tollgate_settings::SecretTemplate;

/// How clients' ids of stored answers are made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ResponsesConfig {
    /// The secret that binds ids to their owners. Replicas that share it understand each other's ids; without it
    /// each replica makes one of its own and keeps it in `data_dir`.
    pub signing_key: Option<SecretTemplate>,
}
