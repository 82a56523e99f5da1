//! The spine of a request: which steps there are and in which order. The work is done elsewhere.

pub mod alias_rules;
pub mod attempt;
pub mod call;
mod candidate;
pub mod context;
pub mod drain;
pub mod event;
pub mod failover;
mod gathered;
pub mod guard;
pub mod hedge;
pub mod measure;
pub mod meter;
pub mod observer;
pub mod passed;
pub mod passthrough;
pub mod pipeline;
pub mod relay;
pub mod resiliency;
pub mod response_ids;
mod several;
pub mod signing_key;
pub mod stored;
pub mod stream_reader;
pub mod traffic;
mod verdict;
mod whole;
