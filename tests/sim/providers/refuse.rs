//! Refusals in each provider's own form.

use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::check::Mistake;
use crate::sim::body::SimBody;
use crate::sim::wire::json_response;

/// Whose API it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
    Bedrock,
    Gemini,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// OpenAI's `code`.
    pub(super) code: Option<&'static str>,
    pub(super) param: Option<String>,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, code: None, param: None, message: message.into() }
    }

    pub(super) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }
}

impl From<Mistake> for Refusal {
    fn from(mistake: Mistake) -> Self {
        let message = match mistake.path.as_str() {
            "" => format!("The body {}.", mistake.what),
            path => format!("{path}: {}.", mistake.what),
        };
        Self { status: 400, code: None, param: Some(mistake.path), message }
    }
}

impl Dialect {
    /// The refusal as this provider says it.
    pub(super) fn refuse(self, refusal: &Refusal) -> Response<SimBody> {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json_response(status, &self.body(refusal));
        if self == Self::Bedrock {
            let kind = HeaderValue::from_static(bedrock_type(refusal.status));
            response.headers_mut().insert(HeaderName::from_static("x-amzn-errortype"), kind);
        }
        response
    }

    fn body(self, refusal: &Refusal) -> Value {
        let Refusal { status, code, param, message } = refusal;
        match self {
            Self::OpenAi => {
                let kind = match status {
                    401 => "authentication_error",
                    429 => "rate_limit_error",
                    500.. => "server_error",
                    _ => "invalid_request_error",
                };
                json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
            }
            Self::Anthropic => {
                let error = json!({ "type": anthropic_type(*status), "message": message });
                let id = format!("req_{}", Uuid::now_v7().simple());
                json!({ "type": "error", "error": error, "request_id": id })
            }
            Self::Bedrock => json!({ "message": message }),
            Self::Gemini => {
                json!({ "error": { "code": status, "message": message, "status": gemini_status(*status) } })
            }
        }
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn bedrock_type(status: u16) -> &'static str {
    match status {
        403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    }
}

fn gemini_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
