//! Accounting: usage events in, priced rows and chargeback reports out.
//!
//! [`consumer`] reads the usage topic, [`decode`] understands it, [`row`] prices it by the [`price_book`],
//! [`batch`] collects rows, and the [`store`] keeps them in ClickHouse, on a server or inside this process.
//! [`rollup`] rebuilds hourly sums, [`reconcile`] proves that nothing is missing, [`reports`] answers
//! finance, [`api`](service) serves it all; [`service::start`] runs it.
//!
//! What holds everywhere: an event counts once in every report, however often it was delivered; money is
//! never a float; prices are applied here and nowhere else; nothing is skipped in silence.

pub mod batch;
pub mod cli;
pub mod commands;
pub mod config;
pub mod consumer;
pub mod dead_letter;
pub mod decode;
pub mod error;
pub mod price_book;
pub mod reconcile;
pub mod reports;
pub mod rollup;
pub mod row;
pub mod service;
pub mod store;
pub mod telemetry;

mod api;
mod client;
mod dead_letter_topic;
mod server_thread;
#[cfg(test)]
mod testing;

/// The embedded engine behind ClickHouse's HTTP protocol, on loopback: for tests and for SQL tools.
pub use store::http_shim as clickhouse_loopback;

pub use config::Config;
pub use error::Error;
pub use service::{Handle, start};
