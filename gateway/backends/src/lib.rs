//! One room per model endpoint that the gateway calls: its health, its circuit and how it is reached.
//!
//! A *deployment* is one model at one backend; each has a circuit of its own, so that a model without
//! capacity does not take its neighbours down. Modules in reading order: [`outcome`] says what an ended
//! attempt means, [`retry_after`] when a backend wants to be asked again, [`circuit`] when the circuit
//! opens (pure, counting in `window`), `gate` is the word that requests are admitted by, [`deployment`]
//! what they hold, `backend_actor` owns the circuit, [`registry`] keeps all of them. [`backend`] is a
//! configured endpoint, [`credentials`] what it is shown, [`call`] one HTTP call of it over [`tls`] with an
//! [`upload`].
//!
//! Invariants:
//! * no request is admitted before an open period is over, and then one probe at a time;
//! * every trip has a cause;
//! * admission takes no lock, and neither admission nor a report waits for an actor;
//! * the death of an actor changes neither gate nor circuit.

pub mod backend;
pub mod call;
mod call_error;
mod capacity;
pub mod circuit;
mod collect;
mod connections;
pub mod credentials;
pub mod deployment;
mod deployment_id;
pub mod drains;
mod ewma;
mod gate;
mod heard;
pub mod hedge_budget;
mod latencies;
mod metrics;
pub mod outcome;
mod rates;
pub mod registry;
pub mod retry_after;
pub mod routing;
pub mod sent;
mod snapshot;
mod spec;
pub mod tls;
pub mod transition;
pub mod upload;
mod window;

pub use capacity::{CapacityRules, CapacitySnapshot};
pub use connections::{AnswerBody, AnswerError};
pub use deployment::ManualAction;
pub use deployment::{Deployment, InFlight, NotAdmitted};
pub use deployment_id::DeploymentId;
pub use metrics::DeploymentMetrics;
pub use outcome::{AttemptClass, AttemptOutcome, FailureKind};
pub use rates::RateSnapshot;
pub use registry::{Backends, ManualError};
pub use snapshot::{CircuitState, DeploymentSnapshot};
pub use spec::{CapacitySpec, DeploymentSpec};
