//! Bodies of answers as the server writes them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_core::Stream as _;
use tollgate_backends::AnswerBody;

use crate::request::guard::RequestGuard;
use crate::request::passthrough::relayed::{Length, Relayed};

/// Most bytes that the server takes over at a time. It copies them into its own buffer, and comes for more when the
/// client has read.
const PIECE_BYTES: usize = 64 << 10;

/// A whole body that holds what its request holds until all of it has been taken over for writing, so that the bound
/// on memory also bounds answers that nobody reads.
pub struct HeldBody {
    rest: Bytes,
    _guard: RequestGuard,
}

impl HeldBody {
    /// A body and what it holds.
    #[must_use]
    pub fn new(body: Bytes, guard: RequestGuard) -> Self {
        Self { rest: body, _guard: guard }
    }
}

impl MessageBody for HeldBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(self.rest.split_to(piece))))
    }
}

/// A body that is relayed as it comes.
pub struct RelayedBody(pub Relayed<AnswerBody>);

impl MessageBody for RelayedBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        match self.0.length() {
            Length::None => BodySize::None,
            Length::Known(bytes) => BodySize::Sized(bytes),
            Length::Unknown => BodySize::Stream,
        }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}
