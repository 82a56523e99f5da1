//! Converse requests, written from the common view. ConverseStream takes the same body.

mod additional;
mod blocks;
mod encode;
mod media;
mod messages;
mod tools;

pub use encode::{PLACE, encode};
