//! Prompt and completion events. Published only for tenants that opted in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{EventId, RequestId};

/// CloudEvents type of a [`PromptEvent`].
pub const PROMPT_TYPE: &str = "dev.tollgate.prompt.recorded.v1";
/// CloudEvents type of a [`CompletionEvent`].
pub const COMPLETION_TYPE: &str = "dev.tollgate.completion.recorded.v1";

/// The request body of one request, as the client sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromptEvent {
    /// The request; usage rows of the same request carry it too.
    pub request_id: RequestId,
    /// Tenant of the caller.
    pub tenant: Arc<str>,
    /// Subscription of the caller.
    pub subscription: Arc<str>,
    /// The alias that was asked for.
    pub model_requested: Arc<str>,
    /// API format of `body`.
    pub api_format: Arc<str>,
    /// The body as text, cut at the configured size.
    pub body: String,
    /// Whether `body` was cut.
    pub truncated: bool,
}

/// The answer of one request, assembled when it was a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CompletionEvent {
    /// The request.
    pub request_id: RequestId,
    /// The attempt that answered; joins the usage row.
    pub event_id: EventId,
    /// Tenant of the caller.
    pub tenant: Arc<str>,
    /// Subscription of the caller.
    pub subscription: Arc<str>,
    /// The model that answered.
    pub model: Arc<str>,
    /// The text of the answer, cut at the configured size.
    pub text: String,
    /// Whether `text` was cut.
    pub truncated: bool,
    /// Why the model stopped, in the words of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<Arc<str>>,
}
