//! The body of an answer: whole, in drips, or as a stream of chunks, and what faults make of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use crate::sim::state::{State, UnderWay};

/// One step of sending an answer.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Send this, after that pause, as a write of its own.
    Send(Bytes, Duration),
    /// Send nothing any more, and do not end.
    Stall,
    /// Cut the connection.
    Reset,
}

/// The body of an answer.
#[derive(Debug)]
pub struct SimBody {
    steps: VecDeque<Step>,
    /// Bytes of all steps, where the end is known to be reached.
    length: Option<u64>,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether the last poll sent something that must reach the wire before the next.
    flush: bool,
    connection: Option<AbortHandle>,
    stamp: bool,
    report: Option<Report>,
    under_way: Option<UnderWay>,
}

/// Tells the counters how the answer ended, once.
#[derive(Debug)]
struct Report {
    state: Arc<State>,
    model: &'static str,
}

impl SimBody {
    /// A body known as a whole.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::new(VecDeque::from([Step::Send(bytes, Duration::ZERO)]), None).with_length()
    }

    /// A body of announced length that is sent step by step.
    pub(super) fn plain(steps: VecDeque<Step>, connection: AbortHandle) -> Self {
        Self::new(steps, Some(connection)).with_length()
    }

    /// A body whose end is not announced.
    pub(super) fn stream(steps: VecDeque<Step>, connection: AbortHandle) -> Self {
        Self::new(steps, Some(connection))
    }

    fn new(steps: VecDeque<Step>, connection: Option<AbortHandle>) -> Self {
        Self {
            steps,
            length: None,
            pause: None,
            flush: false,
            connection,
            stamp: false,
            report: None,
            under_way: None,
        }
    }

    fn with_length(mut self) -> Self {
        let sizes =
            self.steps.iter().map(|step| if let Step::Send(bytes, _) = step { bytes.len() } else { 0 });
        self.length = Some(sizes.sum::<usize>() as u64);
        self
    }

    /// Writes the time into every chunk when it is sent.
    pub(super) fn stamped(mut self, stamp: bool) -> Self {
        self.stamp = stamp;
        self
    }

    /// Counts the end of this answer.
    pub(super) fn reported(mut self, state: &Arc<State>, model: &'static str) -> Self {
        self.report = Some(Report { state: Arc::clone(state), model });
        self
    }

    /// Keeps the request under way until this answer has ended.
    pub(super) fn keep(&mut self, under_way: UnderWay) {
        self.under_way = Some(under_way);
    }

    fn finish(&mut self, completed: bool) {
        if let Some(report) = self.report.take() {
            report.state.end(report.model, completed);
        }
        self.under_way = None;
    }
}

impl Drop for SimBody {
    fn drop(&mut self) {
        // hyper drops a body with a content length without asking for its end.
        let completed = self.steps.is_empty();
        self.finish(completed);
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.flush) {
            // Not ready once: hyper writes out what it has before it asks again.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.steps.front() {
            None => {
                self.finish(true);
                return Poll::Ready(None);
            }
            Some(Step::Stall) => return Poll::Pending,
            Some(Step::Reset) => {
                self.finish(false);
                if let Some(connection) = &self.connection {
                    connection.abort();
                }
                return Poll::Pending;
            }
            Some(Step::Send(_, pause)) if !pause.is_zero() => {
                let until = Instant::now() + *pause;
                let sleep = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
            }
            Some(Step::Send(..)) => {}
        }
        let Some(Step::Send(bytes, _)) = self.steps.pop_front() else { return Poll::Ready(None) };
        self.flush = !self.steps.is_empty();
        let bytes = if self.stamp { stamp(&bytes) } else { bytes };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Placeholder of [`stamp`] in a chunk: as long as the time that replaces it.
pub(super) const STAMP: u64 = 9_999_999_999_999_999;

/// Replaces the placeholder by the time, µs since the Unix epoch.
fn stamp(chunk: &Bytes) -> Bytes {
    const MARK: &[u8] = b"9999999999999999";
    let Some(at) = memchr::memmem::find(chunk, MARK) else { return chunk.clone() };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut chunk = chunk.to_vec();
    chunk[at..at + MARK.len()].copy_from_slice(format!("{:016}", now.as_micros()).as_bytes());
    Bytes::from(chunk)
}
