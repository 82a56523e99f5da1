//! Answers that a provider keeps (Responses API): which target has them, and whose they are.

use tollgate_crossing::Crossing;
use tollgate_formats::view::{Change, View};
use tollgate_identity::Caller;
use tollgate_runtime::snapshot::Target;

use super::model_request::ModelRequest;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::stored::response_ids::StoredAt;
use crate::stored::shown_ids::ShownIds;

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

/// The ids of an answer as its owner sees them; `None` where the provider keeps no answers.
#[must_use]
pub fn shown_ids(
    worker: &Worker,
    request: &ModelRequest<'_>,
    crossing: Crossing,
    target: &Target,
) -> Option<ShownIds> {
    crossing.wire.stores_answers().then(|| {
        let owner = &request.events.payer.subscription;
        ShownIds::of_new(worker.gateway.response_ids.clone(), owner, &target.backend.name, &target.model)
    })
}
