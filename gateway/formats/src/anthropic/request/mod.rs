//! Messages requests: read into the common view, written from it.

mod blocks;
mod body;
mod decode;
mod encode;
mod parts;
mod place;
mod turns;

pub use decode::decode;
pub use encode::{PLACE, encode};

#[cfg(test)]
mod tests;
