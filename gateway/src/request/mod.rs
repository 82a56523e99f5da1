//! The spine of a request: which steps there are and in which order. The work is done elsewhere.

pub mod attempt;
pub mod call;
pub mod context;
pub mod drain;
pub mod event;
pub mod failover;
pub mod hedge;
pub mod measure;
pub mod pipeline;
pub mod relay;
pub mod resiliency;
mod verdict;
