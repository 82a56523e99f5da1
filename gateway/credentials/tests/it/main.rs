//! Credentials against token endpoints that behave as the real ones do, on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod aws;
mod azure;
mod behaviour;
mod endpoint;
mod google;
mod oauth2;
mod secrecy;
