//! How an attempt ended, as circuits and failover see it.
//!
//! What a status means is decided here and nowhere else:
//!
//! | the backend | counts against it | worth trying elsewhere |
//! |---|---|---|
//! | 2xx, 3xx | no | no |
//! | 400, 404, 409, 422 and other 4xx | no: the request's own fault | no |
//! | 409 with `Retry-After` | no | yes |
//! | 401, 403 | yes: they refuse the *gateway's* credentials | yes |
//! | 408, 429, 499 | yes | yes |
//! | 5xx | yes, but 501 and 505 not | as it counts |
//! | no answer, broken stream | yes | yes, until the first byte |

use std::time::Duration;

/// How one admitted attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptOutcome {
    /// What it says about the backend.
    pub class: AttemptClass,
    /// From the call to its end.
    pub latency: Duration,
    /// From the call to the first byte of the answer's body; none where none came.
    pub first_byte: Option<Duration>,
    /// How long the backend asked to be left alone.
    pub retry_after: Option<Duration>,
    /// Tokens that it used in all; none where nothing was used. Committed capacity is corrected by it.
    pub tokens: Option<u64>,
}

/// What an attempt says about the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptClass {
    /// It does its work.
    Success,
    /// It does not.
    Failure(FailureKind),
    /// Nothing: the request was at fault, or the client went away.
    Neutral,
}

/// How a backend failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection: name, address, TCP or TLS.
    Connect,
    /// No answer began in time.
    Timeout,
    /// The answer began, then stood still or ran past its total time.
    Stalled,
    /// An HTTP status of [`is_failure`].
    Status(u16),
    /// The answer broke off.
    Stream,
    /// The answer cannot be understood.
    Protocol,
    /// A health probe of the gateway's own found it unwell.
    Probe,
}

impl FailureKind {
    /// Its name in metrics and logs; the status is told apart there.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Stalled => "stalled",
            Self::Status(_) => "status",
            Self::Stream => "stream",
            Self::Protocol => "protocol",
            Self::Probe => "health_probe",
        }
    }
}

/// Whether an HTTP status counts against the backend.
#[must_use]
pub const fn is_failure(status: u16) -> bool {
    match status {
        401 | 403 | 408 | 429 | 499 => true,
        501 | 505 => false,
        other => other >= 500,
    }
}

/// Whether the same request may succeed at another backend.
#[must_use]
pub const fn retryable(status: u16, retry_after: Option<Duration>) -> bool {
    is_failure(status) || (status == 409 && retry_after.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_holds() {
        for fine in [200, 204, 302, 400, 404, 409, 413, 422, 501, 505] {
            assert!(!is_failure(fine) && !retryable(fine, None), "{fine}");
        }
        for failed in [401, 403, 408, 429, 499, 500, 502, 503, 504, 529] {
            assert!(is_failure(failed) && retryable(failed, None), "{failed}");
        }
        assert!(retryable(409, Some(Duration::from_secs(1))));
    }
}
