//! Chunks that wait for the client together.

use bytes::{Bytes, BytesMut};

/// Chunks that are ready at the same time go out together, up to this many bytes: a write to the client costs
/// more than everything else that is done for a chunk.
const GATHER_BYTES: usize = 16 << 10;

/// Chunks on their way to the client.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    first: Bytes,
    joined: BytesMut,
    /// The connection has had a turn since the last chunk came.
    waited: bool,
}

impl Gathered {
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.waited = false;
        if self.is_empty() {
            // A chunk that comes alone is not copied.
            self.first = chunk;
            return;
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        self.joined.extend_from_slice(&chunk);
    }

    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= GATHER_BYTES
    }

    /// Whether it is worth looking once more before this goes out; says yes once for each chunk.
    pub(super) fn wants_more(&mut self) -> bool {
        !self.is_empty() && !std::mem::replace(&mut self.waited, true)
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        let first = std::mem::take(&mut self.first);
        let bytes = if self.joined.is_empty() { first } else { self.joined.split().freeze() };
        (!bytes.is_empty()).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_that_wait_together_go_out_together() {
        let mut gathered = Gathered::default();
        let alone = Bytes::from_static(b"data: 1\n\n");
        gathered.push(alone.clone());
        assert!(gathered.wants_more() && !gathered.wants_more());
        assert_eq!(gathered.take().unwrap().as_ptr(), alone.as_ptr());
        for text in [&b"a"[..], b"b", b"c"] {
            gathered.push(Bytes::from_static(text));
        }
        assert_eq!(gathered.take().unwrap(), "abc");
        assert!(gathered.take().is_none());
    }
}
