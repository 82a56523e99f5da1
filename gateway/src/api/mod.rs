//! The client's side of HTTP: read the request, render the answer. No decisions are made here.

pub mod client_headers;
pub mod connection;
pub mod cors;
pub mod count_tokens;
pub mod family;
pub mod front_door;
pub mod gemini;
pub mod held_body;
mod listed;
pub mod model_calls;
pub mod models;
mod pages;
pub mod passthrough;
pub mod render;
pub mod responses;
