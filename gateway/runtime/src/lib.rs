//! The configuration as requests use it, and the live state that outlives it.

pub mod resiliency;
pub mod snapshot;
