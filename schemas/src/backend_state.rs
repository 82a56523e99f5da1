//! What replicas of the gateway tell each other about the circuits of their backends
//! (topic `llm.backend-state.v1`, compacted, one partition).
//!
//! The record's key is [`state_key`]: the last record of a key is what was last known of that deployment. A
//! reader leaves out what it said itself ([`BackendState::boot_id`]) and what is over.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::BootId;

/// CloudEvents type of a [`BackendState`].
pub const STATE_TYPE: &str = "dev.tollgate.backend.state_changed.v1";

/// The circuit of one model at one backend, as one replica of the gateway sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackendState {
    /// Configured name of the replica that says so.
    pub gateway_id: Arc<str>,
    /// Its run.
    pub boot_id: BootId,
    /// Configured name of the backend.
    pub backend: Arc<str>,
    /// The model's name there.
    pub model: Arc<str>,
    /// What the circuit became.
    pub state: StateKind,
    /// Until when it is open, ms since the Unix epoch; none unless it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// Why, by its stable name: `consecutive_failures`, `failure_ratio`, `retry_after`, `probe_failed`; none
    /// unless it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Arc<str>>,
    /// The failure behind the cause: `connect`, `timeout`, `status 429` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Arc<str>>,
    /// Whether an operator did it.
    #[serde(default)]
    pub by_operator: bool,
    /// When it happened, ms since the Unix epoch.
    pub at_ms: i64,
}

/// State of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// All requests pass.
    Closed,
    /// None passes until [`BackendState::until_ms`].
    Open,
    /// None passes until an operator closes it.
    Held,
}

/// The key of a deployment's records. Names of backends have no `|`, so no two deployments share one.
#[must_use]
pub fn state_key(backend: &str, model: &str) -> String {
    format!("{backend}|{model}")
}
