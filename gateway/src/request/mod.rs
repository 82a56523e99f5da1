//! The spine of a request: which steps there are and in which order. The work is done elsewhere.

pub mod attempt;
pub mod context;
pub mod event;
pub mod failover;
pub mod measure;
pub mod pipeline;
pub mod relay;
