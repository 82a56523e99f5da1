//! Accounting against the real engine, one test at a time: the engine allows one folder per process.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's helpers fail the test"
)]

mod support;
// The events of the unit tests.
#[path = "../../src/testing.rs"]
#[expect(dead_code, reason = "positions are for the unit tests")]
mod testing;

mod bad_config;
mod commands;
mod loopback;
mod reports;
mod rollup;
mod rows;
mod service;
