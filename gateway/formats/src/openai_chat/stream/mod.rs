//! Streamed answers (`chat.completion.chunk`): into events, and from events into a client's stream.

mod calls;
mod decoder;
mod encoder;
mod prefix;

pub use decoder::Decoder;
pub use encoder::Encoder;

#[cfg(test)]
mod tests;
