//! An answer on its way from a backend to a client, bytes as they come. The attempt's books are closed before the
//! last of them goes out, and in every other case when this is dropped. An answer that its backend broke off, or
//! that took too long, ends with the connection: no byte is put into it.

use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame};
use tokio::time::Sleep;
use tollgate_backends::backend::Backend;
use tollgate_backends::{AttemptClass, FailureKind, outcome, retry_after};
use tollgate_base::time::now_ms;

use super::observer::Observer;
use super::pump::Pump;
use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use crate::books::measure::Produced;
use crate::books::traffic::Traffic;
use crate::request::guard::RequestGuard;

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// There is none.
    None,
    /// So many bytes.
    Known(u64),
    /// Nobody says.
    Unknown,
}

/// An answer that is relayed.
pub struct Relayed<B> {
    upstream: B,
    size: Length,
    attempt: Attempt,
    observer: Observer,
    head: HeadClass,
    traffic: Option<Arc<Traffic>>,
    idle_timeout: Duration,
    last_bytes: Instant,
    cut_at: Instant,
    alarm: Pin<Box<Sleep>>,
    settled: bool,
    ended: bool,
    /// The request's body may still be coming.
    upload: Option<Pump>,
    _guard: RequestGuard,
}

/// What the head of an answer says about the attempt.
#[derive(Debug, Clone, Copy)]
struct HeadClass {
    status: StatusCode,
    /// Whether it sends a known operation elsewhere: no model has read its prompt.
    redirects: bool,
    class: AttemptClass,
    retry_after: Option<Duration>,
}

/// What an answer is relayed with.
pub struct RelayedParts {
    pub attempt: Attempt,
    /// Reads it along.
    pub observer: Observer,
    /// Whether the operation is one whose answer says what was used.
    pub is_known: bool,
    /// Counts its bytes, where they count.
    pub traffic: Option<Arc<Traffic>>,
    /// The request's body, where it may still be coming.
    pub upload: Option<Pump>,
    /// What the request holds.
    pub guard: RequestGuard,
    /// When the call has taken too long.
    pub cut_at: Instant,
}

impl HeadClass {
    /// Of an answer's head. The caller chose the path, so that 401 and 403 say nothing about the backend.
    #[must_use]
    pub fn of(head: &http::response::Parts, is_known: bool) -> Self {
        let status = head.status.as_u16();
        let redirects = is_known && head.status.is_redirection();
        let class = match status {
            401 | 403 => AttemptClass::Neutral,
            failed if outcome::is_failure(failed) => AttemptClass::Failure(FailureKind::Status(failed)),
            400.. => AttemptClass::Neutral,
            _ => AttemptClass::Success,
        };
        Self {
            status: head.status,
            redirects,
            class,
            retry_after: retry_after::from_headers(&head.headers, now_ms()),
        }
    }

    /// The ending of an attempt whose answer came to its end.
    fn ending(self, observer: &Observer) -> Ending<'_> {
        let status = self.status.as_u16();
        let produced = self.produced(observer);
        if observer.has_failed() {
            return Ending::failed(FailureKind::Stream, status, "backend_stream_error", produced);
        }
        let ending = match self.class {
            _ if status < 400 => Ending::ok(status, produced),
            AttemptClass::Failure(kind) => Ending::failed(kind, status, "backend_error", Produced::default()),
            class => Ending::backend_refused(status, class, Produced::default()),
        };
        Ending { class: self.class, retry_after: self.retry_after, ..ending }
    }

    fn produced(self, observer: &Observer) -> Produced<'_> {
        if self.redirects { Produced::default() } else { observer.produced() }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Relayed<B>
