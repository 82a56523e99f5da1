//! Every way a request can be refused or fail, and the one place that maps it to status, code and text.
//!
//! An error has a text for the client (its `Display`), a cause for the log (its source), and a
//! [`Class`]. Rendering into the caller's API format happens in [`crate::api`], from the class alone.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tollgate_codings::{DecodeError, UnsupportedCoding};
use tollgate_credentials::CredentialError;
use tollgate_crossing::path::PathFault;
use tollgate_formats::FormatError;
use tollgate_formats::meaning::{BackendError, Meaning};
use tollgate_identity::IdentityError;
use tollgate_ledger::LedgerError;
use tollgate_limits::{LimitExceeded, LimitRule};
use tollgate_runtime::snapshot::UnknownModel;

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The caller: the same request will fail again.
    Client,
    /// The operator of the gateway.
    Gateway,
    Backend,
}

/// What an error means on the outside; stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// HTTP status.
    pub status: u16,
    /// Stable machine-readable code.
    pub code: &'static str,
    /// OpenAI's `type` of error.
    pub kind: &'static str,
    /// Who has to act.
    pub side: Side,
}

/// Why a request did not get a model's answer.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// No gateway key was sent.
    #[error(
        "no gateway key was sent; send it as `Authorization: Bearer KEY`, `api-key`, `x-api-key`, `x-goog-api-key` or `Ocp-Apim-Subscription-Key`"
    )]
    MissingKey,
    /// The key is unknown.
    #[error("the gateway key is not valid")]
    InvalidKey,
    /// Nothing is served at this path.
    #[error("there is nothing at {method} {path}")]
    UnknownPath {
        /// HTTP method.
        method: String,
        /// Path, cut at 256 bytes.
        path: String,
    },
    /// Servers would read the path in different ways.
    #[error("{fault}")]
    InvalidPath {
        /// What is wrong with it.
        fault: PathFault,
    },
    /// The path exists for another method.
    #[error("{path} does not take {method}")]
    WrongMethod {
        /// HTTP method.
        method: String,
        /// Path, cut at 256 bytes.
        path: String,
    },
    /// Another protocol was asked for.
    #[error("a change to the protocol `{protocol}` is not supported here; use HTTP")]
    UpgradeNotSupported {
        /// Which, cut at 64 characters.
        protocol: String,
    },
    /// The body is not what the API takes.
    #[error("{message}")]
    InvalidBody {
        /// What is wrong, with its place where known.
        message: String,
        /// The field at fault.
        param: Option<Cow<'static, str>>,
    },
    /// A parameter has no place in the API format of the model's backend.
    #[error("`{param}` is not supported by the model behind this alias; leave it out")]
    UnsupportedParameter {
        /// The parameter, as the client calls it.
        param: Cow<'static, str>,
    },
    /// The request names something that a provider keeps for an account that tenants share.
    #[error(
        "`{param}` names something that the provider keeps for an account that others use too, so it is not passed on; send the content itself"
    )]
    UnboundHandle {
        /// Where it stands in the request, bounded.
        param: String,
    },
    /// As many answers are worked on in the background as may be.
    #[error("too many responses are worked on in the background; wait until some of them have ended")]
    TooMuchPending,
    /// What is worked on in the background cannot be kept for the next process.
    #[error("the gateway cannot write down what is worked on in the background, so nothing is begun")]
    PendingUnwritable,
    /// A stored answer is still worked on: nobody would know what it used.
    #[error("the response `{id}` is still worked on; cancel it before you delete it")]
    StillWorkedOn {
        /// What was asked for, cut at 128 characters.
        id: String,
    },
    /// The model's backends have no such API.
    #[error("the model `{model}` does not serve {operation}")]
    UnsupportedOperation {
        model: Arc<str>,
        /// What was asked of it, by the name of the API format.
        operation: &'static str,
    },
    /// The body is too large.
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The bound in bytes.
        limit: u64,
    },
    /// The body is in a content coding that is not understood.
    #[error("{0}")]
    UnsupportedEncoding(#[from] UnsupportedCoding),
    /// The body is not what its content coding says.
    #[error("the request body cannot be decoded: {0}")]
    InvalidEncoding(#[source] DecodeError),
    /// The body did not arrive.
    #[error("the request body came too slowly: it may be behind by {} s at most", idle.as_secs())]
    BodyTimeout {
        /// Longest time that it may be behind.
        idle: Duration,
    },
    /// The alias does not exist or is not allowed; the caller cannot tell which.
    #[error("the model `{model}` does not exist or you have no access to it{}", near_names(near))]
    UnknownModel {
        /// What was asked for, cut at 128 characters.
        model: String,
        /// Names the caller may use that are alike.
        near: Vec<Arc<str>>,
    },
    /// A limit is reached.
    #[error("{} {limit} is exceeded; try again in {} s", limit.meter.unit(), seconds_up(*retry_after))]
    LimitReached {
        limit: Arc<LimitRule>,
        /// Units of its meter left now.
        remaining: u64,
        /// When the request would fit.
        retry_after: Duration,
    },
    /// The request can never fit the limit.
    #[error("the request needs about {needed} {}, more than the {limit} ever allows", limit.meter.units())]
    LargerThanLimit {
        limit: Arc<LimitRule>,
        /// Units of its meter that the request needs.
        needed: u64,
    },
    /// More is asked than can be served.
    #[error("the gateway is overloaded; try again in {} s", seconds_up(*retry_after))]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// A stored answer does not exist, or is not the caller's; it cannot tell which.
    #[error("the response `{id}` does not exist")]
    UnknownResponse {
        /// What was asked for, cut at 128 characters.
        id: String,
    },
    /// No backend of the alias may be called now.
    #[error("no backend of the model `{model}` is available now; try again in {} s", seconds_up(*retry_after))]
    NoBackend {
        model: Arc<str>,
        /// Earliest recovery.
        retry_after: Duration,
    },
    /// All backends of the alias are at their providers' rate limits; no backend was called.
    #[error("the backends of the model `{model}` take no more requests now; try again in {} s", seconds_up(*retry_after))]
    RateLimited {
        model: Arc<str>,
        /// Earliest recovery.
        retry_after: Duration,
    },
    /// The backend cannot be reached.
    #[error("the backend `{backend}` cannot be reached")]
    Unreachable {
        /// Name of the backend.
        backend: Arc<str>,
        /// What happened, for the log.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The backend did not answer in time.
    #[error("the backend `{backend}` did not answer in time")]
    BackendTimeout {
        /// Name of the backend.
        backend: Arc<str>,
    },
    /// The backend broke off or sent what cannot be read.
    #[error("the backend `{backend}` gave a broken answer: {message}")]
    BrokenAnswer {
        /// Name of the backend.
        backend: Arc<str>,
        message: String,
    },
    /// The backend answered with an error of its own.
    #[error("{}", said.error.message)]
    Backend {
        /// What it said, without secrets.
        said: Box<BackendError>,
        /// When it wants to be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The backend refuses the gateway's credentials, or there are none to show.
    #[error("the gateway has no credentials that the backend `{backend}` accepts")]
    BackendCredentials {
        /// Name of the backend.
        backend: Arc<str>,
        /// Why there are none, for the log; absent where the backend refused.
        #[source]
        source: Option<CredentialError>,
    },
    /// The usage ledger cannot take an intent, so nothing is called.
    #[error("the usage ledger cannot take records now, so no model is called")]
    Ledger(#[source] LedgerError),
    /// A request was still running when the gateway stopped.
    #[error("the gateway is stopping")]
    Stopping,
}

impl GatewayError {
    /// The one mapping from error to status, code, type and side.
    #[must_use]
    pub fn class(&self) -> Class {
        use Side::{Backend, Client, Gateway};
        let (status, code, kind, side) = match self {
            Self::MissingKey => (401, "missing_api_key", "invalid_request_error", Client),
            Self::InvalidKey => (401, "invalid_api_key", "invalid_request_error", Client),
            Self::UnknownPath { .. } => (404, "unknown_url", "invalid_request_error", Client),
            Self::InvalidPath { .. } => (400, "invalid_path", "invalid_request_error", Client),
            Self::WrongMethod { .. } => (405, "method_not_allowed", "invalid_request_error", Client),
            Self::UpgradeNotSupported { .. } => {
                (501, "upgrade_not_supported", "invalid_request_error", Client)
            }
            Self::InvalidBody { .. } => (400, "invalid_body", "invalid_request_error", Client),
            Self::UnsupportedParameter { .. } => {
                (400, "unsupported_parameter", "invalid_request_error", Client)
            }
            Self::TooMuchPending => (429, "too_many_in_background", "rate_limit_error", Client),
            Self::PendingUnwritable => (503, "background_unavailable", "server_error", Gateway),
            Self::StillWorkedOn { .. } => (409, "response_in_progress", "invalid_request_error", Client),
            Self::UnboundHandle { .. } => (400, "unbound_handle", "invalid_request_error", Client),
            Self::UnsupportedOperation { .. } => {
                (400, "unsupported_operation", "invalid_request_error", Client)
            }
            Self::BodyTooLarge { .. } => (413, "body_too_large", "invalid_request_error", Client),
            Self::UnsupportedEncoding(_) => {
                (415, "unsupported_content_encoding", "invalid_request_error", Client)
            }
            Self::InvalidEncoding(_) => (400, "invalid_content_encoding", "invalid_request_error", Client),
            Self::BodyTimeout { .. } => (408, "body_timeout", "invalid_request_error", Client),
            Self::UnknownModel { .. } => (404, "model_not_found", "invalid_request_error", Client),
            Self::LimitReached { .. } => (429, "rate_limit_exceeded", "rate_limit_error", Client),
            Self::LargerThanLimit { .. } => (429, "request_exceeds_limit", "rate_limit_error", Client),
            Self::Overloaded { .. } => (503, "overloaded", "server_error", Gateway),
            Self::UnknownResponse { .. } => (404, "response_not_found", "invalid_request_error", Client),
            Self::NoBackend { .. } => (503, "no_backend_available", "server_error", Backend),
            Self::Unreachable { .. } => (502, "backend_unreachable", "server_error", Backend),
            Self::BackendTimeout { .. } => (504, "backend_timeout", "server_error", Backend),
            Self::BrokenAnswer { .. } => (502, "backend_broken_answer", "server_error", Backend),
            Self::Backend { said, .. } => return class_of(said),
            Self::RateLimited { .. } => (429, "backend_rate_limited", "rate_limit_error", Backend),
            Self::BackendCredentials { .. } => (502, "backend_credentials", "server_error", Gateway),
            Self::Ledger(_) => (503, "ledger_unavailable", "server_error", Gateway),
            Self::Stopping => (503, "stopping", "server_error", Gateway),
        };
        Class { status, code, kind, side }
    }

    /// Whether it says that no backend could be called. A request that ended with it has no attempt, and so no
    /// row in the ledger yet.
    #[must_use]
    pub const fn is_without_attempt(&self) -> bool {
        matches!(self, Self::NoBackend { .. } | Self::RateLimited { .. })
    }

    /// Whether the same backend may serve the same request a moment later. An account without money does not.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Backend { said, .. } => match said.meaning {
                Meaning::Overloaded | Meaning::Failed => true,
                Meaning::RateLimited => said.status != 413,
                _ => false,
            },
            _ => false,
        }
    }

    /// When to try again, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::LimitReached { retry_after, .. }
            | Self::NoBackend { retry_after, .. }
            | Self::Overloaded { retry_after }
            | Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::Backend { retry_after, .. } => *retry_after,
            Self::TooMuchPending | Self::PendingUnwritable => Some(Duration::from_secs(10)),
            Self::Ledger(_) | Self::Stopping => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The field of the request at fault.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::InvalidBody { param, .. } => param.as_deref(),
            Self::UnsupportedParameter { param } => Some(param),
            Self::UnboundHandle { param } => Some(param),
            Self::UnknownModel { .. } => Some("model"),
            Self::Backend { said, .. } => said.error.param.as_deref(),
            _ => None,
        }
    }

    /// A body that is not what the API takes.
    #[must_use]
    pub fn invalid_body(message: impl Into<String>, param: Option<&'static str>) -> Self {
        Self::InvalidBody { message: message.into(), param: param.map(Cow::Borrowed) }
    }
}

