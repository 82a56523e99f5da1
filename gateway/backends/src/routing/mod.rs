//! From a client-facing model name to an ordered list of candidates.
//!
//! [`alias`] joins the configured targets with the live state of their deployments, [`balance`] puts them in
//! order (pure), within a group by [`strategy`] or, where a session keeps to its target, by [`rendezvous`];
//! [`affinity`] finds the session of a request. Nothing here
//! takes a lock or sends a message, and choosing among up to eight targets does not allocate.

pub mod affinity;
pub mod alias;
pub mod balance;
pub mod rendezvous;
pub mod strategy;

pub use alias::{Alias, AliasTarget, Pick, all_rate_limited, candidates, earliest_recovery};
pub use tollgate_config::Strategy;
