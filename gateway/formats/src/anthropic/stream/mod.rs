//! Streamed answers: `message_start`, content blocks with their deltas, `message_delta`, `message_stop`.

mod decoder;
mod encoder;
mod events;

pub use decoder::Decoder;
pub use encoder::Encoder;

#[cfg(test)]
mod tests;
