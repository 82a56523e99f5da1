//! generateContent requests, written from the common view.

mod contents;
mod encode;
mod generation;
mod result;

pub use encode::encode;