where
    B::Error: fmt::Display,
{
    /// Begins to relay an answer with this head.
    #[must_use]
    pub fn new(head: &http::response::Parts, upstream: B, backend: &Backend, relayed: RelayedParts) -> Self {
        let RelayedParts { mut attempt, observer, is_known, traffic, upload, guard, cut_at } = relayed;
        if observer.is_stream() {
            attempt.set_stream();
        }
        let now = Instant::now();
        let first = (now + backend.idle_timeout).min(cut_at);
        let mut passed = Self {
            size: size_of(head, upstream.is_end_stream()),
            head: HeadClass::of(head, is_known),
            upstream,
            attempt,
            observer,
            traffic,
            idle_timeout: backend.idle_timeout,
            last_bytes: now,
            cut_at,
            alarm: Box::pin(tokio::time::sleep_until(first.into())),
            settled: false,
            ended: false,
            upload,
            _guard: guard,
        };
        if passed.upstream.is_end_stream() {
            // Nobody asks for the body of such an answer.
            passed.settle();
        }
        passed
    }

    /// How long its body is.
    #[must_use]
    pub fn length(&self) -> Length {
        self.size
    }

    /// The answer is complete: its event is in the spool before the client can know.
    fn settle(&mut self) {
        if !std::mem::replace(&mut self.settled, true) {
            self.observer.end();
            self.close();
        }
    }

    /// The model has said its last word, although more bytes may come.
    fn settle_early(&mut self) {
        if !std::mem::replace(&mut self.settled, true) {
            self.close();
        }
    }

    fn close(&mut self) {
        self.name_model();
        self.attempt.end(self.head.ending(&self.observer));
    }

    /// The answer will not be complete.
    fn fail(&mut self, kind: FailureKind, code: &'static str) -> io::Error {
        self.ended = true;
        if !std::mem::replace(&mut self.settled, true) {
            self.name_model();
            let (status, produced) = (self.head.status.as_u16(), self.head.produced(&self.observer));
            // A client that broke off its own request is no failure of the backend's.
            let by_client = self.upload.as_ref().and_then(Pump::failure);
            self.attempt.end(match by_client {
                Some(error) => Ending::upload_broke_off(status, error.class().code, produced),
                None => Ending::failed(kind, status, code, produced),
            });
        }
        io::Error::other(code)
    }

    fn on_frame(&mut self, frame: Option<Result<Frame<Bytes>, B::Error>>) -> Option<io::Result<Bytes>> {
        match frame {
            None => {
                self.settle();
                self.ended = true;
                None
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "an answer that passes broke off");
                Some(Err(self.fail(FailureKind::Stream, "backend_broken_answer")))
            }
            Some(Ok(frame)) => {
                // Trailers belong to the backend's connection.
                let data = frame.into_data().unwrap_or_default();
                if !data.is_empty() {
                    self.on_data(&data);
                }
                Some(Ok(data))
            }
        }
    }

    fn on_data(&mut self, data: &Bytes) {
        self.last_bytes = Instant::now();
        self.attempt.mark_first_byte();
        if let Some(traffic) = &self.traffic {
            traffic.answered(data.len());
        }
        if !self.settled {
            self.observer.read(data);
            if self.head.class == AttemptClass::Success && self.observer.answers() {
                self.attempt.mark_answers();
            }
        }
        if self.upstream.is_end_stream() {
            self.settle();
        } else if self.observer.is_done() {
            self.settle_early();
        }
    }

    /// Whether the answer has been silent or running for too long.
    fn overdue(&mut self, cx: &mut Context<'_>) -> bool {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let next = (self.last_bytes + self.idle_timeout).min(self.cut_at);
            if next <= now {
                return true;
            }
            self.alarm.as_mut().reset(next.into());
        }
        false
    }
}

impl<B> Relayed<B> {
    /// Where only the answer says which model it was.
    fn name_model(&mut self) {
        if let Some(model) = self.observer.model().filter(|_| self.attempt.event().call.model.is_empty()) {
            self.attempt.set_model(model);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Stream for Relayed<B>
where
    B::Error: fmt::Display,
{
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = self.get_mut();
        while !this.ended {
            match Pin::new(&mut this.upstream).poll_frame(cx) {
                Poll::Ready(frame) => match this.on_frame(frame) {
                    Some(Ok(data)) if data.is_empty() => {}
                    // A client that is slower than the backend never lets it be waited for.
                    Some(Ok(_)) if this.last_bytes >= this.cut_at && !this.upstream.is_end_stream() => {
                        return Poll::Ready(Some(Err(this.fail(FailureKind::Stalled, "backend_timeout"))));
                    }
                    next => return Poll::Ready(next),
                },
                Poll::Pending if this.overdue(cx) => {
                    return Poll::Ready(Some(Err(this.fail(FailureKind::Stalled, "backend_timeout"))));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(None)
    }
}

impl<B> Drop for Relayed<B> {
    fn drop(&mut self) {
        if !self.settled {
            self.name_model();
            let status = self.head.status.as_u16();
            self.attempt.end(Ending::client_abort(status, self.head.produced(&self.observer)));
        }
    }
}

/// The length that was announced, also where no body follows (HEAD); else none if there is no body. What 304
/// announces is the length of another answer, and stays among its headers.
fn size_of(head: &http::response::Parts, is_empty: bool) -> Length {
    if head.status == StatusCode::NOT_MODIFIED {
        return Length::None;
    }
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    match announced {
        Some(length) => Length::Known(length),
        None if is_empty => Length::None,
        None => Length::Unknown,
    }
}
