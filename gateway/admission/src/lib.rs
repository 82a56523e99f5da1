//! Admission control under overload: a few requests wait for a short time, the rest are refused at once.
//!
//! [`queue`] says who is next (pure): paid tiers first, inside a tier each subscription in turn. [`admission`]
//! bounds how many requests run at a time, in the process and at a backend. [`memory`] bounds the bytes that
//! requests and answers may hold, [`pace`] how slow a client may be meanwhile.

pub mod admission;
pub mod memory;
pub mod metrics;
pub mod pace;
pub mod queue;
pub mod snapshot;

pub use admission::{Admission, AdmissionRules, Overloaded, Permit};
pub use memory::{Held, MemoryBudget};
pub use metrics::OverloadMetrics;
pub use pace::{Pace, PaceRules};
pub use queue::QueueKey;
pub use snapshot::OverloadSnapshot;
