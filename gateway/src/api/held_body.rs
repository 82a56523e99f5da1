//! Bodies of answers as the server writes them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_core::Stream as _;
use tollgate_backends::AnswerBody;
use tollgate_codings::{Coding, Encoding};

use crate::request::guard::RequestGuard;
use crate::request::passthrough::relayed::{Length, Relayed};

/// Most bytes that the server takes over at a time. It copies them into its own buffer, and comes for more when the
/// client has read.
const PIECE_BYTES: usize = 64 << 10;

/// A whole body that holds what its request holds until all of it has been taken over for writing, so that the bound
/// on memory also bounds answers that nobody reads.
pub struct HeldBody {
    rest: Bytes,
    /// Compresses it as the server takes it over.
    encoding: Option<Encoding>,
    _guard: RequestGuard,
}

impl HeldBody {
    /// A body and what it holds; compressed where `coding` says how.
    #[must_use]
    pub fn new(body: Bytes, coding: Option<Coding>, guard: RequestGuard) -> Self {
        Self { rest: body, encoding: coding.map(Encoding::new), _guard: guard }
    }
}

impl MessageBody for HeldBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        match self.encoding {
            Some(_) => BodySize::Stream,
            None => BodySize::Sized(self.rest.len() as u64),
        }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let bytes = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(bytes);
        let Some(encoding) = &mut self.encoding else {
            return Poll::Ready((!piece.is_empty()).then_some(Ok(piece)));
        };
        if piece.is_empty() {
            let rest = encoding.end()?;
            self.encoding = None;
            return Poll::Ready((!rest.is_empty()).then_some(Ok(rest)));
        }
        let coded = encoding.push(&piece)?;
        if coded.is_empty() {
            // Others have their turn before the next piece.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(coded)))
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

    use actix_web::body::to_bytes;
    use futures_util::future::poll_fn;
    use tollgate_admission::{Admission, AdmissionRules, MemoryBudget};
    use tollgate_codings::Decoding;
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
        let mut body = HeldBody::new(vec![b'x'; 100 << 10].into(), None, guard);
        let holds = || (admission.running(), memory.used_bytes());
        let first = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await.unwrap().unwrap();
        assert_eq!((first.len(), holds()), (PIECE_BYTES, (1, 100 << 10)));
        let second = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await.unwrap().unwrap();
        assert_eq!((second.len(), holds()), (36 << 10, (1, 100 << 10)));
        assert!(poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await.is_none());
        drop(body);
        assert_eq!(holds(), (0, 0));
    }

    #[tokio::test]
    async fn a_compressed_answer_is_the_same_answer_and_holds_the_same() {
        let rules = AdmissionRules { max_running: 1, max_waiting: 0, max_wait: Duration::ZERO };
        let (admission, memory) = (Admission::new(rules), MemoryBudget::new(1 << 20));
        let text: Vec<u8> = (0..40_000_u32).flat_map(|n| format!("{n} ").into_bytes()).collect();
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let guard = RequestGuard {
                _permit: admission.try_enter().unwrap(),
                _span: Span::none(),
                held: memory.hold(&"s".into()),
                answer: None,
            };
            let body = HeldBody::new(text.clone().into(), Some(coding), guard);
            assert_eq!((body.size(), admission.running()), (BodySize::Stream, 1));
            let coded = to_bytes(body).await.unwrap();
            assert!(coded.len() < text.len() / 2, "{coding:?}: {}", coded.len());
            let mut decoding = Decoding::new(&[coding], 1 << 20);
            decoding.push(coded);
            let mut whole = Vec::new();
            while let Some(piece) = decoding.piece().unwrap() {
                whole.extend_from_slice(&piece);
            }
            assert!(whole == text, "{coding:?}");
            assert_eq!(admission.running(), 0);
        }
    }
}
