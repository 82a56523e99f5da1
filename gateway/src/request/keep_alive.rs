//! Comments that keep a silent stream open: proxies and load balancers close connections on which nothing
//! moves, also before the first byte of an answer.
//!
//! A comment (a line that begins with a colon, WHATWG HTML §9.2.6) is ignored by every client of event streams.
//! It is sent between whole events only. Chunks cost a look at the clock; the timer is set again when it has
//! run down, not for each of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

const COMMENT: &[u8] = b": keep-alive\n\n";

/// A stream of events with comments in its silences.
pub struct KeepAlive<S> {
    events: S,
    /// Longest silence; none for no comments.
    silence: Option<Duration>,
    last_sent: Instant,
    /// Set when there is something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
    between_events: bool,
}

impl<S> KeepAlive<S> {
    /// Sends a comment whenever `silence` has passed without anything being sent; none at all when it is zero.
    #[must_use]
    pub fn new(events: S, silence: Duration) -> Self {
        Self {
            events,
            silence: (!silence.is_zero()).then_some(silence),
            last_sent: Instant::now(),
            timer: None,
            between_events: true,
        }
    }

    /// The stream without comments.
    pub fn events_mut(&mut self) -> &mut S {
        &mut self.events
    }

    /// Whether it has been silent for too long; else the task is woken when it will have been.
    fn is_due(&mut self, silence: Duration, cx: &mut Context<'_>) -> bool {
        let due = self.last_sent + silence;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if due > now {
                timer.as_mut().reset(due);
                continue;
            }
            // In the middle of an event it is looked at again one silence later.
            self.last_sent = now;
            timer.as_mut().reset(now + silence);
            if self.between_events {
                return true;
            }
        }
        false
    }
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Stream for KeepAlive<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = Pin::new(&mut this.events).poll_next(cx);
        let Some(silence) = this.silence else { return next };
        match &next {
            Poll::Ready(Some(Ok(chunk))) => {
                this.last_sent = Instant::now();
                this.between_events = ends_event(chunk);
                next
            }
            Poll::Ready(_) => next,
            Poll::Pending if this.is_due(silence, cx) => Poll::Ready(Some(Ok(Bytes::from_static(COMMENT)))),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Whether a chunk ends with a blank line.
fn ends_event(chunk: &[u8]) -> bool {
    [&b"\n\n"[..], b"\r\r", b"\r\n\r\n"].iter().any(|end| chunk.ends_with(end))
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

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
        KeepAlive::new(events, silence)
            .map(|chunk| (start.elapsed().as_secs(), String::from_utf8(chunk.unwrap().to_vec()).unwrap()))
            .collect()
            .await
    }

    fn times(received: &[(u64, String)]) -> Vec<(u64, bool)> {
        received.iter().map(|(at, text)| (*at, text == ": keep-alive\n\n")).collect()
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
}
