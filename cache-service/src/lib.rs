//! The semantic cache: keeps finished answers and finds them again, by exact match and by meaning.
//!
//! ```text
//! llm.cache.v1 ──▶ store ──▶ embed ──▶ index ◀── embed ◀── lookup ◀── api ◀── gateway
//!                               guard ──┘  └── guard
//! ```
//!
//! Invariants, in the order of their importance:
//! * an answer never crosses tenant, scope, alias or context: all four are compared as whole values;
//! * an answer found by meaning has the similarity that was asked for *and* the same particulars
//!   (see [`guard`]);
//! * the cache is never in the way: what is slow, broken or unreachable is a miss with a reason.
//!
//! Modules in reading order: [`config`], [`server`], `api`, `lookup`, [`guard`], [`embed`], [`index`]; `store` fills
//! the index from the topic, `expiry` empties it again.

mod api;
pub mod clock;
pub mod config;
pub mod embed;
pub mod error;
mod expiry;
pub mod guard;
pub mod index;
mod invalidations;
mod lookup;
mod metrics;
#[cfg(feature = "qdrant-loopback")]
pub mod qdrant_loopback;
pub mod server;
mod store;
#[cfg(test)]
mod testing;

pub use config::Config;
pub use error::Error;
pub use lookup::Cache;
pub use server::{Handle, start};
