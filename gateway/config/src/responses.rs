//! Answers that providers keep (Responses API), and those that are worked on in the background.

use serde::{Deserialize, Serialize};
use tollgate_settings::SecretTemplate;
use tollgate_settings::units::Time;

use super::seconds;

/// How clients' ids of stored answers are made, and how long one is worked on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ResponsesConfig {
    /// The secret that binds ids and idempotency keys to their owners, at least 32 bytes (`openssl rand -hex 32`).
    /// Replicas must share it to understand each other's ids: with `events: kafka` and a backend that serves the
    /// Responses API it is required. Else the gateway makes one of its own and keeps it in `data_dir`. With another
    /// secret, answers that are kept are not found any more.
    pub signing_key: Option<SecretTemplate>,
    /// Answers that are worked on after their requests (`background: true`).
    pub background: BackgroundConfig,
}

/// Bounds on answers that are worked on after their requests. The gateway asks for each until it has ended, so that all
/// that it used is in its row; they are kept in `data_dir`, so that the next process goes on after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BackgroundConfig {
    /// How long the gateway asks for one, at most 30 days. Then its row stays as it is, with `background_deadline` as
    /// its code.
    pub deadline: Time,
    /// Most that are worked on at the same time, 1 to 100000; one subscription has a quarter of them. Beyond it,
    /// further ones are refused.
    pub max_pending: u32,
}

impl Default for BackgroundConfig {
    fn default() -> Self {
        Self { deadline: seconds(24 * 3_600), max_pending: 10_000 }
    }
}
