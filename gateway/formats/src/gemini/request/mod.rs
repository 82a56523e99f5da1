//! generateContent requests, written from the common view.

mod contents;
mod encode;
mod generation;
mod media;
mod result;

pub use encode::{PLACE, encode};
