//! All of Tollgate in one process: gateway, accounting and cache service on one event log.
//!
//! The services are the same libraries that run on their own at scale. This crate completes their
//! configuration ([`config`], [`section`]), starts them in order and stops them in the reverse one ([`host`]),
//! and makes gateway keys ([`key`]). [`engines`] says what is missing and how to install it.

pub mod cli;
pub mod config;
pub mod engines;
pub mod host;
pub mod key;
pub mod section;
