//! Reads answers on whose client has gone, where the alias asks for it: the provider bills them to their end,
//! and its last chunk says how much that is.
//!
//! Each alias has [`Drains`]: bounds on time, bytes and number. What goes on after the client is a task of
//! the worker; when its bounds are reached it is dropped, and the attempt's books are closed like those of a
//! call that was broken off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use tollgate_backends::drains::Drains;

/// A stream that can be read on without its client.
pub trait Drainable: Stream<Item = io::Result<Bytes>> + Unpin + 'static {
    /// The client has gone; the ending that is recorded must say so.
    fn client_gone(&mut self);
    /// Whether the books are closed, so that nothing more is to be learnt.
    fn is_settled(&self) -> bool;
}

/// A stream that is read to its end when its client goes, where the alias asks for it.
#[derive(Debug)]
pub struct Drained<S: Drainable> {
    stream: Option<S>,
    drains: Option<Drains>,
}

impl<S: Drainable> Drained<S> {
    /// Without `drains` the stream is dropped when its client goes.
    #[must_use]
    pub fn new(stream: S, drains: Option<Drains>) -> Self {
        Self { stream: Some(stream), drains }
    }

    /// The stream; it is there until this is dropped.
    pub fn stream_mut(&mut self) -> Option<&mut S> {
        self.stream.as_mut()
    }
}

impl<S: Drainable> Stream for Drained<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_next(cx),
            None => Poll::Ready(None),
        }
    }
}

impl<S: Drainable> Drop for Drained<S> {
    fn drop(&mut self) {
        let (Some(mut stream), Some(drains)) = (self.stream.take(), self.drains.take()) else { return };
        if !stream.is_settled() && !std::thread::panicking() {
            stream.client_gone();
            drains.spawn(read_on(stream, drains.rules().max_bytes.0));
        }
    }
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::Future;
    use std::rc::Rc;
    use std::time::Duration;

    use tollgate_settings::units::{Bytes as Size, Time};

    use tollgate_config::DrainConfig;

    use super::*;

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
        let mut stream = Drained::new(fake, drains);
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
