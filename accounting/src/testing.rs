//! Events and positions for unit tests.

use tollgate_eventlog::{Position, Topic};
use tollgate_schemas::ids::{BootId, EventId, RequestId};
use tollgate_schemas::tokens::{TokenClass, UsageLine};
use tollgate_schemas::usage::{
    Call, LedgerPosition, Operation, Outcome, Payer, Timing, UsageEvent, UsageSource, VERSION_FINAL,
};

/// 2026-11-18T11:08:43.456Z.
pub(crate) const NOW_MS: i64 = 1_795_000_123_456;

pub(crate) fn position(offset: u64) -> Position {
    Position { topic: Topic::Usage, partition: 3, offset }
}

/// A settled chat call of tenant `acme` to `sim-small`.
pub(crate) fn event(seq: u64, lines: &[(TokenClass, u64)]) -> UsageEvent {
    UsageEvent {
        event_id: EventId::at_ms(NOW_MS),
        request_id: RequestId::at_ms(NOW_MS),
        attempt: 1,
        version: VERSION_FINAL,
        ledger: LedgerPosition { gateway_id: "gw-1".into(), boot_id: BootId::at_ms(NOW_MS), seq },
        payer: Payer {
            tenant: "acme".into(),
            cost_center: "4711".into(),
            team: "checkout".into(),
            subscription: "checkout-team".into(),
            key_id: "key-1".into(),
            ..Payer::default()
        },
        call: Call {
            operation: Operation::Chat,
            provider: "sim".into(),
            backend: "sim".into(),
            region: "".into(),
            model_requested: "small".into(),
            model: "sim-small".into(),
            api_format: "openai".into(),
            stream: false,
            variant: None,
        },
        lines: lines.iter().map(|&(class, qty)| UsageLine { class, qty }).collect(),
        usage_source: UsageSource::ProviderFinal,
        outcome: Outcome::Ok,
        event_time_ms: NOW_MS,
        ended_at_ms: NOW_MS + 900,
        timing: Timing { latency_ms: 900, ttft_ms: 210, gateway_us: 180 },
        http_status: 200,
        cached_from: None,
        error_code: None,
    }
}
