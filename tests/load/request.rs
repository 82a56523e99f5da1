//! Requests that are written many times.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// One chat request, sent with different keys in turn.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server.
    pub addr: SocketAddr,
    /// Whether the answer is a stream, which is whole only when it ends with `[DONE]`.
    pub stream: bool,
    heads: Arc<Vec<Bytes>>,
    body: Bytes,
    next: Arc<AtomicUsize>,
}

impl Target {
    /// Requests of `body` to the chat completions of `addr`, with `keys` in turn.
    #[must_use]
    pub fn new(addr: SocketAddr, keys: &[String], body: Bytes, stream: bool) -> Self {
        let length = body.len();
        let head = |key: &String| {
            Bytes::from(format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {key}\r\n\
                 content-type: application/json\r\naccept: */*\r\ncontent-length: {length}\r\n\r\n"
            ))
        };
        Self { addr, stream, heads: Arc::new(keys.iter().map(head).collect()), body, next: Arc::default() }
    }

    /// Puts the next request into `buffer`.
    pub fn write(&self, buffer: &mut Vec<u8>) {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.heads.len().max(1);
        buffer.clear();
        if let Some(head) = self.heads.get(next) {
            buffer.extend_from_slice(head);
        }
        buffer.extend_from_slice(&self.body);
    }

    /// Requests written so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }
}
