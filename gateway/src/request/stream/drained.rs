//! Reads answers on whose client has gone, where the alias asks for it: the provider bills them to their end,
//! and its last chunk says how much that is.
//!
//! Each alias has `Drains`: bounds on time, bytes and number. What goes on after the client is a task of
//! the worker; when its bounds are reached it is dropped, and the attempt's books are closed like those of a
//! call that was broken off.

use std::io;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;

/// A stream that can be read on without its client.
pub trait Drainable: Stream<Item = io::Result<Bytes>> + Unpin + 'static {
    /// The client has gone; the ending that is recorded must say so.
    fn client_gone(&mut self);
    /// Whether the books are closed, so that nothing more is to be learnt.
    fn is_settled(&self) -> bool;
}

/// Reads a stream until its books are closed, it ends, or `max_bytes` have come.
pub async fn read_on(mut stream: impl Drainable, max_bytes: u64) {
    let mut read = 0;
    while !stream.is_settled() {
        let Some(Ok(chunk)) = stream.next().await else { return };
        read += chunk.len() as u64;
        if read > max_bytes {
            return;
        }
    }
}
