//! The spine of a call: which steps there are and in which order. The work is done elsewhere.
//!
//! In reading order: [`call`] is what is asked, [`context`] what is known of it, [`body`] what comes with it;
//! [`pipeline`] is the order of the phases; [`search`] finds a backend that answers, [`first_byte`] waits for something
//! of the answer, which is [`whole`] or a [`stream`]; [`passthrough`], [`stored_call`] and [`token_count`] are the other
//! kinds of calls; [`crate::books`] writes down what became of each, [`answer`] is what goes back.

use tollgate_admission::{Permit, QueueKey};
use tollgate_backends::backend::Backend;

use crate::error::GatewayError;

mod alias_rules;
pub mod answer;
pub mod body;
pub mod call;
pub mod context;
pub mod error_body;
mod failure;
mod first_byte;
pub mod guard;
mod idempotency;
mod incoming;
mod model_request;
mod open_answer;
pub mod passthrough;
pub mod pipeline;
mod provider_count;
mod search;
mod several;
mod stored_answers;
mod stored_call;
pub mod stream;
mod token_count;
mod whole;

/// When to come back if nobody knows.
const DEFAULT_RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// A place among the calls that run at a backend, where those are bounded.
async fn place_at(backend: &Backend, queue_key: &QueueKey) -> Result<Option<Permit>, GatewayError> {
    let Some(admission) = &backend.admission else { return Ok(None) };
    let entered = admission.enter(queue_key).await;
    entered.map(Some).map_err(|_| GatewayError::Overloaded { retry_after: DEFAULT_RETRY_AFTER })
}
