//! A client's connection that is cut when its client is too slow.
//!
//! The HTTP server has a bound on the first head of a connection and on the silence between requests, and none on later
//! heads and on writing. Both are kept here, where every byte passes: the server looks for bytes, or tries to write,
//! whenever it is woken, and an error from here ends the connection with all that its request holds.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tollgate_admission::{Pace, PaceRules};

use crate::api::connection::Connection;

/// When a connection without a key looks for the first time whether it must hurry. Whoever means to ask has done so.
const FIRST_LOOK: Duration = Duration::from_millis(250);
/// How often it looks afterwards.
const LOOK: Duration = Duration::from_secs(1);

/// Bounds on a client.
#[derive(Debug, Clone, Copy)]
pub struct WatchRules {
    /// From the first byte of a head to its end.
    pub head: Duration,
    /// How fast answers are taken.
    pub writing: PaceRules,
}

/// A connection.
pub struct Watched<T> {
    io: T,
    connection: Rc<Connection>,
    rules: WatchRules,
    head: Option<HeadAlarm>,
    /// Rings for heads. Set again only when it has rung: setting it for every request would cost more than all else here.
    alarm: Option<Pin<Box<Sleep>>>,
    pace: Pace,
    blocked: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// When the head after so many is late, and when it is looked at first.
struct HeadAlarm {
    heads: u64,
    due: Instant,
    look: Instant,
}

impl<T> Watched<T> {
    /// Watches a connection from its first byte.
    #[must_use]
    pub fn new(io: T, connection: Rc<Connection>, rules: WatchRules) -> Self {
        Self { io, connection, rules, head: None, alarm: None, pace: Pace::new(rules.writing), blocked: None }
    }

    /// What the requests on it share.
    #[must_use]
    pub fn connection(&self) -> Rc<Connection> {
        Rc::clone(&self.connection)
    }

    /// Notes bytes of a head. The first head is late from the opening on, a later one from its first byte.
    fn head_came(&mut self, came: bool) {
        let heads = self.connection.heads();
        if !self.connection.awaits_head() || self.head.as_ref().is_some_and(|alarm| alarm.heads != heads) {
            self.head = None;
        }
        if self.head.is_none() && self.connection.awaits_head() && (came || heads == 0) {
            let now = Instant::now();
            // The server answers a late first head with 408, and comes before this does.
            let (due, look) = match heads {
                0 => (now + self.rules.head + LOOK, FIRST_LOOK),
                _ => (now + self.rules.head, self.rules.head),
            };
            self.head = Some(HeadAlarm { heads, due, look: now + look });
        }
    }

    fn head_is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(head) = &mut self.head else { return false };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(head.look)));
        // One that is set for an earlier head rings no later than this one needs, but for the first look at a stranger.
        if alarm.deadline() > head.look {
            alarm.as_mut().reset(head.look);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if head.look > now {
                alarm.as_mut().reset(head.look);
                continue;
            }
            if head.due <= now || self.connection.must_hurry() {
                return true;
            }
            head.look = head.due.min(now + LOOK);
            alarm.as_mut().reset(head.look);
        }
        false
    }

    /// Judges an attempt to write.
    fn wrote(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => {
                let waited = self.blocked.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
                self.pace.moved(waited, *bytes as u64);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let left = self.pace.left();
                let (_, alarm) = self.blocked.get_or_insert_with(|| {
                    let now = Instant::now();
                    (now, Box::pin(sleep_until(now + left)))
                });
                if alarm.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(late("the client takes its answer too slowly")));
                }
            }
        }
        written
    }
}

fn late(what: &'static str) -> io::Error {
    tracing::debug!(what, "connection cut");
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        this.head_came(buf.filled().len() > before);
        if read.is_pending() && this.head_is_late(cx) {
            return Poll::Ready(Err(late("the head of a request is late")));
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.wrote(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "watched_tests.rs"]
mod tests;
