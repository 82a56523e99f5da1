//! Answers that a provider keeps (Responses API): which target has them, and whose they are.

use bytes::Bytes;
use tollgate_crossing::Crossing;
use tollgate_formats::view::{Change, View};
use tollgate_identity::Caller;
use tollgate_runtime::snapshot::Target;

use super::model_request::ModelRequest;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::stored::response_ids::StoredAt;
use crate::stored::shown_ids::{self, ShownIds};

/// Checks that a request does not ask a model to go on when its books are closed.
///
/// # Errors
/// [`GatewayError::BackgroundNotSupported`] when it does.
pub fn ends_with_its_answer(view: &View<'_>) -> Result<(), GatewayError> {
    if view.background {
        return Err(GatewayError::BackgroundNotSupported { param: "background" });
    }
    Ok(())
}

/// Checks that a kept answer is asked for as it is: only what works in the background is streamed again.
///
/// # Errors
/// [`GatewayError::BackgroundNotSupported`] when a stream is asked for.
pub fn is_asked_for_whole(query: Option<&str>) -> Result<(), GatewayError> {
    let streams = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        name == "stream" && value != "false"
    };
    if query.is_some_and(|query| query.split('&').any(streams)) {
        return Err(GatewayError::BackgroundNotSupported { param: "stream" });
    }
    Ok(())
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
    fn work_in_the_background_is_refused_by_name() {
        let refused = ends_with_its_answer(&View { background: true, ..View::default() }).unwrap_err();
        let class = refused.class();
        assert_eq!(
            (class.status, class.code, refused.param()),
            (400, "background_not_supported", Some("background"))
        );
        assert!(ends_with_its_answer(&View::default()).is_ok());
    }

    #[test]
    fn a_kept_answer_is_not_streamed_again() {
        for query in ["stream=true", "include=a&stream=true&starting_after=3", "stream"] {
            assert!(is_asked_for_whole(Some(query)).is_err(), "{query}");
        }
        for query in [None, Some(""), Some("stream=false"), Some("include=stream")] {
            assert!(is_asked_for_whole(query).is_ok(), "{query:?}");
        }
    }
}
