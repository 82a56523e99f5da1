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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::poll_fn;
    use tollgate_admission::{Admission, AdmissionRules, MemoryBudget};
    use tracing::Span;

    use super::*;

    #[tokio::test]
    async fn a_whole_answer_keeps_its_place_and_its_memory_until_the_server_has_taken_all_of_it() {
        let rules = AdmissionRules { max_running: 1, max_waiting: 0, max_wait: Duration::ZERO };
        let (admission, memory) = (Admission::new(rules), MemoryBudget::new(1 << 20));
        let mut answer = memory.hold(&"s".into());
        assert!(answer.grow(100 << 10));
        let guard = RequestGuard {
            _permit: admission.try_enter().unwrap(),
            _span: Span::none(),
            held: memory.hold(&"s".into()),
            answer: Some(answer),
        };
        let mut body = HeldBody::new(vec![b'x'; 100 << 10].into(), guard);
        let holds = || (admission.running(), memory.used_bytes());
        let first = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await.unwrap().unwrap();
        assert_eq!((first.len(), holds()), (PIECE_BYTES, (1, 100 << 10)));
        let second = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await.unwrap().unwrap();
        assert_eq!((second.len(), holds()), (36 << 10, (1, 100 << 10)));
        assert!(poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await.is_none());
        drop(body);
        assert_eq!(holds(), (0, 0));
    }
}
