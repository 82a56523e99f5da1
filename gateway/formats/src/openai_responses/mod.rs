//! OpenAI Responses: for clients that speak it, and read along where a backend speaks it too.
//!
//! Answers that a backend of another format gives are never stored: what a client can continue or fetch later
//! exists only where a provider keeps it.

pub mod answer;
pub mod ids;
mod input;
mod items;
pub mod request;
pub mod stream;
mod stream_decoder;
mod usage;
pub mod view;
pub mod work;
