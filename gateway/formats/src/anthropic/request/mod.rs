//! Messages requests: read into the common view, written from it.

mod blocks;
mod body;
mod decode;
mod encode;
mod older_models;
mod own_thoughts;
mod parts;
mod place;
mod turns;

pub use decode::decode;
pub use encode::{PLACE, encode};
pub use older_models::known_to_model;
pub use own_thoughts::own_thoughts;

#[cfg(test)]
mod decode_tests;
#[cfg(test)]
mod tests;
