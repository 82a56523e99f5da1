//! What an attempt holds of its deployment while it is under way, and how it reports its outcome.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Deployment;
use super::backend_actor::Report;
use crate::capacity::Capacity;
use crate::gate::Pass;
use crate::outcome::{AttemptClass, AttemptOutcome};
use crate::retry_after::RateHeaders;

/// An admitted attempt. Dropped without a report it counts for nothing and frees its place.
#[derive(Debug)]
#[must_use = "an attempt that is dropped says nothing about its backend"]
pub struct InFlight {
    pub(super) deployment: Deployment,
    pub(super) pass: Pass,
    pub(super) ended: bool,
    /// Tokens that were taken for it, and the committed capacity that they go back to: the deployment may have
    /// another one by then.
    pub(super) charged: Option<(Arc<Capacity>, u64)>,
}

impl InFlight {
    /// Whether this attempt decides about the circuit.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        matches!(self.pass, Pass::Probe(_))
    }

    /// Counts tokens against committed capacity whether they fit or not: for a request that must go here
    /// because there is nowhere else. The attempt gives back what it does not use.
    pub fn charge(&mut self, tokens: u64) {
        let charged = self.charged.take();
        let capacity = charged.as_ref().map(|(capacity, _)| Arc::clone(capacity));
        if let Some(capacity) = capacity.or_else(|| self.deployment.0.capacity.load_full()) {
            capacity.charge(self.deployment.0.clock.now_ms(), tokens);
            let before = charged.map_or(0, |(_, tokens)| tokens);
            self.charged = Some((capacity, before.saturating_add(tokens)));
        }
    }

    /// Notes what the provider said about its rate limits.
    pub fn note_rates(&self, rates: &RateHeaders) {
        let cell = self.deployment.cell();
        cell.rates.note(rates, cell.clock.now_ms());
    }

    /// Says that a good answer has begun. A probe has done its work with that: how long the answer takes must not
    /// decide about the circuit, and what comes of it counts as for any other attempt. Later calls do nothing.
    pub fn answers(&mut self) {
        if let Pass::Probe(ticket) = std::mem::replace(&mut self.pass, Pass::Normal) {
            self.deployment.tell(Report { failure: None, retry_after: None, ticket: Some(ticket) });
        }
    }

    /// Says how the attempt ended. Never waits.
    pub fn report(mut self, outcome: AttemptOutcome) {
        self.end(&outcome);
    }

    fn end(&mut self, outcome: &AttemptOutcome) {
        if !std::mem::replace(&mut self.ended, true) {
            self.deployment.0.in_flight.fetch_sub(1, Ordering::Relaxed);
            if let Some((capacity, estimated)) = self.charged.take() {
                let now_ms = self.deployment.0.clock.now_ms();
                capacity.settle(now_ms, estimated, outcome.tokens.unwrap_or(0));
            }
            self.deployment.ended(self.pass, outcome);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let nothing = AttemptOutcome {
            class: AttemptClass::Neutral,
            latency: Duration::ZERO,
            first_byte: None,
            retry_after: None,
            tokens: None,
        };
        self.end(&nothing);
    }
}
