//! What a scrape shows.

use tollgate_schemas::ids::{BootId, EventId, RequestId};
use tollgate_schemas::tokens::{TokenClass, UsageLine};
use tollgate_schemas::usage::{
    Call, LedgerPosition, Operation, Outcome, Payer, Timing, UsageEvent, UsageSource,
};

use super::*;
use crate::telemetry::series::MAX_SERIES;

fn event(alias: &str) -> UsageEvent {
    UsageEvent {
        event_id: EventId::now(),
        request_id: RequestId::now(),
        attempt: 1,
        version: 1,
        ledger: LedgerPosition { gateway_id: "g".into(), boot_id: BootId::now(), seq: 1 },
        payer: Payer {
            tenant: "acme".into(),
            team: "t".into(),
            subscription: "s".into(),
            ..Payer::default()
        },
        call: Call {
            operation: Operation::Chat,
            provider: "p".into(),
            backend: "b".into(),
            region: "".into(),
            model_requested: alias.into(),
            model: "m".into(),
            api_format: "openai.chat".into(),
            stream: false,
            variant: None,
        },
        lines: vec![UsageLine { class: TokenClass::Input, qty: 7 }],
        usage_source: UsageSource::ProviderFinal,
        outcome: Outcome::Ok,
        event_time_ms: 0,
        ended_at_ms: 0,
        timing: Timing { latency_ms: 30, ttft_ms: 20, gateway_us: 40 },
        http_status: 200,
        cached_from: None,
        error_code: None,
    }
}

fn scrape(metrics: &Metrics) -> String {
    metrics.encode(
        &LedgerStatus { backlog_records: 3, ..LedgerStatus::default() },
        &[],
        &LimiterStats::default(),
        &OverloadSnapshot::default(),
    )
}

#[test]
fn an_attempt_shows_in_counts_tokens_and_durations() {
    let metrics = Metrics::new();
    metrics.attempt_ended(&event("chat"));
    metrics.attempt_ended(&event("chat"));
    let text = scrape(&metrics);
    for line in [
        r#"tollgate_attempts_total{alias="chat",backend="b",outcome="ok"} 2"#,
        r#"tollgate_tokens_total{alias="chat",backend="b",class="input"} 14"#,
        r#"tollgate_consumer_tokens_total{tenant="acme",team="t",subscription="s",direction="input"} 14"#,
        r#"tollgate_attempt_duration_seconds_count{alias="chat",backend="b"} 2"#,
        "tollgate_spool_backlog_records 3",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_later_version_of_an_event_adds_what_is_more_and_counts_no_attempt() {
    let metrics = Metrics::new();
    let before = event("chat");
    metrics.attempt_ended(&before);
    let lines =
        [(TokenClass::Input, 9), (TokenClass::Output, 30)].map(|(class, qty)| UsageLine { class, qty });
    metrics.ended_late(&before, &UsageEvent { lines: lines.to_vec(), ..before.clone() });
    let text = scrape(&metrics);
    for line in [
        r#"tollgate_attempts_total{alias="chat",backend="b",outcome="ok"} 1"#,
        r#"tollgate_tokens_total{alias="chat",backend="b",class="input"} 9"#,
        r#"tollgate_tokens_total{alias="chat",backend="b",class="output"} 30"#,
        r#"tollgate_consumer_tokens_total{tenant="acme",team="t",subscription="s",direction="output"} 30"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn names_that_clients_make_up_share_one_series() {
    let metrics = Metrics::new();
    for name in ["x1", "x2"] {
        metrics.attempt_ended(&UsageEvent { error_code: Some("model_not_found".into()), ..event(name) });
    }
    let text = scrape(&metrics);
    assert!(text.contains(r#"alias="unknown",backend="b",outcome="ok"} 2"#), "{text}");
    assert!(!text.contains("x1"));
}

#[test]
fn series_beyond_the_bound_are_counted_as_overflow() {
    let metrics = Metrics::new();
    for index in 0..MAX_SERIES + 5 {
        metrics.attempt_ended(&event(&format!("alias-{index}")));
    }
    assert!(scrape(&metrics).contains(r#"alias="overflow",backend="overflow",outcome="ok"} 5"#));
}

#[actix_rt::test]
async fn circuits_and_limiters_show_their_state() {
    use tollgate_admission::snapshot::{AdmissionSnapshot, BackendLoad, MemorySnapshot};
    use tollgate_backends::circuit::CircuitRules;
    use tollgate_backends::{Backends, DeploymentId, DeploymentSpec, ManualAction};
    use tollgate_base::clock::Clock;

    let id = DeploymentId { backend: "b".into(), model: "m".into() };
    let spec = DeploymentSpec { id: id.clone(), rules: CircuitRules::default(), capacity: None };
    let backends = Backends::start_in(&actix_rt::Arbiter::current(), Clock::manual(), vec![spec]);
    backends.set_manual(&id, ManualAction::Open).await.unwrap();
    let limiters = LimiterStats { keys: 4, unavailable: 2, ..LimiterStats::default() };
    let metrics = Metrics::new();
    let overload = OverloadSnapshot {
        requests: AdmissionSnapshot { running: 7, refused: 3, ..AdmissionSnapshot::default() },
        memory: MemorySnapshot { used_bytes: 9, ..MemorySnapshot::default() },
        backends: vec![BackendLoad {
            backend: "b".into(),
            requests: AdmissionSnapshot { waiting: 5, ..AdmissionSnapshot::default() },
        }],
    };
    let text = metrics.encode(&LedgerStatus::default(), &backends.observe(), &limiters, &overload);
    for line in [
        r#"tollgate_circuit_open{backend="b",model="m"} 1"#,
        r#"tollgate_circuit_trips_total{backend="b",model="m"} 1"#,
        r#"tollgate_circuit_state{backend="b",model="m",state="held",cause="operator"} 1"#,
        r#"tollgate_circuit_open_until_timestamp_seconds{backend="b",model="m"} 0"#,
        "tollgate_replica_circuits_dropped_total 0",
        "tollgate_limiter_keys 4",
        "tollgate_limiter_unavailable_total 2",
        "tollgate_requests_running 7",
        "tollgate_requests_overloaded_total 3",
        "tollgate_memory_used_bytes 9",
        r#"tollgate_backend_waiting{backend="b"} 5"#,
        r#"tollgate_token_counts_total{way="failed"} 0"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let after = metrics.encode(&LedgerStatus::default(), &[], &limiters, &OverloadSnapshot::default());
    assert!(!after.contains("tollgate_circuit_open{"), "a deployment that is gone is not shown");
}
