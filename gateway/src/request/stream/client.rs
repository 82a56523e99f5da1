//! A stream as its client gets it: comments in its silences, and read to its end without the client where the alias
//! asks for it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tollgate_backends::drains::Drains;

use super::drained::{Drainable, read_on};
use super::keep_alive::{COMMENT, KeepAlive};
use super::relay::Relay;

/// A stream on its way to its client.
pub struct ClientStream<S: Drainable = Relay> {
    /// There until this is dropped.
    stream: Option<S>,
    keep_alive: KeepAlive,
    drains: Option<Drains>,
}

impl<S: Drainable> ClientStream<S> {
    /// Comments come after each `silence`, unless it is zero. Without `drains` the stream is dropped when its client
    /// goes.
    #[must_use]
    pub fn new(stream: S, drains: Option<Drains>, silence: Duration) -> Self {
        Self { stream: Some(stream), keep_alive: KeepAlive::new(silence), drains }
    }

    /// The stream without comments.
    pub fn stream_mut(&mut self) -> Option<&mut S> {
        self.stream.as_mut()
    }
}

impl<S: Drainable> Stream for ClientStream<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, keep_alive, .. } = &mut *self;
        let Some(stream) = stream else { return Poll::Ready(None) };
        let next = Pin::new(stream).poll_next(cx);
        match &next {
            Poll::Ready(Some(Ok(chunk))) => keep_alive.sent(chunk),
            Poll::Ready(_) => {}
            Poll::Pending if keep_alive.is_due(cx) => {
                return Poll::Ready(Some(Ok(Bytes::from_static(COMMENT))));
            }
            Poll::Pending => {}
        }
        next
    }
}

