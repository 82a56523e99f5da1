//! Logs and traces.

use serde::{Deserialize, Serialize};

/// Logs and traces.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Log filter in the form of `tracing` (`info`, `tollgate_gateway=debug,info`).
    pub log: String,
    /// Logs as JSON lines.
    pub json: bool,
    /// OTLP/gRPC endpoint for traces. When absent, no trace is made.
    pub otlp_endpoint: Option<String>,
    /// Share of requests that are traced, 0 to 1.
    pub sample_ratio: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log: "info".to_owned(), json: false, otlp_endpoint: None, sample_ratio: 1.0 }
    }
}
