//! Client dialects: read the request, render the answer. No decisions are made here.

pub mod body;
pub mod chat_completions;
pub mod headers;
pub mod keep_alive;
pub mod models;
pub mod render;
