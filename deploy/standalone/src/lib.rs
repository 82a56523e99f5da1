//! All of Tollgate in one process: gateway, accounting and cache service on one embedded event log.
//!
//! The services are the same libraries that run on their own at scale; this crate only completes their
//! configuration ([`section`]), starts them in order and stops them in the reverse one.

pub mod cli;
pub mod key;
pub mod section;
