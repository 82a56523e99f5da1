//! OpenAI Responses, for clients and for backends (API reference, "Responses").
//!
//! Answers that a backend of another format gives are never stored: what a client can continue or fetch later
//! exists only where a provider keeps it.

pub mod answer;
mod body;
mod custom;
mod encode;
pub mod ids;
mod input;
mod items;
mod logprobs;
mod output;
mod own_thoughts;
pub mod request;
pub mod stream;
mod stream_decoder;
mod tools;
mod usage;
pub mod view;
pub mod work;

pub use own_thoughts::own_thoughts;
