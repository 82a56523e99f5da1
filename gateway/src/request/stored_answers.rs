//! Answers that a provider keeps (Responses API): which target has them, whose they are, and which are still worked on.

use bytes::Bytes;
use tollgate_crossing::Crossing;
use tollgate_formats::openai_responses::work::Work;
use tollgate_formats::view::{Change, View};
use tollgate_identity::Caller;
use tollgate_runtime::snapshot::Target;

use super::model_request::ModelRequest;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::pending::NoRoom;
use crate::stored::response_ids::StoredAt;
use crate::stored::shown_ids::{self, ShownIds};

/// Checks that a model that is asked to go on after its answer can be followed to its end.
///
/// # Errors
/// When as many are followed as may be, or the disk does not take what must outlive this process.
pub fn may_go_on(worker: &Worker, caller: &Caller, view: &View<'_>) -> Result<(), GatewayError> {
    if !view.background {
        return Ok(());
    }
    match worker.gateway.pending.refuses(&caller.payer.subscription) {
        None => Ok(()),
        Some(NoRoom::Full) => Err(GatewayError::TooMuchPending),
        Some(NoRoom::Unwritable) => Err(GatewayError::PendingUnwritable),
    }
}

/// What the provider calls an answer that is still worked on, where its request asked for that; `None` if it has ended.
#[must_use]
pub fn work(asked: bool, answer: &[u8]) -> Option<String> {
    let work = Work::of(answer).filter(|_| asked)?;
    work.stage.is_running().then_some(work.id)
}

/// The answer that a request continues; `None` when it begins anew.
///
/// # Errors
/// [`GatewayError::UnknownResponse`] when it is not one of the caller's.
pub fn continued(
    worker: &Worker,
    caller: &Caller,
    view: &View<'_>,
) -> Result<Option<StoredAt>, GatewayError> {
    let Some(id) = &view.previous_response_id else { return Ok(None) };
    find(worker, caller, id).map(Some)
}

/// Where an answer of the caller is.
///
/// # Errors
/// [`GatewayError::UnknownResponse`] when there is none.
pub fn find(worker: &Worker, caller: &Caller, id: &str) -> Result<StoredAt, GatewayError> {
    let found = worker.gateway.response_ids.open(&caller.payer.subscription, id);
    found.ok_or_else(|| GatewayError::UnknownResponse { id: id.chars().take(128).collect() })
}

/// Whether a target holds the answer that a request continues.
#[must_use]
pub fn is_at(at: &StoredAt, target: &Target) -> bool {
    *at.backend == *target.backend.name && *at.model == *target.model
}

/// The provider's own id in place of the one that the client knows.
#[must_use]
pub fn change(at: &StoredAt) -> Change {
    Change::new("previous_response_id", &at.id)
}

/// What a backend says when it refuses a request, with the id of the answer that it continues as its owner knows it.
#[must_use]
pub fn in_refusal(request: &ModelRequest<'_>, body: Bytes) -> Bytes {
    match (request.continues, &request.view.previous_response_id) {
        (Some(at), Some(asked)) => shown_ids::in_words(body, &at.id, asked),
        _ => body,
    }
}

/// The ids of an answer as its owner sees them; `None` where the provider keeps no answers.
#[must_use]
pub fn shown_ids(
    worker: &Worker,
    request: &ModelRequest<'_>,
    crossing: Crossing,
    target: &Target,
) -> Option<ShownIds> {
    crossing.stores_answers().then(|| {
        let owner = &request.events.payer.subscription;
        ShownIds::of_new(worker.gateway.response_ids.clone(), owner, &target.backend.name, &target.model)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_to_go_on_and_does_is_work() {
        let answer = |status: &str| format!(r#"{{"id":"resp_1","object":"response","status":"{status}"}}"#);
        assert_eq!(work(true, answer("queued").as_bytes()).as_deref(), Some("resp_1"));
        assert_eq!(work(false, answer("queued").as_bytes()), None);
        assert_eq!(work(true, answer("completed").as_bytes()), None);
        assert_eq!(work(true, b"{}"), None);
    }
}
