//! From a client-facing model name to an ordered list of candidates.
//!
//! [`alias`] joins the configured targets with the live state of their deployments, [`balance`] puts them
//! in order (pure), [`near`] finds the names that a client may have meant. Nothing here takes a lock,
//! sends a message or allocates for up to eight targets.

pub mod alias;
pub mod balance;
pub mod near;

pub use alias::{Alias, AliasTarget, candidates, earliest_recovery};
