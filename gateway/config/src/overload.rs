//! What happens when more is asked than can be served.

use serde::{Deserialize, Serialize};
use tollgate_settings::units::{Bytes, Time};

use super::seconds;

/// Bounds on what runs and waits at a time in this process.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OverloadConfig {
    /// Requests that run at a time.
    pub max_running: usize,
    /// Requests that wait at a time, for the process and for each backend with a bound of its own.
    pub max_waiting: usize,
    /// Longest wait.
    pub max_wait: Time,
    /// Bytes that request bodies and whole answers may hold at a time. One subscription has at most half of them.
    pub max_memory: Bytes,
}

impl Default for OverloadConfig {
    fn default() -> Self {
        Self { max_running: 20_000, max_waiting: 1_000, max_wait: seconds(2), max_memory: Bytes(1 << 30) }
    }
}
