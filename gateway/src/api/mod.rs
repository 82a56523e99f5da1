//! The client's side of HTTP: read the request, render the answer. No decisions are made here.

pub mod body;
pub mod count_tokens;
pub mod endpoint;
pub mod error_body;
pub mod family;
pub mod forwarded;
pub mod headers;
pub mod keep_alive;
pub mod model_calls;
pub mod models;
pub mod passthrough;
pub mod pump;
pub mod render;
pub mod responses;
