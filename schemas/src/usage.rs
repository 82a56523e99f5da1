//! The usage event: one per upstream attempt, cache answer or refusal. The unit of chargeback.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{BootId, EventId, RequestId};
use crate::tokens::{UsageLine, input_tokens, output_tokens};

/// CloudEvents type of a usage event.
pub const EVENT_TYPE: &str = "dev.tollgate.usage.recorded.v1";
/// CloudEvents type of the event that closes a boot; its data is a [`BootClosed`].
pub const BOOT_CLOSED_TYPE: &str = "dev.tollgate.boot.closed.v1";

/// Version of an event written for an intent whose gateway died before it could settle.
pub const VERSION_RECOVERED: u32 = 0;
/// Version of the event that a gateway settled itself. Corrections count up from here.
pub const VERSION_FINAL: u32 = 1;
/// Version of an event whose model went on after its answer and was given up: nobody will say what more it used.
pub const VERSION_GIVEN_UP: u32 = 2;
/// Version of an event whose model went on after its answer, by what its provider said in the end. It wins over one that
/// was given up, in whichever order they are written.
pub const VERSION_ENDED: u32 = 3;

/// What one attempt used, who pays for it and how it ended.
///
/// It has no field for prompt or completion text, header values, keys or client addresses: those cannot
/// reach the usage topic by construction. Prices are added by accounting, never by the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageEvent {
    /// Primary key; equal for every version of this event.
    pub event_id: EventId,
    /// The client request this attempt was made for.
    pub request_id: RequestId,
    /// 1 for the first attempt of a request, 0 where no backend was called.
    pub attempt: u8,
    /// 0 recovered, 1 final, 2 and more corrections; the highest version wins.
    pub version: u32,
    /// Where the event stands in its gateway's sequence.
    pub ledger: LedgerPosition,
    /// Who pays, as of the request.
    pub payer: Payer,
    /// What was called.
    pub call: Call,
    /// Disjoint quantities; empty where nothing was used.
    pub lines: Vec<UsageLine>,
    /// Where the quantities come from.
    pub usage_source: UsageSource,
    /// How the attempt ended.
    pub outcome: Outcome,
    /// Start of the attempt, ms since the Unix epoch; the timestamp inside `event_id`.
    pub event_time_ms: i64,
    /// End of the attempt, ms since the Unix epoch.
    pub ended_at_ms: i64,
    /// Timings of the attempt.
    pub timing: Timing,
    /// HTTP status the client saw, 0 where none was sent.
    pub http_status: u16,
    /// For a cache answer: the event whose answer was used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_from: Option<EventId>,
    /// For a refusal or failure: the stable error code that the client saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Arc<str>>,
}

impl UsageEvent {
    /// Tokens towards the model.
    #[must_use]
    pub fn input_tokens(&self) -> u64 {
        input_tokens(&self.lines)
    }

    /// Tokens from the model.
    #[must_use]
    pub fn output_tokens(&self) -> u64 {
        output_tokens(&self.lines)
    }
}

/// Position in the gapless sequence of one gateway boot; a hole in it is a lost event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LedgerPosition {
    /// Configured name of the gateway replica.
    pub gateway_id: Arc<str>,
    /// Its run.
    pub boot_id: BootId,
    /// 1, 2, 3 … within the boot, given when the attempt began.
    pub seq: u64,
}

impl LedgerPosition {
    /// What an event carries until the ledger takes it and fills its position in.
    #[must_use]
    pub fn unassigned() -> Self {
        Self { gateway_id: Arc::default(), boot_id: BootId(uuid::Uuid::nil()), seq: 0 }
    }
}

/// Who pays: a snapshot of the subscription at request time. Empty text where not configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Payer {
    /// The company or business unit that the bill goes to.
    pub tenant: Arc<str>,
    /// Cost center of the payer.
    #[serde(default)]
    pub cost_center: Arc<str>,
    /// Team of the payer.
    #[serde(default)]
    pub team: Arc<str>,
    /// Application of the payer.
    #[serde(default)]
    pub app: Arc<str>,
    /// Product through which access was given.
    #[serde(default)]
    pub product: Arc<str>,
    /// Subscription that called.
    pub subscription: Arc<str>,
    /// Public id of the gateway key; never the key.
    pub key_id: Arc<str>,
    /// Keyed hash of the end user, where the caller names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Arc<str>>,
    /// Further tags of the subscription (at most 32; keys 64 bytes, values 256 bytes).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

/// What was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Call {
    /// Kind of operation.
    pub operation: Operation,
    /// The company that serves the model (`openai`, `anthropic` …); part of the price key.
    pub provider: Arc<str>,
    /// Configured name of the backend; empty where none was called.
    pub backend: Arc<str>,
    /// Region of the backend.
    #[serde(default)]
    pub region: Arc<str>,
    /// The alias that the client asked for.
    pub model_requested: Arc<str>,
    /// The model name at the backend; part of the price key.
    pub model: Arc<str>,
    /// API format that the client spoke.
    pub api_format: Arc<str>,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Variant of a weighted trial, where the alias runs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Arc<str>>,
}

/// Kind of operation, by the OpenTelemetry GenAI names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Chat completion, in any API format.
    Chat,
    /// Legacy text completion.
    TextCompletion,
    /// Embeddings.
    Embeddings,
    /// Image generation or editing.
    Image,
    /// Speech or transcription.
    Audio,
    /// Moderation.
    Moderation,
    /// Realtime session.
    Realtime,
    /// Tool call through an MCP server.
    ExecuteTool,
    /// Anything relayed without being understood.
    Passthrough,
}

impl Operation {
    /// Its name in events, metrics and spans.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Moderation => "moderation",
            Self::Realtime => "realtime",
            Self::ExecuteTool => "execute_tool",
            Self::Passthrough => "passthrough",
        }
    }
}

/// Where quantities come from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider's final usage report. An explicit 0 is a value, not a gap.
    ProviderFinal,
    /// The provider's last report before the stream ended early.
    ProviderPartial,
    /// Counted by the gateway: tokens with the model's tokenizer, requests and bytes as they are.
    Counted,
    /// Estimated by the gateway.
    Estimated,
    /// Nothing was used or nothing is known.
    None,
}

/// How an attempt ended; exactly one per attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer reached the client.
    Ok,
    /// The client went away first.
    ClientAbort,
    /// The backend failed.
    UpstreamError,
    /// The gateway failed.
    GatewayError,
    /// The stream was cut at a limit.
    LimitCutoff,
    /// Answered from the cache.
    CacheHit,
    /// The gateway died; written from the intent at the next start.
    Recovered,
    /// Refused before any backend was called.
    Rejected,
    /// The gateway broke the call off, because another one that it had made for the same request answered
    /// first.
    HedgeLost,
}

/// Timings of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Timing {
    /// Start of the attempt to its last byte, ms.
    pub latency_ms: u32,
    /// Start of the attempt to the first byte of the answer's body, ms; 0 where none came.
    pub ttft_ms: u32,
    /// Time spent in the gateway itself before the upstream call, µs.
    pub gateway_us: u32,
}

/// Said once when a gateway stops in good order, so that the end of a sequence is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BootClosed {
    /// Configured name of the gateway replica.
    pub gateway_id: Arc<str>,
    /// The run that ended.
    pub boot_id: BootId,
    /// Last sequence number given in it; 0 when there was none.
    pub last_seq: u64,
}