/// Of a backend's own error: its status as far as callers know it, and the gateway's stable code. The provider's code
/// stands in the client's error.
fn class_of(said: &BackendError) -> Class {
    let (code, kind) = match said.meaning {
        Meaning::RateLimited | Meaning::NoMoney => ("backend_rate_limited", "rate_limit_error"),
        Meaning::Overloaded if said.status == 429 => ("backend_rate_limited", "rate_limit_error"),
        Meaning::Request | Meaning::TooLong | Meaning::Filtered | Meaning::ModelUnknown => {
            ("backend_error", "invalid_request_error")
        }
        Meaning::Overloaded | Meaning::Failed | Meaning::KeyRefused => ("backend_error", "server_error"),
    };
    let status = match (said.status, said.meaning) {
        // AWS says 400 of a quota that is used up, Groq 413 of a request above one.
        (status, Meaning::RateLimited | Meaning::NoMoney) if status != 413 => 429,
        (status @ (429 | 500 | 502 | 503 | 504 | 529), _) => status,
        (_, Meaning::Overloaded) => 503,
        (408, Meaning::Failed) => 504,
        (status @ 400..=499, meaning) if meaning != Meaning::Failed => status,
        _ => 502,
    };
    Class { status, code, kind, side: Side::Backend }
}

impl From<IdentityError> for GatewayError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::MissingKey => Self::MissingKey,
            IdentityError::InvalidKey => Self::InvalidKey,
        }
    }
}

