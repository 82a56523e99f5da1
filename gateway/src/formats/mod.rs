//! API formats of backends: pure translation and extraction, no I/O.

pub mod openai;
pub mod sse;
