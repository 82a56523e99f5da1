//! Bounds on what clients may send and how long anything may take.

use serde::{Deserialize, Serialize};
use tollgate_settings::units::{Bytes, Time, Tokens};

use super::seconds;

/// Bounds on what clients may send and how long anything may take.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Largest request body.
    pub max_body: Bytes,
    /// Largest answer that is not a stream.
    pub max_answer: Bytes,
    /// Largest single event of a stream: one that has not ended waits in memory. Some hold a whole answer or an
    /// image.
    pub max_event: Bytes,
    /// From the connection's first byte to the end of the headers.
    pub header_timeout: Time,
    /// Longest silence while a request body arrives.
    pub body_timeout: Time,
    /// Longest silence between two requests of one connection.
    pub keep_alive: Time,
    /// Connections per worker.
    pub max_connections: usize,
    /// How long running requests may go on after SIGTERM.
    pub drain: Time,
    /// Whether answers say which backend and model gave them (`x-tollgate-backend`, `x-tollgate-model`). The
    /// number of attempts (`x-tollgate-attempts`) is always told.
    pub backend_headers: bool,
    /// Longest silence of a stream towards its client before a comment is sent that keeps proxies from
    /// closing the connection; 0s sends none.
    pub keep_alive_comments: Time,
    /// Completion tokens reserved for a request that does not say how many it wants.
    pub default_completion_tokens: Tokens,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_body: Bytes(16 << 20),
            max_answer: Bytes(32 << 20),
            max_event: Bytes(8 << 20),
            header_timeout: seconds(10),
            body_timeout: seconds(30),
            keep_alive: seconds(75),
            max_connections: 20_000,
            drain: seconds(60),
            backend_headers: true,
            keep_alive_comments: seconds(15),
            default_completion_tokens: Tokens(1_024),
        }
    }
}
