//! The cache service as its users see it: events in, answers out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and says on its output why it was skipped"
)]

mod bad_config;
mod crash;
mod guarded_model;
mod isolation;
mod qdrant_down;
mod question_pairs;
mod service;
mod support;
