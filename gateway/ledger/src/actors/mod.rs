//! The two actors behind the ledger, each on a thread of its own, and their owner.
//!
//! Both are thin shells: what they do is in [`super::spool`] and [`super::publish`], and neither holds
//! anything that is not in the spool too. actix does not restart an actor that panicked, so the owner looks
//! after both and starts a fresh one from durable state. Requests never wait for any of them.
//!
//! Modules in reading order: `spool_actor`, `publisher_actor`, `owner`.

mod owner;
mod publisher_actor;
mod spool_actor;
#[cfg(test)]
mod tests;

pub use self::owner::{ShutdownReport, UsageHandle, start};
