//! Transitions as events of the log, and events as changes of a circuit here. Pure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tollgate_backends::transition::{Change, Remote, RemoteChange, Transition};
use tollgate_backends::{DeploymentId, FailureKind};
use tollgate_eventlog::{InRecord, OutRecord, Topic};
use tollgate_schemas::backend_state::{BackendState, STATE_TYPE, StateKind, state_key};
use tollgate_schemas::envelope::Envelope;
use uuid::Uuid;

use super::Replica;

/// A transition of this replica as the others are told of it. `now_ms` is wall time.
#[must_use]
pub fn state(me: &Replica, transition: &Transition, now_ms: i64) -> BackendState {
    let Transition { id, change } = transition;
    let said = BackendState {
        gateway_id: Arc::clone(&me.gateway_id),
        boot_id: me.boot_id,
        backend: Arc::clone(&id.backend),
        model: Arc::clone(&id.model),
        state: StateKind::Closed,
        until_ms: None,
        cause: None,
        failure: None,
        by_operator: false,
        at_ms: now_ms,
    };
    match change {
        Change::Opened { left, cause } => BackendState {
            state: StateKind::Open,
            until_ms: Some(now_ms.saturating_add(i64::try_from(left.as_millis()).unwrap_or(i64::MAX))),
            cause: Some(cause.rule.as_str().into()),
            failure: cause.failure.map(failure_name),
            ..said
        },
        Change::Held => BackendState { state: StateKind::Held, by_operator: true, ..said },
        Change::Closed { by_operator } => BackendState { by_operator: *by_operator, ..said },
    }
}

fn failure_name(failure: FailureKind) -> Arc<str> {
    match failure {
        FailureKind::Status(status) => format!("status {status}").into(),
        other => other.as_str().into(),
    }
}

/// Whether nobody needs to hear of it any more. `now_ms` is wall time.
#[must_use]
pub fn is_over(state: &BackendState, now_ms: i64) -> bool {
    state.state == StateKind::Open && state.until_ms.is_none_or(|until_ms| until_ms <= now_ms)
}

/// The change to a circuit here; `None` if this process published the event, or if its time is over.
/// `now_ms` is wall time.
#[must_use]
pub fn remote_change(me: &Replica, state: &BackendState, now_ms: i64) -> Option<(DeploymentId, Remote)> {
    if state.boot_id == me.boot_id || is_over(state, now_ms) {
        return None;
    }
    let change = match state.state {
        StateKind::Open => {
            let left_ms = u64::try_from(state.until_ms?.saturating_sub(now_ms)).ok()?;
            RemoteChange::Opened { left: Duration::from_millis(left_ms) }
        }
        StateKind::Held => RemoteChange::Held,
        StateKind::Closed => RemoteChange::Closed { by_operator: state.by_operator },
    };
    let id = DeploymentId { backend: Arc::clone(&state.backend), model: Arc::clone(&state.model) };
    Some((id, Remote { replica: Arc::clone(&state.gateway_id), change }))
}

/// As a record of the log.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn record(state: &BackendState) -> Result<OutRecord, serde_json::Error> {
    let key = state_key(&state.backend, &state.model);
    let envelope = Envelope {
        id: Uuid::now_v7(),
        kind: STATE_TYPE.to_owned(),
        source: format!("/tollgate/gateway/{}", state.gateway_id),
        time_ms: state.at_ms,
        subject: Some(key.clone()),
        partition_key: Some(key.clone()),
        traceparent: None,
        sequence: None,
    };
    Ok(OutRecord {
        topic: Topic::BackendState,
        key: key.into(),
        headers: envelope.to_headers(),
        payload: Some(Bytes::from(serde_json::to_vec(state)?)),
        timestamp_ms: state.at_ms,
    })
}

/// The event in a record; `None` if the record is a tombstone or of a later version.
#[must_use]
pub fn read(record: &InRecord) -> Option<BackendState> {
    let kind = Envelope::from_headers(&record.headers).ok()?.kind;
    if kind != STATE_TYPE {
        return None;
    }
    serde_json::from_slice(record.payload.as_ref()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_backends::circuit::{Cause, TripRule};
    use tollgate_eventlog::Position;
    use tollgate_schemas::ids::BootId;

    const NOW_MS: i64 = 1_795_000_000_000;

    fn replica(name: &str) -> Replica {
        Replica { gateway_id: name.into(), boot_id: BootId::now() }
    }

    fn said_by(me: &Replica, change: Change) -> BackendState {
        let id = DeploymentId { backend: "b".into(), model: "vendor/m:free".into() };
        state(me, &Transition { id, change }, NOW_MS)
    }

    fn opened(left: Duration) -> Change {
        let cause = Cause { rule: TripRule::RetryAfter, failure: Some(FailureKind::Status(429)) };
        Change::Opened { left, cause }
    }

    #[test]
    fn an_opened_circuit_is_told_with_its_cause_and_heeded_until_its_time() {
        let (one, other) = (replica("gw-1"), replica("gw-2"));
        let said = said_by(&one, opened(Duration::from_secs(30)));
        assert_eq!(
            (said.cause.as_deref(), said.failure.as_deref()),
            (Some("retry_after"), Some("status 429"))
        );
        let (id, remote) = remote_change(&other, &said, NOW_MS + 10_000).unwrap();
        assert_eq!((id.to_string().as_str(), &*remote.replica), ("b/vendor/m:free", "gw-1"));
        assert_eq!(remote.change, RemoteChange::Opened { left: Duration::from_secs(20) });
        assert_eq!(remote_change(&other, &said, NOW_MS + 30_000), None, "it is over");
    }

    #[test]
    fn what_this_run_said_is_not_heeded_but_what_an_earlier_one_said_is() {
        let one = replica("gw-1");
        let said = said_by(&one, Change::Held);
        assert_eq!(remote_change(&one, &said, NOW_MS), None);
        assert!(remote_change(&replica("gw-1"), &said, NOW_MS).is_some());
    }

    #[test]
    fn records_are_read_back_and_anything_else_is_not() {
        let said = said_by(&replica("gw-1"), Change::Closed { by_operator: true });
        let sent = record(&said).unwrap();
        assert_eq!(&sent.key[..], b"b|vendor/m:free");
        let at = Position { topic: Topic::BackendState, partition: 0, offset: 0 };
        let come = InRecord {
            at,
            key: sent.key,
            headers: sent.headers,
            payload: sent.payload,
            timestamp_ms: sent.timestamp_ms,
        };
        assert_eq!(read(&come), Some(said));
        for payload in [None, Some(Bytes::new()), Some(Bytes::from_static(b"{\"state\":\"molten\"}"))] {
            assert_eq!(read(&InRecord { payload, ..come.clone() }), None);
        }
        assert_eq!(read(&InRecord { headers: Vec::new(), ..come }), None);
    }
}
