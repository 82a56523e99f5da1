//! Bounds on what clients may send and how long anything may take.

use serde::{Deserialize, Serialize};
use tollgate_settings::units::{Bytes, Time, Tokens};

use super::seconds;

/// 2,048 inputs, each a vector of 3,072 numbers as text.
const LARGEST_EMBEDDINGS: Bytes = Bytes(160 << 20);
/// Texts are small; pictures, sounds and probabilities of tokens are not.
const LARGEST_ANSWER: Bytes = Bytes(64 << 20);

/// Bounds on what clients may send and how long anything may take.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Largest request body.
    pub max_body: Bytes,
    /// Largest answer that is not a stream. Left out, what the largest answer of each operation needs: 160 MiB for
    /// embeddings (2,048 vectors of 3,072 numbers in text), 64 MiB for all others.
    pub max_answer: Option<Bytes>,
    /// Largest single event of a stream: one that has not ended waits in memory. Some hold a whole answer or an
    /// image.
    pub max_event: Bytes,
    /// From the first byte of a request to the end of its headers, for each request of a connection.
    pub header_timeout: Time,
    /// Longest time that a client may fall behind `min_rate` while its request body arrives, silence included.
    pub body_timeout: Time,
    /// Longest time that a client may fall behind `min_rate` while it takes its answer; then its connection is cut.
    pub write_timeout: Time,
    /// Bytes per second that a client must send or take while the gateway waits for it.
    pub min_rate: Bytes,
    /// Longest silence between two requests of one connection.
    pub keep_alive: Time,
    /// Connections per worker. Left out, as many as the process may have open files for: half of them, after a reserve
    /// for the spool, the event log and the admin pages, and at most 20,000. More than there are open files for is
    /// refused at the start.
    pub max_connections: Option<usize>,
    /// How long running requests may go on after SIGTERM.
    pub drain: Time,
    /// Whether answers say which backend and model gave them (`x-tollgate-backend`, `x-tollgate-model`). The
    /// number of attempts (`x-tollgate-attempts`) is always told.
    pub backend_headers: bool,
    /// Whether answers repeat what the backend says of its rate limits: `x-upstream-` and the provider's own name.
    pub upstream_rate_headers: bool,
    /// Longest silence of a stream towards its client before a comment is sent that keeps proxies from
    /// closing the connection; 0s sends none.
    pub keep_alive_comments: Time,
    /// Whole answers of more bytes than this are compressed for clients that accept it (gzip, br, zstd), never streams.
    /// When absent, no answer is compressed.
    pub compress_above: Option<Bytes>,
    /// Completion tokens reserved for a request that does not say how many it wants.
    pub default_completion_tokens: Tokens,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_body: Bytes(16 << 20),
            max_answer: None,
            max_event: Bytes(8 << 20),
            header_timeout: seconds(10),
            body_timeout: seconds(30),
            write_timeout: seconds(30),
            min_rate: Bytes(8 << 10),
            keep_alive: seconds(75),
            max_connections: None,
            drain: seconds(60),
            backend_headers: true,
            upstream_rate_headers: false,
            keep_alive_comments: seconds(15),
            compress_above: None,
            default_completion_tokens: Tokens(1_024),
        }
    }
}

impl ServerConfig {
    /// Largest answer that is not a stream, of embeddings or of another operation.
    #[must_use]
    pub fn max_answer(&self, is_embeddings: bool) -> Bytes {
        self.max_answer.unwrap_or(if is_embeddings { LARGEST_EMBEDDINGS } else { LARGEST_ANSWER })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_legal_embeddings_fit_unless_a_bound_is_set() {
        let server = ServerConfig::default();
        // A number takes up to 22 letters with its comma and white space.
        assert!(server.max_answer(true).0 > 2_048 * 3_072 * 22);
        assert!(server.max_answer(false).0 < server.max_answer(true).0);
        let bounded = ServerConfig { max_answer: Some(Bytes(7)), ..server };
        assert_eq!((bounded.max_answer(true).0, bounded.max_answer(false).0), (7, 7));
    }
}
