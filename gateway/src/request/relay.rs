//! Relays a stream to the client while reading along: usage, finish reason and text, event by event.
//!
//! Where client and backend speak the same format, bytes pass as they come; only the usage chunk that the client
//! did not ask for is taken out. Otherwise each event is translated. The attempt is settled before the last chunk
//! goes out, and in every other case by the relay's `Drop`. One error event in the client's API format ends a
//! stream that its backend broke; a stream is never cut silently.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use tokio::time::Sleep;
use tollgate_formats::FormatError;
use tollgate_schemas::ids::RequestId;
use tollgate_schemas::usage::Outcome;

use super::attempt::{Attempt, Ending};
use super::drain::Drainable;
use super::gathered::Gathered;
use super::guard::RequestGuard;
use super::stream_reader::StreamReader;
use crate::api::render;
use crate::backends::FailureKind;
use crate::error::GatewayError;
use crate::formats::ClientFormat;
use crate::policies::content_events::CompletionRecorder;

/// Status of a stream that has begun.
const STATUS_OK: u16 = 200;

/// A stream on its way from a backend to a client.
pub struct Relay {
    upstream: Incoming,
    reader: StreamReader,
    client: ClientFormat,
    attempt: Attempt,
    backend: Arc<str>,
    request_id: RequestId,
    completion: Option<CompletionRecorder>,
    idle_timeout: Duration,
    last_bytes: Instant,
    cut_at: Instant,
    alarm: Pin<Box<Sleep>>,
    gathered: Gathered,
    state: State,
    client_gone: bool,
    _guard: Option<RequestGuard>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Relaying,
    /// The books are closed; what the backend still sends is relayed.
    Settled,
    /// Nothing more will be sent.
    Ended,
}

/// How a relay is set up.
pub struct RelayOptions {
    /// Reads the backend's bytes.
    pub reader: StreamReader,
    /// What the client speaks.
    pub client: ClientFormat,
    /// Name of the backend.
    pub backend: Arc<str>,
    /// Longest silence.
    pub idle_timeout: Duration,
    /// Longest stream.
    pub total_timeout: Duration,
    /// Where the answer is published when it is complete.
    pub completion: Option<CompletionRecorder>,
    /// What the request holds until its answer has ended.
    pub guard: Option<RequestGuard>,
}

impl Relay {
    /// Starts to relay an answer.
    #[must_use]
    pub fn new(upstream: Incoming, attempt: Attempt, request_id: RequestId, options: RelayOptions) -> Self {
        let RelayOptions { reader, client, backend, idle_timeout, total_timeout, completion, guard } =
            options;
        let now = Instant::now();
        Self {
            upstream,
            reader,
            client,
            attempt,
            backend,
            request_id,
            completion,
            idle_timeout,
            last_bytes: now,
            cut_at: now + total_timeout,
            alarm: Box::pin(tokio::time::sleep(idle_timeout.min(total_timeout))),
            gathered: Gathered::default(),
            state: State::Relaying,
            client_gone: false,
            _guard: guard,
        }
    }

    fn on_data(&mut self, data: Bytes) -> Result<Bytes, FormatError> {
        self.last_bytes = Instant::now();
        self.attempt.mark_first_byte();
        let relayed = self.reader.push(data)?;
        if self.reader.meter().has_usage() {
            self.attempt.release_prompt();
        }
        if self.reader.meter().is_done() && self.state == State::Relaying {
            self.settle_end();
        }
        Ok(relayed)
    }

    /// The model has said its last word; the event is in the spool before the client can see it.
    fn settle_end(&mut self) {
        let meter = self.reader.meter();
        let ending = if meter.failure().is_some() {
            Ending::failed(FailureKind::Stream, STATUS_OK, "backend_stream_error", meter.produced())
        } else {
            Ending::ok(STATUS_OK, meter.produced())
        };
        self.attempt.end(as_seen(ending, self.client_gone));
        self.state = State::Settled;
        if let Some(recorder) = self.completion.take() {
            let (text, beyond) = meter.text();
            recorder.record(&self.attempt, text, beyond, meter.stop().map(|stop| stop.as_str().into()));
        }
    }

