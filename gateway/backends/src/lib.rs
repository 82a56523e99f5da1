//! The model endpoints that the gateway calls: their health, their circuits and how they are reached.
//!
//! A *deployment* is one model at one backend; each has a circuit of its own, so that a model without
//! capacity does not take its neighbours down. Modules in reading order: [`outcome`] says what an ended
//! attempt means, [`retry_after`] how long a backend asks to be left alone, [`circuit`] when the circuit
//! opens (pure, counting in `window`); `gate` is the atomic word that admits requests, [`deployment`] what an
//! admitted request holds, `backend_actor` owns the circuit, [`registry`] keeps all deployments. [`backend`] is a
//! configured endpoint, [`credentials`] what authenticates the gateway to it, [`call`] one HTTP call to it over
//! [`tls`], with its body in [`upload`].
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
