//! Requests: from the client's body into the common view, and from the view into a body for a backend.

mod body;
mod decode;
mod encode;
mod message;
mod own_thoughts;
mod turns;

pub use decode::decode;
pub use encode::{PLACE, encode};
pub(super) use encode::{TIERS, write_call};
pub use own_thoughts::own_thoughts;

#[cfg(test)]
mod tests;
