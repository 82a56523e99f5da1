//! Usage events from what is known of a request and how it ended.

use std::sync::Arc;

use tollgate_backends::backend::Backend;
use tollgate_base::time::now_ms;
use tollgate_schemas::ids::{EventId, RequestId};
use tollgate_schemas::tokens::UsageLine;
use tollgate_schemas::usage::{
    Call, LedgerPosition, Operation, Outcome, Payer, Timing, UsageEvent, UsageSource, VERSION_FINAL,
    VERSION_RECOVERED,
};

/// What every event of one request has in common.
#[derive(Debug, Clone, Copy)]
pub struct EventContext<'a> {
    pub request_id: RequestId,
    pub payer: &'a Payer,
    /// What is asked for.
    pub operation: Operation,
    /// The alias or API asked for; empty while it is not known.
    pub model_requested: &'a str,
    /// API format of the client.
    pub api_format: &'static str,
    /// Whether a stream was asked for.
    pub stream: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Callee<'a> {
    pub backend: &'a Backend,
    /// The model's name there; empty where only the answer says it.
    pub model: &'a Arc<str>,
    /// Variant of a weighted trial.
    pub variant: Option<&'a Arc<str>>,
}

/// The intent of an attempt: the event as it will stand in the ledger if the gateway dies now. `attempt` counts from
/// 1; `line` is what the call uses at least.
#[must_use]
pub fn intent(
    context: EventContext<'_>,
    callee: Callee<'_>,
    attempt: u8,
    line: Option<UsageLine>,
) -> UsageEvent {
    let call = Call {
        provider: Arc::clone(&callee.backend.provider),
        backend: Arc::clone(&callee.backend.name),
        region: Arc::clone(&callee.backend.region),
        model: Arc::clone(callee.model),
        variant: callee.variant.cloned(),
        ..uncalled(context)
    };
    UsageEvent {
        attempt,
        version: VERSION_RECOVERED,
        usage_source: if line.is_some() { UsageSource::Estimated } else { UsageSource::None },
        lines: line.into_iter().collect(),
        outcome: Outcome::Recovered,
        ..empty(context, call)
    }
}

/// The event of a request for which no backend was called.
#[must_use]
pub fn without_attempt(context: EventContext<'_>, outcome: Outcome, http_status: u16) -> UsageEvent {
    UsageEvent { outcome, http_status, ..empty(context, uncalled(context)) }
}

/// The call as far as it is known before a backend is.
fn uncalled(context: EventContext<'_>) -> Call {
    Call {
        operation: context.operation,
        provider: "".into(),
        backend: "".into(),
        region: "".into(),
        model_requested: context.model_requested.into(),
        model: "".into(),
        api_format: context.api_format.into(),
        stream: context.stream,
        variant: None,
    }
}

fn empty(context: EventContext<'_>, call: Call) -> UsageEvent {
    let event_time_ms = now_ms();
    UsageEvent {
        event_id: EventId::at_ms(event_time_ms),
        request_id: context.request_id,
        attempt: 0,
        version: VERSION_FINAL,
        ledger: LedgerPosition::unassigned(),
        payer: context.payer.clone(),
        call,
        lines: Vec::new(),
        usage_source: UsageSource::None,
        outcome: Outcome::Rejected,
        event_time_ms,
        ended_at_ms: event_time_ms,
        timing: Timing::default(),
        http_status: 0,
        cached_from: None,
        error_code: None,
    }
}
