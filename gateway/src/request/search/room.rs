//! When no target answers at once: a wait for room, or what the client is told.

use std::sync::Arc;

use super::super::DEFAULT_RETRY_AFTER;
use super::Search;
use super::candidate::Candidate;
use crate::error::GatewayError;
use tollgate_backends::routing;

impl<'a> Search<'a> {
    /// Waits a short time for a place at the first backend that was full.
    pub(super) async fn wait_for_room(&mut self) -> Option<Candidate<'a>> {
        let (model, request) = (self.model, self.request);
        while !self.crowded.is_empty() {
            let target = model.targets.get(self.crowded.remove(0))?;
            let admission = target.backend.admission.as_ref()?;
            let waited = tokio::time::timeout(self.time_left(), admission.enter(request.queue_key)).await;
            let Ok(Ok(permit)) = waited else {
                self.failures.uncalled = Some(GatewayError::Overloaded { retry_after: DEFAULT_RETRY_AFTER });
                continue;
            };
            let Ok(mut in_flight) = target.deployment.admit() else { continue };
            // Whoever has waited goes also over what is committed, which counts all the same.
            in_flight.charge(self.tokens);
            match Candidate::prepare(request, target, in_flight, Some(permit)) {
                Ok(candidate) => return Some(candidate),
                Err(error) => self.failures.uncalled = Some(error),
            }
        }
        None
    }

    /// What the client is told when no target is left.
    pub(super) fn exhausted(&mut self) -> GatewayError {
        let Self { model, failures, .. } = self;
        let route = &model.route;
        let recovery = routing::earliest_recovery(route);
        if let Some(failure) = failures.told(recovery).or_else(|| failures.uncalled.take()) {
            return failure;
        }
        let (model, retry_after) = (Arc::clone(&model.alias), recovery.unwrap_or(DEFAULT_RETRY_AFTER));
        match routing::all_rate_limited(route) {
            true => GatewayError::RateLimited { model, retry_after },
            false => GatewayError::NoBackend { model, retry_after },
        }
    }
}
