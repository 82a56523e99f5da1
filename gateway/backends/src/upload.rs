//! Bodies of requests on their way to a backend: whole, or streamed as they come from the client.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

/// Chunks that wait for the backend; further ones stay with the client.
const WAITING_CHUNKS: usize = 4;

/// A request's body.
pub enum OutBody {
    /// All of it is in memory.
    Whole(Full<Bytes>),
    /// It is still coming from the client.
    Stream(Upload),
}

/// A body that is still coming.
pub struct Upload {
    /// `None` is the end of the body.
    chunks: Receiver<Option<Bytes>>,
    progress: Arc<Progress>,
    ended: bool,
}

/// How far a streamed body has come.
#[derive(Debug)]
pub struct Progress {
    begun: Instant,
    bytes: AtomicU64,
    /// When the backend last took a part of it, ms after `begun`.
    moved_ms: AtomicU64,
}

/// Takes the chunks of a body, in order. If it is dropped before [`UploadSender::end`], the call is broken off: a body
/// that was cut must not look whole.
pub struct UploadSender(Sender<Option<Bytes>>);

/// The call is over; the rest of the body is not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call is over")]
pub struct NotWanted;

impl UploadSender {
    /// Puts the next chunk, when there is room.
    ///
    /// # Errors
    /// When the call is over.
    pub async fn send(&self, chunk: Bytes) -> Result<(), NotWanted> {
        self.0.send(Some(chunk)).await.map_err(|_| NotWanted)
    }

    /// Says that the body is complete.
    pub async fn end(self) {
        let _ = self.0.send(None).await;
    }
}

impl Upload {
    /// A body, and the sender of its chunks.
    #[must_use]
    pub fn new() -> (UploadSender, Self) {
        let (sender, chunks) = channel(WAITING_CHUNKS);
        let progress =
            Progress { begun: Instant::now(), bytes: AtomicU64::new(0), moved_ms: AtomicU64::new(0) };
        (UploadSender(sender), Self { chunks, progress: Arc::new(progress), ended: false })
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }
}

impl Progress {
    /// Bytes that the backend has taken.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Time since the backend last took a part of it, or the end of it.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(moved)
    }

    fn moved(&self, bytes: usize) {
        let at = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.moved_ms.store(at, Ordering::Relaxed);
    }
}

impl From<Bytes> for OutBody {
    fn from(body: Bytes) -> Self {
        Self::Whole(Full::new(body))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Some(chunk) = ready!(self.chunks.poll_recv(cx)) else {
            self.ended = true;
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        };
        self.progress.moved(chunk.as_ref().map_or(0, Bytes::len));
        self.ended = chunk.is_none();
        Poll::Ready(chunk.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn chunks_arrive_in_order_and_are_counted_as_they_are_taken() {
        let (sender, mut body) = Upload::new();
        let progress = body.progress();
        sender.send(Bytes::from_static(b"ab")).await.unwrap();
        sender.send(Bytes::from_static(b"c")).await.unwrap();
        sender.end().await;
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!((progress.bytes(), progress.silence().as_secs()), (0, 5));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert_eq!((progress.bytes(), progress.silence().as_secs()), (2, 0));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "c");
        assert_eq!(progress.bytes(), 3);
    }

    #[tokio::test]
    async fn no_more_than_a_few_chunks_wait_for_a_slow_backend() {
        let (sender, _body) = Upload::new();
        for _ in 0..WAITING_CHUNKS {
            sender.0.try_send(Some(Bytes::new())).unwrap();
        }
        assert!(sender.0.try_send(Some(Bytes::new())).is_err());
    }

    #[tokio::test]
    async fn what_breaks_off_is_an_error_and_no_end() {
        let (sender, body) = Upload::new();
        sender.send(Bytes::from_static(b"half")).await.unwrap();
        drop(sender);
        assert!(body.collect().await.is_err());
        let (sender, body) = Upload::new();
        drop(body);
        assert_eq!(sender.send(Bytes::new()).await, Err(NotWanted));
    }
}
