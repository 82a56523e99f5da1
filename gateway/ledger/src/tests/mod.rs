//! What the ledger promises, tested without a broker: crashes, faults, and a log that misbehaves.

mod crash;
mod faults;
mod letters;
mod schedules;
mod sequence;
mod sink;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_eventlog::segment::fake::FakeFiles;
use tollgate_schemas::ids::{EventId, RequestId};
use tollgate_schemas::tokens::{TokenClass, UsageLine};
use tollgate_schemas::usage::{
    Call, LedgerPosition, Operation, Outcome, Payer, Timing, UsageEvent, UsageSource, VERSION_FINAL,
    VERSION_RECOVERED,
};

pub(super) use self::sink::{Behaviour, Sink};
use super::ledger::Ledger;
use super::options::{FsyncPolicy, LedgerOptions, OnFull, Recovered};
use super::publish::{Publisher, Step};

pub(super) const DIR: &str = "/spool";

pub(super) fn options() -> LedgerOptions {
    LedgerOptions {
        dir: PathBuf::from(DIR),
        gateway_id: "gw-1".into(),
        fsync: FsyncPolicy::Group { every: Duration::from_millis(5) },
        max_bytes: 64 << 20,
        on_full: OnFull::Reject,
        segment_bytes: 8 << 10,
    }
}

pub(super) fn open(files: &FakeFiles) -> (Ledger, Recovered) {
    open_with(files, options())
}

pub(super) fn open_with(files: &FakeFiles, options: LedgerOptions) -> (Ledger, Recovered) {
    Ledger::open_with(Arc::new(files.clone()), options).unwrap()
}

/// The event that stands for an attempt whose gateway died.
pub(super) fn begun() -> UsageEvent {
    let event_id = EventId::now();
    UsageEvent {
        event_id,
        request_id: RequestId::now(),
        attempt: 1,
        version: VERSION_RECOVERED,
        ledger: LedgerPosition::unassigned(),
        payer: Payer {
            tenant: "acme".into(),
            subscription: "checkout-team".into(),
            key_id: "key-1".into(),
            ..Payer::default()
        },
        call: Call {
            operation: Operation::Chat,
            provider: "openai".into(),
            backend: "openai".into(),
            region: "".into(),
            model_requested: "gpt".into(),
            model: "gpt-4o".into(),
            api_format: "openai".into(),
            stream: false,
            variant: None,
        },
        lines: vec![UsageLine { class: TokenClass::Input, qty: 100 }],
        usage_source: UsageSource::Estimated,
        outcome: Outcome::Recovered,
        event_time_ms: event_id.unix_ms(),
        ended_at_ms: event_id.unix_ms(),
        timing: Timing::default(),
        http_status: 0,
        cached_from: None,
        error_code: None,
    }
}

/// The event of the same attempt when it ended well.
pub(super) fn ended(begun: &UsageEvent) -> UsageEvent {
    UsageEvent {
        version: VERSION_FINAL,
        outcome: Outcome::Ok,
        usage_source: UsageSource::ProviderFinal,
        http_status: 200,
        ..begun.clone()
    }
}

pub(super) fn publisher(ledger: &Ledger, sink: &Sink) -> Publisher {
    Publisher::new(Arc::clone(ledger.spool()), Arc::new(sink.clone()), "gw-1".into())
}

/// Publishes everything; virtual time passes, so pauses cost nothing.
pub(super) fn drain(ledger: &Ledger, sink: &Sink) {
    let mut publisher = publisher(ledger, sink);
    let mut now = Instant::now();
    for _ in 0..1_000 {
        if publisher.step(now, Duration::ZERO) == Step::Idle && publisher.is_drained() {
            publisher.report(now, true);
            return;
        }
        now += Duration::from_secs(10);
    }
    panic!("the spool was not drained");
}

/// What a report would show: the highest version of each event.
pub(super) fn report(sink: &Sink) -> BTreeMap<EventId, UsageEvent> {
    highest(sink.usage())
}

fn highest(events: Vec<UsageEvent>) -> BTreeMap<EventId, UsageEvent> {
    let mut rows: BTreeMap<EventId, UsageEvent> = BTreeMap::new();
    for event in events {
        let row = rows.entry(event.event_id).or_insert_with(|| event.clone());
        if event.version > row.version {
            *row = event;
        }
    }
    rows
}

/// The newest segment file.
pub(super) fn newest_segment(files: &FakeFiles) -> PathBuf {
    let in_spool = |path: &PathBuf| path.parent() == Some(Path::new(DIR));
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "seg");
    files.paths().into_iter().filter(|path| in_spool(path) && is_segment(path)).max().unwrap()
}

pub(super) fn segments(files: &FakeFiles) -> usize {
    files.paths().iter().filter(|path| path.extension().is_some_and(|extension| extension == "seg")).count()
}
