//! What Tollgate says to the outside: events, topics, envelopes, money and token classes.
//!
//! These types are the contract between the gateway, the accounting service, the cache service and every
//! stream consumer that subscribes to the topics. Version rules:
//!
//! * within `v1` only optional fields are added; nothing is renamed, removed or given another meaning;
//! * readers ignore fields they do not know;
//! * a breaking change is a new topic with its own version, published beside the old one for a while.
//!
//! Modules in reading order: [`ids`], [`money`], [`tokens`], [`usage`], [`content`], [`cache`],
//! [`cache_key`], [`backend_state`], [`topics`], [`envelope`].

pub mod backend_state;
pub mod cache;
pub mod cache_key;
pub mod content;
pub mod envelope;
pub mod ids;
#[cfg(feature = "schema")]
pub mod json_schema;
pub mod money;
pub mod tokens;
pub mod topics;
pub mod usage;
