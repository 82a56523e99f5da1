//! Messages requests: read into the common view, written from it.

mod blocks;
mod body;
mod decode;
mod encode;
mod parts;
pub(crate) mod thinking;
mod turns;

pub use decode::decode;
pub use encode::{DEFAULT_MAX_TOKENS, Options, encode, encode_with};
pub use thinking::ThinkingStyle;

#[cfg(test)]
mod tests;
