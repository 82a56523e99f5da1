//! The books of a call: what is written down of it, whatever happens.
//!
//! [`attempt`] keeps the books of one call of a backend from its intent to its one ending; [`ending`] is the page that
//! says which row each case gives; [`event`] makes usage events, [`measure`] decides how much was used, [`traffic`]
//! counts what nobody else can. A request without an attempt, refused or answered from the cache, is written down by
//! the functions here.

use tollgate_schemas::cache::CacheHit;
use tollgate_schemas::usage::{Outcome, UsageEvent};

use self::event::EventContext;
use crate::error::{GatewayError, Side};
use crate::gateway::Gateway;

pub mod attempt;
#[cfg(test)]
pub(crate) mod bed_tests;
pub mod ending;
pub mod event;
pub mod measure;
pub mod traffic;

/// An answer from the cache is a row.
pub fn answered_from_cache(gateway: &Gateway, context: EventContext<'_>, hit: &CacheHit) {
    let mut event = event::without_attempt(context, Outcome::CacheHit, 200);
    event.cached_from = Some(hit.event_id);
    write(gateway, event);
}

/// A refusal by the gateway itself is a row too, so that callers can see what was refused and why. Failures of
/// backends are rows of their attempts already.
pub fn refused(gateway: &Gateway, context: EventContext<'_>, error: &GatewayError) {
    if error.class().side == Side::Client || error.is_without_attempt() {
        refused_at_the_door(gateway, context, error);
    }
}

/// The same for a call that got no further than the door, whoever has to act on it.
pub fn refused_at_the_door(gateway: &Gateway, context: EventContext<'_>, error: &GatewayError) {
    let class = error.class();
    let mut event = event::without_attempt(context, Outcome::Rejected, class.status);
    event.error_code = Some(class.code.into());
    write(gateway, event);
}

fn write(gateway: &Gateway, mut event: UsageEvent) {
    if let Err(error) = gateway.ledger.record(&mut event, None) {
        tracing::error!(error = %error, outcome = ?event.outcome, "a row without an attempt could not be recorded");
    }
    gateway.metrics.attempt_ended(&event);
}
