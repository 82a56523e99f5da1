//! Accounting: usage events in, priced rows and chargeback reports out.
//!
//! `consumer` reads the usage topic, `decode` understands it, [`row`] prices it by the [`price_book`],
//! [`batch`] collects rows, and the [`store`] keeps them in ClickHouse, on a server or inside this process.
//! [`rollup`] rebuilds hourly sums, [`reconcile`] finds out what is missing, [`reports`] answers finance, `api`
//! serves it all; [`service::start`] runs it, [`commands`] ask it.
//!
//! What holds everywhere: an event counts once in every report, however often it was delivered; money is
//! never a float; prices are applied here and nowhere else; nothing is skipped in silence.

pub mod batch;
pub mod cli;
pub mod commands;
pub mod config;
pub mod loopback;
pub mod price_book;
pub mod reconcile;
pub mod reports;
pub mod rollup;
pub mod row;
pub mod service;
pub mod store;

mod api;
mod client;
mod consumer;
mod dead_letter;
mod dead_letter_topic;
mod decode;
mod error;
mod jobs;
mod ledger;
mod server_thread;
mod telemetry;
#[cfg(test)]
mod testing;

pub use config::Config;
pub use error::Error;
pub use service::{Handle, start};
