//! The configuration as requests use it, and the live state that outlives it.
//!
//! [`runtime`] holds what a new configuration must not reset, by name: circuits, limits, bounds with those who run
//! under them, tokens, connections, turns (what is kept and when it is replaced is in `kept`). [`mod@compile`] makes a
//! [`snapshot`] of a configuration against it: at the start, and whenever the configuration changes. `parts` is the
//! half of that which can fail, `restart` what cannot change while the process runs, [`resiliency`] the settings of
//! an alias that have state.
//!
//! Invariants:
//! * a configuration with a mistake changes nothing;
//! * a new snapshot resets no counter, drops no connection and cuts no stream; requests that run keep the one that
//!   they began with.

pub mod cache_endpoint;
pub mod compile;
mod kept;
mod parts;
pub mod resiliency;
mod restart;
pub mod runtime;
pub mod snapshot;

pub use compile::{check, compile};
pub use runtime::Runtime;
pub use snapshot::Snapshot;
