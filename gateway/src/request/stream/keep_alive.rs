//! Comments that keep a silent stream open: proxies and load balancers close connections on which nothing
//! moves, also before the first byte of an answer.
//!
//! A comment (a line that begins with a colon, WHATWG HTML §9.2.6) is ignored by every client of event streams.
//! It is sent between whole events only. Chunks cost a look at the clock; the timer is set again when it has
//! run down, not for each of them.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// What is sent in a silence. Without a blank line: some clients take one for the end of an event that has no data.
pub const COMMENT: &[u8] = b": keep-alive\n";

/// Knows when a stream has been silent for too long.
pub struct KeepAlive {
    /// Longest silence; `None` for no comments.
    silence: Option<Duration>,
    last_sent: Instant,
    /// Set when there is something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
    between_events: bool,
}

impl KeepAlive {
    /// A comment is due whenever `silence` has passed without anything being sent; never when it is zero.
    #[must_use]
    pub fn new(silence: Duration) -> Self {
        Self {
            silence: (!silence.is_zero()).then_some(silence),
            last_sent: Instant::now(),
            timer: None,
            between_events: true,
        }
    }

    /// Notes what was sent.
    pub fn sent(&mut self, chunk: &[u8]) {
        if self.silence.is_some() {
            self.last_sent = Instant::now();
            self.between_events = ends_event(chunk);
        }
    }

    /// Whether a comment is due; else the task is woken when it will be.
    pub fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(silence) = self.silence else { return false };
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

/// Whether a chunk ends with a blank line.
fn ends_event(chunk: &[u8]) -> bool {
    [&b"\n\n"[..], b"\r\r", b"\r\n\r\n"].iter().any(|end| chunk.ends_with(end))
}
