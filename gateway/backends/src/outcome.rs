//! How an attempt ended, as circuits and failover see it.
//!
//! What an error means is found out from its status, code and text ([`Meaning`]); what follows from that is decided
//! here and nowhere else:
//!
//! | the backend | counts against it | worth trying elsewhere |
//! |---|---|---|
//! | 2xx, 3xx | no | no |
//! | the request is at fault, too long, or filtered | no | no |
//! | 409 with `Retry-After` | no | yes |
//! | the account's key is refused | yes, as 401 | yes |
//! | the account has no money | yes, as 402 | yes |
//! | too fast, or no capacity | yes | yes |
//! | one request above the account's rate (413) | no | yes |
//! | the model is not to be had there | no: it speaks of the configuration, and other requests fail over as well | yes
//! |
//! | it failed | yes | yes |
//! | no answer, broken stream | yes | yes, until the first byte |
//!
//! A status alone, of an answer that nobody reads, counts as [`is_failure`] says.

use std::time::Duration;

use tollgate_formats::meaning::{BackendError, Meaning};

/// How one admitted attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptOutcome {
    /// What it says about the backend.
    pub class: AttemptClass,
    /// From the call to its end.
    pub latency: Duration,
    /// From the call to the first byte of the answer's body; `None` if no byte came.
    pub first_byte: Option<Duration>,
    /// How long the backend asked to be left alone.
    pub retry_after: Option<Duration>,
    /// Tokens that it used in all; `None` if it used none. Corrects the estimate taken from committed capacity.
    pub tokens: Option<u64>,
}

/// What an attempt says about the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptClass {
    /// The backend works.
    Success,
    /// The backend fails.
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
        401..=403 | 408 | 429 | 499 => true,
        501 | 505 => false,
        other => other >= 500,
    }
}

/// What an error says about its backend.
#[must_use]
pub const fn class_of(error: &BackendError) -> AttemptClass {
    let status = error.status;
    let counted = match error.meaning {
        Meaning::KeyRefused => 401,
        Meaning::NoMoney => 402,
        // It is this one request that is too large for the account.
        Meaning::RateLimited if status == 413 => return AttemptClass::Neutral,
        Meaning::RateLimited => 429,
        Meaning::Overloaded if status >= 500 => status,
        Meaning::Overloaded => 429,
        Meaning::Failed if is_failure(status) => status,
        Meaning::Failed => 500,
        Meaning::Request | Meaning::TooLong | Meaning::Filtered | Meaning::ModelUnknown => {
            return AttemptClass::Neutral;
        }
    };
    AttemptClass::Failure(FailureKind::Status(counted))
}

/// Whether the same request may succeed at another backend.
#[must_use]
pub const fn retryable(error: &BackendError, retry_after: Option<Duration>) -> bool {
    error.meaning.fails_over() || (error.status == 409 && retry_after.is_some())
}

/// Whether an answer with this status may be such an error. For most of them the body tells what it means.
#[must_use]
pub const fn may_be_retryable(status: u16) -> bool {
    is_failure(status) || matches!(status, 400 | 404 | 409 | 413 | 424)
}

#[cfg(test)]
mod tests {
    use tollgate_formats::{ProviderError, ProviderErrorKind};

    use super::*;

    fn error(status: u16, meaning: Meaning) -> BackendError {
        let kind = ProviderErrorKind::from_status(status);
        let message = String::new();
        let error = ProviderError { kind, message, status: None, code: None, param: None, retry_after: None };
        BackendError { status, error, meaning }
    }

    #[test]
    fn the_matrix_holds() {
        let as_status = |status| AttemptClass::Failure(FailureKind::Status(status));
        for (status, meaning, class, elsewhere) in [
            (400, Meaning::Request, AttemptClass::Neutral, false),
            (400, Meaning::TooLong, AttemptClass::Neutral, false),
            (400, Meaning::Filtered, AttemptClass::Neutral, false),
            (409, Meaning::Request, AttemptClass::Neutral, false),
            (404, Meaning::ModelUnknown, AttemptClass::Neutral, true),
            (403, Meaning::ModelUnknown, AttemptClass::Neutral, true),
            (400, Meaning::KeyRefused, as_status(401), true),
            (400, Meaning::NoMoney, as_status(402), true),
            (429, Meaning::NoMoney, as_status(402), true),
            (429, Meaning::RateLimited, as_status(429), true),
            (400, Meaning::RateLimited, as_status(429), true),
            (413, Meaning::RateLimited, AttemptClass::Neutral, true),
            (429, Meaning::Overloaded, as_status(429), true),
            (529, Meaning::Overloaded, as_status(529), true),
            (424, Meaning::Failed, as_status(500), true),
            (504, Meaning::Failed, as_status(504), true),
        ] {
            let error = error(status, meaning);
            assert_eq!(
                (class_of(&error), retryable(&error, None)),
                (class, elsewhere),
                "{status} {meaning:?}"
            );
        }
        assert!(retryable(&error(409, Meaning::Request), Some(Duration::from_secs(1))));
    }

    #[test]
    fn a_status_that_nobody_reads_further_counts_by_itself() {
        for fine in [200, 204, 302, 400, 404, 409, 413, 422, 501, 505] {
            assert!(!is_failure(fine), "{fine}");
        }
        for failed in [401, 402, 403, 408, 429, 499, 500, 502, 503, 504, 529] {
            assert!(is_failure(failed) && may_be_retryable(failed), "{failed}");
        }
    }
}
