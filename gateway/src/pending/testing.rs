//! Answers for tests.

use std::sync::Arc;

use tollgate_schemas::ids::{EventId, RequestId};
use tollgate_schemas::tokens::{TokenClass, UsageLine};
use tollgate_schemas::usage::{
    Call, LedgerPosition, Operation, Outcome, Payer, Timing, UsageEvent, UsageSource, VERSION_FINAL,
};

use super::entry::Entry;

/// The row of an answer in the background, when its request was answered.
pub fn event(subscription: &str) -> UsageEvent {
    let event_id = EventId::now();
    UsageEvent {
        event_id,
        request_id: RequestId::now(),
        attempt: 1,
        version: VERSION_FINAL,
        ledger: LedgerPosition::unassigned(),
        payer: Payer { subscription: subscription.into(), key_id: "primary".into(), ..Payer::default() },
        call: Call {
            operation: Operation::Chat,
            provider: "openai".into(),
            backend: "openai".into(),
            region: "".into(),
            model_requested: "gpt".into(),
            model: "gpt-4o".into(),
            api_format: "openai.responses".into(),
            stream: false,
            variant: None,
        },
        lines: vec![UsageLine { class: TokenClass::Input, qty: 12 }],
        usage_source: UsageSource::Counted,
        outcome: Outcome::Ok,
        event_time_ms: event_id.unix_ms(),
        ended_at_ms: event_id.unix_ms() + 5,
        timing: Timing { latency_ms: 5, ..Timing::default() },
        http_status: 200,
        cached_from: None,
        error_code: None,
    }
}

pub fn entry(subscription: &str, response: &str, deadline_ms: i64) -> Arc<Entry> {
    Arc::new(Entry { event: event(subscription), response: response.into(), deadline_ms })
}
