//! The Tollgate gateway: one endpoint for all models of a company.
//!
//! Rooms in the order in which a request meets them: `server` listens, `routes` finds the handler, `api` is the
//! client's side of HTTP with the one front door, `request` is the spine, `policies` are what operators switch on,
//! `stored` binds answers that providers keep, `books` write down what became of each call, `headers` says which
//! headers pass, `pending` keeps answers whose models go on after them, `background` settles those. The crates beside
//! this one do the rest: `identity`, `limits`, `admission`, `backends`, `crossing` and `formats`, `ledger`, over the live
//! state of `runtime`.

#![expect(
    unreachable_pub,
    reason = "rooms are private to the crate; `pub` is what a room shows the other rooms"
)]

mod admin;
mod api;
mod background;
mod books;
mod cache_port;
mod error;
mod gateway;
mod headers;
mod pending;
mod policies;
mod probes;
mod replicas;
mod request;
mod routes;
mod server;
mod stored;
mod telemetry;

pub use server::{Handle, StartError, start};
pub use telemetry::tracing::{Guard as TelemetryGuard, TelemetryOptions, init as init_telemetry};
pub use tollgate_config::Config;
pub use tollgate_runtime::check;
