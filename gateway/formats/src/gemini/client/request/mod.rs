//! generateContent requests, read into the common view.

mod body;
mod config;
mod conversation;
mod decode;
mod others;
mod result;
mod tools;

pub use decode::decode;
