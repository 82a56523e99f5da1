//! The Tollgate gateway: one endpoint for all models of a company.
//!
//! Modules in the order in which a request meets them: [`server`] listens, [`routes`] finds the handler,
//! [`api`] reads and renders the client's API format, [`request`] is the spine (pipeline, failover, attempt,
//! relay), [`access`] says who is calling, [`policies`] are what operators switch on, [`limits`] holds the
//! token buckets, [`routing`] orders the candidates, [`expressions`] are what operators ask of a request,
//! [`backends`] owns health and calls, [`formats`] reads what backends say,
//! [`usage`] writes everything down and publishes it.

pub mod admin;
pub mod api;
pub mod error;
pub mod gateway;
pub mod headers;
pub mod policies;
pub mod probes;
pub mod replicas;
pub mod request;
pub mod routes;
pub mod server;
pub mod telemetry;

pub use server::{Handle, StartError, start};
pub use tollgate_config::Config;
pub use tollgate_runtime::check;
