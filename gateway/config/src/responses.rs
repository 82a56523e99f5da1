//! Answers that providers keep (Responses API).

use serde::{Deserialize, Serialize};
use tollgate_settings::SecretTemplate;

/// How clients' ids of stored answers are made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ResponsesConfig {
    /// The secret that binds ids and idempotency keys to their owners, at least 32 bytes (`openssl rand -hex 32`).
    /// Replicas must share it to understand each other's ids: with `events: kafka` and a backend that serves the
    /// Responses API it is required. Else the gateway makes one of its own and keeps it in `data_dir`. With another
    /// secret, answers that are kept are not found any more.
    pub signing_key: Option<SecretTemplate>,
}
