//! A streamed answer on its way to its client, and what ends it.
//!
//! [`relay`] pulls the backend's bytes within their deadlines, sends them through the [`stages`] (decode, filters,
//! encode; the [`meter`] reads along) and closes the books; chunks that are ready together are [`gathered`].
//! [`client`] is what the server writes: comments in silences ([`keep_alive`]), and reading on without a client
//! ([`drained`]).

mod client;
pub mod drained;
mod gathered;
mod keep_alive;
pub mod meter;
pub mod relay;
pub mod stages;

pub use client::ClientStream;