impl From<LimitExceeded> for GatewayError {
    fn from(refusal: LimitExceeded) -> Self {
        match refusal {
            LimitExceeded::UsedUp { rule: limit, remaining, retry_after } => {
                Self::LimitReached { limit, remaining, retry_after }
            }
            LimitExceeded::TooLarge { rule: limit, needed } => Self::LargerThanLimit { limit, needed },
        }
    }
}

/// A body that cannot be decoded.
impl From<DecodeError> for GatewayError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge { most } => Self::BodyTooLarge { limit: most },
            error => Self::InvalidEncoding(error),
        }
    }
}

impl From<UnknownModel> for GatewayError {
    fn from(UnknownModel { model, near }: UnknownModel) -> Self {
        Self::UnknownModel { model, near }
    }
}

/// A client's body that cannot be read or carried.
impl From<FormatError> for GatewayError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Invalid { message, param } => Self::InvalidBody { message, param },
            FormatError::Unsupported { param } => Self::UnsupportedParameter { param },
            FormatError::CutShort | FormatError::Provider(_) => {
                Self::InvalidBody { message: error.to_string(), param: None }
            }
        }
    }
}

/// Whole seconds, rounded up, at least 1: the form of `Retry-After`.
#[must_use]
pub fn seconds_up(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).clamp(1, u128::from(u32::MAX)) as u64
}

fn near_names(near: &[Arc<str>]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    format!("; did you mean {}?", names.join(" or "))
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