    /// The next part of the backend's body, its end or its failure.
    fn on_frame(&mut self, frame: Option<Result<Frame<Bytes>, hyper::Error>>) {
        let last = match frame {
            Some(Ok(frame)) => match frame.into_data().map(|data| self.on_data(data)) {
                Ok(Ok(relayed)) => Some(relayed),
                Ok(Err(error)) => Some(self.break_off(FailureKind::Protocol, &self.broken(&error))),
                Err(_trailers) => None,
            },
            Some(Err(error)) if self.state == State::Relaying => {
                tracing::debug!(backend = %self.backend, error = %error, "stream failed");
                Some(self.break_off(FailureKind::Stream, &self.broken(&FormatError::CutShort)))
            }
            Some(Err(_)) => {
                self.state = State::Ended;
                None
            }
            None => self.on_end(),
        };
        if let Some(bytes) = last.filter(|bytes| !bytes.is_empty()) {
            self.gathered.push(bytes);
        }
    }

    /// The backend has been silent or running for too long.
    fn on_overdue(&mut self) {
        if self.state == State::Settled {
            self.state = State::Ended;
            return;
        }
        let failure = GatewayError::BackendTimeout { backend: Arc::clone(&self.backend) };
        let last = self.break_off(FailureKind::Stalled, &failure);
        self.gathered.push(last);
    }

    /// The backend's body ended.
    fn on_end(&mut self) -> Option<Bytes> {
        if self.state != State::Relaying {
            self.state = State::Ended;
            return None;
        }
        match self.reader.finish() {
            Ok(rest) => {
                self.settle_end();
                self.state = State::Ended;
                Some(rest)
            }
            Err(error) => Some(self.break_off(FailureKind::Stream, &self.broken(&error))),
        }
    }

    fn broken(&self, error: &FormatError) -> GatewayError {
        GatewayError::BrokenAnswer { backend: Arc::clone(&self.backend), message: error.to_string() }
    }

    /// Ends the stream with an error event and closes the books.
    fn break_off(&mut self, kind: FailureKind, error: &GatewayError) -> Bytes {
        tracing::warn!(request_id = %self.request_id, backend = %self.backend, error = %error, "stream broke");
        let ending = Ending::failed(kind, STATUS_OK, error.class().code, self.reader.meter().produced());
        self.attempt.end(as_seen(ending, self.client_gone));
        self.state = State::Ended;
        render::stream_error(error, self.client, self.request_id)
    }

    /// Whether the stream has been silent or running for too long.
    fn overdue(&mut self, cx: &mut Context<'_>) -> bool {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let next = (self.last_bytes + self.idle_timeout).min(self.cut_at);
            if next <= now {
                return true;
            }
            // Bytes came since the alarm was set; setting it for every chunk would cost more.
            self.alarm.as_mut().reset(next.into());
        }
        false
    }
}

/// An ending as the ledger sees it: whatever came of the stream, a client that had gone before went first.
fn as_seen(ending: Ending<'_>, client_gone: bool) -> Ending<'_> {
    if client_gone { Ending { outcome: Outcome::ClientAbort, ..ending } } else { ending }
}

impl Drainable for Relay {
    fn client_gone(&mut self) {
        self.client_gone = true;
    }

    fn is_settled(&self) -> bool {
        self.state != State::Relaying
    }
}

impl Stream for Relay {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.gathered.is_full() || this.state == State::Ended {
                return Poll::Ready(this.gathered.take().map(Ok));
            }
            match Pin::new(&mut this.upstream).poll_frame(cx) {
                Poll::Ready(frame) => this.on_frame(frame),
                Poll::Pending if this.gathered.wants_more() => {
                    // The connection's task runs before this one does again, and may have the next chunk.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending if !this.gathered.is_empty() => {
                    return Poll::Ready(this.gathered.take().map(Ok));
                }
                Poll::Pending if this.overdue(cx) => this.on_overdue(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.state == State::Relaying {
            self.attempt.end(Ending::client_abort(STATUS_OK, self.reader.meter().produced()));
        }
    }
}