impl<S: Drainable> Drop for ClientStream<S> {
    fn drop(&mut self) {
        let (Some(mut stream), Some(drains)) = (self.stream.take(), self.drains.take()) else { return };
        if !stream.is_settled() && !std::thread::panicking() {
            stream.client_gone();
            let max_bytes = drains.rules().max_bytes.0;
            drains.spawn(read_on(stream, max_bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::Future;
    use std::rc::Rc;

    use futures_util::stream::LocalBoxStream;
    use futures_util::{StreamExt, stream};
    use tokio::time::Instant;
    use tollgate_config::DrainConfig;
    use tollgate_settings::units::{Bytes as Size, Time};

    use super::*;

    const SILENCE: Duration = Duration::from_secs(15);

    /// What a client gets of chunks that each come so many seconds after the one before, and when.
    async fn received(chunks: &'static [(u64, &'static str)], silence: Duration) -> Vec<(u64, String)> {
        let start = Instant::now();
        let events = stream::iter(chunks)
            .then(|(wait, text)| async {
                tokio::time::sleep(Duration::from_secs(*wait)).await;
                Ok(Bytes::from_static(text.as_bytes()))
            })
            .boxed_local();
        let events = Chunks(events);
        ClientStream::new(events, None, silence)
            .map(|chunk| (start.elapsed().as_secs(), String::from_utf8(chunk.unwrap().to_vec()).unwrap()))
            .collect()
            .await
    }

    /// A stream that nobody reads on.
    struct Chunks(LocalBoxStream<'static, io::Result<Bytes>>);

    impl Stream for Chunks {
        type Item = io::Result<Bytes>;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            self.0.as_mut().poll_next(cx)
        }
    }

    impl Drainable for Chunks {
        fn client_gone(&mut self) {}
        fn is_settled(&self) -> bool {
            true
        }
    }

    fn times(received: &[(u64, String)]) -> Vec<(u64, bool)> {
        received.iter().map(|(at, text)| (*at, text == ": keep-alive\n")).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_gets_comments_also_before_its_first_event() {
        let got = received(&[(40, "data: a\n\n"), (20, "data: b\n\n")], SILENCE).await;
        assert_eq!(times(&got), [(15, true), (30, true), (40, false), (55, true), (60, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_stream_gets_none() {
        let got = received(&[(10, "data: a\n\n"), (10, "data: b\n\n"), (14, "data: c\n\n")], SILENCE).await;
        assert_eq!(times(&got), [(10, false), (20, false), (34, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_comment_is_put_into_an_event() {
        let got = received(&[(1, "data: half"), (50, " whole\r\n\r\n"), (16, "data: b\n\n")], SILENCE).await;
        assert_eq!(times(&got), [(1, false), (51, false), (66, true), (67, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_silence_means_no_comments() {
        let got = received(&[(400, "data: a\n\n")], Duration::ZERO).await;
        assert_eq!(times(&got), [(400, false)]);
    }

    /// What became of a stream.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Books {
        gone: bool,
        read: u64,
        settled: bool,
        dropped: bool,
    }

    /// One chunk of 10 bytes per second, settled after so many.
    struct Fake {
        books: Rc<RefCell<Books>>,
        chunks: u64,
        timer: tokio::time::Interval,
    }

    impl Fake {
        fn new(chunks: u64) -> (Self, Rc<RefCell<Books>>) {
            let books = Rc::<RefCell<Books>>::default();
            let timer = tokio::time::interval(Duration::from_secs(1));
            (Self { books: Rc::clone(&books), chunks, timer }, books)
        }
    }

    impl Stream for Fake {
        type Item = io::Result<Bytes>;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            std::task::ready!(self.timer.poll_tick(cx));
            let mut books = self.books.borrow_mut();
            books.read += 1;
            books.settled = books.read == self.chunks;
            Poll::Ready(Some(Ok(Bytes::from_static(b"0123456789"))))
        }
    }

    impl Drainable for Fake {
        fn client_gone(&mut self) {
            self.books.borrow_mut().gone = true;
        }
        fn is_settled(&self) -> bool {
            self.books.borrow().settled
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            self.books.borrow_mut().dropped = true;
        }
    }

    fn drains(max_concurrent: u32) -> Drains {
        let max = Time(Duration::from_secs(30));
        Drains::new(DrainConfig { max, max_bytes: Size(1_000), max_concurrent })
    }

    /// What becomes of a stream of so many chunks whose client goes after the first.
    async fn abandon(chunks: u64, drains: Option<Drains>) -> Books {
        let (fake, books) = Fake::new(chunks);
        let mut stream = ClientStream::new(fake, drains, Duration::ZERO);
        stream.next().await;
        drop(stream);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        books.take()
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        actix_rt::System::new().block_on(async {
            tokio::time::pause();
            test.await
        })
    }

    #[test]
    fn an_abandoned_stream_is_read_until_its_books_are_closed() {
        let books = run(abandon(20, Some(drains(1))));
        assert_eq!(books, Books { gone: true, read: 20, settled: true, dropped: true });
    }

    #[test]
    fn without_drains_it_is_dropped_at_once() {
        assert_eq!(run(abandon(20, None)), Books { gone: false, read: 1, settled: false, dropped: true });
    }

    #[test]
    fn time_and_bytes_are_bounded() {
        let books = run(abandon(50, Some(drains(1))));
        assert!(!books.settled && books.dropped && (30..=32).contains(&books.read), "{books:?}");
        let few_bytes = Drains::new(DrainConfig { max_bytes: Size(45), ..*drains(1).rules() });
        let books = run(abandon(20, Some(few_bytes)));
        assert_eq!((books.read, books.dropped), (6, true));
    }

    #[test]
    fn only_so_many_are_read_at_the_same_time() {
        run(async {
            let drains = drains(1);
            let slot = drains.slot().unwrap();
            assert_eq!(abandon(5, Some(drains.clone())).await.read, 1);
            drop(slot);
            assert_eq!(abandon(5, Some(drains.clone())).await.read, 5);
            assert!(drains.slot().is_some(), "a place is free again");
        });
    }

    #[test]
    fn a_finished_stream_is_not_read_again() {
        let (books, free) = run(async {
            let drains = drains(1);
            let books = abandon(1, Some(drains.clone())).await;
            (books, drains.slot().is_some())
        });
        assert!(free);
        assert_eq!(books, Books { gone: false, read: 1, settled: true, dropped: true });
    }
}
