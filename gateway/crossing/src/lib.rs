//! Which API formats meet in an exchange, and what crosses between them.
//!
//! [`client`] is what the caller speaks, [`wire`] what a backend is spoken to in, [`crossing`] the way between
//! them, [`told`] that of errors and [`turned`] that of answers in another way than they were asked for, [`known`] what is read along where nothing crosses, [`path`] how paths are spelled there. The formats
//! themselves are in the crate `tollgate-formats`. Where both sides speak the same format the bytes pass as they are.

pub mod client;
mod conversations;
pub mod crossing;
pub mod embeddings;
mod incoming;
mod kept;
pub mod known;
pub mod path;
pub mod prompt;
pub mod told;
pub mod turned;
mod way_back;
pub mod wire;

pub use client::ClientFormat;
pub use conversations::Conversations;
pub use crossing::Crossing;
pub use incoming::Incoming;
pub use way_back::WayBack;
pub use wire::{Decoder, Endpoints, Wire};
