//! Starts and stops what the tests look at, and talks to it.
//!
//! Everything listens on free loopback ports and keeps its files in a folder of its own. A process that a test
//! started dies with the test, even when the test is killed: see [`watchdog`].

pub mod accounting;
pub mod cache;
pub mod gateway;
pub mod http;
pub mod install;
pub mod kafka;
pub mod keys;
pub mod leaks;
pub mod log;
pub mod ports;
pub mod process;
pub mod service;
pub mod sim_process;
pub mod sse;
pub mod tally;
pub mod topic;
pub mod upstream;
pub mod wait;
pub mod watchdog;
