//! Usage events from what is known of a request and how it ended.

use std::sync::Arc;

use tollgate_crossing::ClientFormat;
use tollgate_runtime::snapshot::{Api, Target};
use tollgate_schemas::ids::{EventId, RequestId};
use tollgate_schemas::tokens::{TokenClass, UsageLine};
use tollgate_schemas::usage::{
    Call, LedgerPosition, Operation, Outcome, Payer, Timing, UsageEvent, UsageSource, VERSION_FINAL,
    VERSION_RECOVERED,
};

/// What every event of one request has in common.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The request.
    pub request_id: RequestId,
    /// Who pays.
    pub payer: &'a Payer,
    /// The alias asked for.
    pub alias: &'a str,
    /// API format of the client.
    pub format: ClientFormat,
    /// Whether a stream was asked for.
    pub stream: bool,
}

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The intent of an attempt: the event as it will stand in the ledger if the gateway dies now.
#[must_use]
pub fn intent(subject: Subject<'_>, target: &Target, attempt: u8, prompt_estimate: u64) -> UsageEvent {
    let backend = &target.backend;
    let call = Call {
        operation: subject.format.operation(),
        provider: Arc::clone(&backend.provider),
        backend: Arc::clone(&backend.name),
        region: Arc::clone(&backend.region),
        model_requested: subject.alias.into(),
        model: Arc::clone(&target.model),
        api_format: subject.format.as_str().into(),
        stream: subject.stream,
        variant: target.variant.clone(),
    };
    UsageEvent {
        attempt,
        version: VERSION_RECOVERED,
        lines: vec![UsageLine { class: subject.format.prompt_class(), qty: prompt_estimate }],
        usage_source: UsageSource::Estimated,
        outcome: Outcome::Recovered,
        ..empty(subject.request_id, subject.payer, call)
    }
}

/// What the events of a request that is passed through have in common.
#[derive(Debug, Clone, Copy)]
pub struct PassedSubject<'a> {
    /// The request.
    pub request_id: RequestId,
    /// Who pays.
    pub payer: &'a Payer,
    /// Where it goes.
    pub api: &'a Api,
    /// What it asks for, where that is known.
    pub operation: Operation,
    /// The model, where the path names it.
    pub model: &'a str,
}

/// The intent of a call that is passed through.
#[must_use]
pub fn passed(subject: PassedSubject<'_>) -> UsageEvent {
    let (request, backend) = (UsageLine { class: TokenClass::Request, qty: 1 }, &subject.api.backend);
    let call = Call {
        provider: Arc::clone(&backend.provider),
        backend: Arc::clone(&backend.name),
        region: Arc::clone(&backend.region),
        model: subject.model.into(),
        ..passed_call(subject)
    };
    UsageEvent {
        attempt: 1,
        version: VERSION_RECOVERED,
        lines: vec![request],
        usage_source: UsageSource::Estimated,
        outcome: Outcome::Recovered,
        ..empty(subject.request_id, subject.payer, call)
    }
}

/// The event of a call that was not passed through.
#[must_use]
pub fn not_passed(subject: PassedSubject<'_>, http_status: u16) -> UsageEvent {
    let call = passed_call(subject);
    UsageEvent { http_status, ..empty(subject.request_id, subject.payer, call) }
}

fn passed_call(subject: PassedSubject<'_>) -> Call {
    Call {
        operation: subject.operation,
        provider: "".into(),
        backend: "".into(),
        region: "".into(),
        model_requested: Arc::clone(&subject.api.name),
        model: "".into(),
        api_format: "passthrough".into(),
        stream: false,
        variant: None,
    }
}

/// The event of a request for which no backend was called.
#[must_use]
pub fn without_attempt(subject: Subject<'_>, outcome: Outcome, http_status: u16) -> UsageEvent {
    let call = Call {
        operation: subject.format.operation(),
        provider: "".into(),
        backend: "".into(),
        region: "".into(),
        model_requested: subject.alias.into(),
        model: "".into(),
        api_format: subject.format.as_str().into(),
        stream: subject.stream,
        variant: None,
    };
    UsageEvent { outcome, http_status, ..empty(subject.request_id, subject.payer, call) }
}

fn empty(request_id: RequestId, payer: &Payer, call: Call) -> UsageEvent {
    let event_time_ms = now_ms();
    UsageEvent {
        event_id: EventId::at_ms(event_time_ms),
        request_id,
        attempt: 0,
        version: VERSION_FINAL,
        ledger: LedgerPosition::unassigned(),
        payer: payer.clone(),
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
