//! Relays a stream to the client while reading along: usage, finish reason and text, event by event.
//!
//! Where client and backend speak the same format, bytes pass as they come; only the usage chunk that the client
//! did not ask for is taken out. Otherwise each event is translated. The attempt is settled before the last chunk
//! goes out, and in every other case by the relay's `Drop`. A stream that breaks before it has begun is a failed
//! attempt like any other; afterwards one error event in the client's API format ends it: a stream is never cut
//! silently.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame};
use tokio::time::Sleep;
use tollgate_backends::backend::Backend;
use tollgate_backends::{AnswerBody, AnswerError, FailureKind};
use tollgate_crossing::ClientFormat;
use tollgate_formats::FormatError;
use tollgate_formats::meaning::BackendError;
use tollgate_schemas::ids::RequestId;

use super::drained::Drainable;
use super::gathered::Gathered;
use super::meter::Meter;
use super::stages::Stages;
use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use crate::error::GatewayError;
use crate::policies::content_events::CompletionRecorder;
use crate::request::error_body;
use crate::request::failure::{NoAnswer, Unanswered, ended_with};
use crate::request::guard::RequestGuard;

/// Status of a stream that has begun.
const STATUS_OK: u16 = 200;

/// How long a stream that has begun to come is kept back for the first word of the model: an error before it can still be
/// made up for.
const WORD_WAIT: Duration = Duration::from_secs(3);

/// A stream on its way from a backend to a client.
pub struct Relay<B = AnswerBody> {
    upstream: B,
    stages: Stages,
    client: ClientFormat,
    attempt: Attempt,
    backend: Arc<Backend>,
    request_id: RequestId,
    completion: Option<CompletionRecorder>,
    works_on: bool,
    ended: Option<OnEnd>,
    last_bytes: Instant,
    /// When it begins at the latest.
    begins_at: Instant,
    /// Bytes of it that were read already.
    first: Bytes,
    cut_at: Instant,
    alarm: Pin<Box<Sleep>>,
    gathered: Gathered,
    state: State,
    /// Whether the client may have seen something of it.
    begun: bool,
    client_gone: bool,
    guard: Option<RequestGuard>,
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
    pub stages: Stages,
    /// Bytes of the stream that were read already.
    pub first: Bytes,
    /// What the client speaks.
    pub client: ClientFormat,
    pub backend: Arc<Backend>,
    /// How long its client waits for the stream to begin, also without a byte.
    pub patience: Duration,
    /// Where the answer is published when it is complete.
    pub completion: Option<CompletionRecorder>,
    /// Whether the model goes on when the stream breaks off: it works in the background.
    pub works_on: bool,
    /// Told what was read, when the books are closed.
    pub ended: Option<OnEnd>,
}

/// Told what was read of a stream.
pub type OnEnd = Box<dyn FnOnce(&Meter)>;

/// How a stream that had begun came to its end.
enum End {
    /// The model said its last word, or that it failed.
    Complete,
    /// The backend broke it off, with this code.
    Broken(FailureKind, &'static str),
    /// Nobody reads it any more.
    Abandoned,
}

/// Why a stream cannot go on.
struct Broken {
    kind: FailureKind,
    error: GatewayError,
    /// What the backend said, while another one may still be asked.
    said: Option<Box<BackendError>>,
}

impl<B: Body<Data = Bytes, Error = AnswerError> + Unpin> Relay<B> {
    /// Starts to relay an answer.
    #[must_use]
    pub fn new(upstream: B, attempt: Attempt, request_id: RequestId, options: RelayOptions) -> Self {
        let RelayOptions { stages, first, client, backend, patience, completion, works_on, ended } = options;
        let now = Instant::now();
        let patience = patience.min(backend.total_timeout);
        Self {
            upstream,
            stages,
            client,
            attempt,
            request_id,
            completion,
            works_on,
            ended,
            last_bytes: now,
            begins_at: now + patience,
            first,
            cut_at: now + backend.total_timeout,
            alarm: Box::pin(tokio::time::sleep(patience.min(backend.idle_timeout))),
            backend,
            gathered: Gathered::default(),
            state: State::Relaying,
            begun: false,
            client_gone: false,
            guard: None,
        }
    }

    /// Holds what the request holds until its answer has ended.
    pub fn keep(&mut self, guard: RequestGuard) {
        self.guard = Some(guard);
    }

    /// Waits until there is a word of the model for the client, or the client's patience is over. Many backends begin a
    /// stream before they know whether they can answer.
    ///
    /// # Errors
    /// When the stream breaks before that.
    pub async fn begin(&mut self) -> Result<(), NoAnswer> {
        match poll_fn(|cx| self.poll_begin(cx)).await {
            Ok(()) => {
                self.begun = true;
                Ok(())
            }
            Err(Broken { kind, error, said }) => {
                self.state = State::Ended;
                let (client, request_id) = (self.client, self.request_id);
                let produced = self.stages.meter().produced();
                if let Some(said) = said {
                    let refusal = |said: &BackendError| client.refusal(said, request_id);
                    return Err(ended_with(&mut self.attempt, client, *said, None, produced, refusal));
                }
                let ending = Ending::failed(kind, 0, error.class().code, produced);
                Err(Unanswered::close(&mut self.attempt, ending, error).into())
            }
        }
    }

    /// Whether the client may see what there is: a failure could not be made up for any more.
    fn may_begin(&self) -> bool {
        self.gathered.is_full() || (!self.gathered.is_empty() && self.stages.meter().has_spoken())
    }

    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while !self.may_begin() && self.state != State::Ended {
            match self.poll_frame(cx) {
                Poll::Ready(frame) => self.on_frame(frame)?,
                Poll::Pending => {
                    std::task::ready!(self.poll_until(self.overdue_at().min(self.begins_at), cx));
                    let overdue = self.overdue_at() <= Instant::now();
                    return Poll::Ready(if overdue { Err(self.late()) } else { Ok(()) });
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        Pin::new(&mut self.upstream).poll_frame(cx)
    }

    fn on_data(&mut self, data: Bytes) -> Result<Bytes, Broken> {
        self.last_bytes = Instant::now();
        self.begins_at = self.begins_at.min(self.last_bytes + WORD_WAIT);
        self.attempt.mark_first_byte();
        let relayed = self.stages.push(data).map_err(|error| self.broken(FailureKind::Protocol, &error))?;
        if let Some(refused) = self.refused() {
            return Err(refused);
        }
        if let Some(id) = self.stages.meter().answer_id().filter(|_| self.works_on && !self.attempt.works()) {
            self.attempt.works_as(id);
        }
        if self.stages.meter().answers() {
            self.attempt.mark_answers();
        }
        if self.stages.meter().knows_prompt() {
            self.attempt.release_prompt();
        }
        if self.stages.meter().is_done() && self.state == State::Relaying {
            self.settle_end();
        }
        Ok(relayed)
    }

    /// The model has said its last word; the event is in the spool before the client can see it.
    fn settle_end(&mut self) {
        self.close_books(End::Complete);
        self.state = State::Settled;
        let meter = self.stages.meter();
        if let Some(recorder) = self.completion.take() {
            let (text, beyond) = meter.text();
            recorder.record(
                self.attempt.event(),
                text,
                beyond,
                meter.stop().map(|stop| stop.as_str().into()),
            );
        }
    }

    /// The next part of the backend's body, its end or its failure.
    fn on_frame(&mut self, frame: Option<Result<Frame<Bytes>, AnswerError>>) -> Result<(), Broken> {
        let bytes = match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.on_data(data)?,
                Err(_trailers) => return Ok(()),
            },
            Some(Err(error)) if self.state == State::Relaying => {
                tracing::debug!(backend = %self.backend.name, error = %error, "stream failed");
                return Err(match error {
                    AnswerError::Broken(_) => self.broken(FailureKind::Stream, &FormatError::CutShort),
                    AnswerError::Undecodable(error) => self.broken(FailureKind::Protocol, &error),
                });
            }
            Some(Err(_)) => {
                self.state = State::Ended;
                return Ok(());
            }
            None => self.on_end()?,
        };
        if !bytes.is_empty() {
            self.gathered.push(bytes);
        }
        Ok(())
    }

    /// The backend's body ended.
    fn on_end(&mut self) -> Result<Bytes, Broken> {
        let mut rest = Bytes::new();
        if self.state == State::Relaying {
            rest = self.stages.finish().map_err(|error| self.broken(FailureKind::Stream, &error))?;
            if let Some(refused) = self.refused() {
                return Err(refused);
            }
            self.settle_end();
        }
        self.state = State::Ended;
        Ok(rest)
    }

    /// The backend has been silent or running for too long.
    fn on_overdue(&mut self) {
        if self.state == State::Settled {
            self.state = State::Ended;
        } else {
            self.break_off(self.late());
        }
    }

    /// The error that a backend tells in its stream, where another one could still be asked.
    fn refused(&self) -> Option<Broken> {
        let error = self.stages.meter().failure().filter(|_| !self.begun && !self.client_gone)?;
        let said = Box::new(BackendError::new(STATUS_OK, error.clone()));
        let told = FormatError::Provider(Box::new(error.clone()));
        Some(Broken { said: Some(said), ..self.broken(FailureKind::Stream, &told) })
    }

    fn broken(&self, kind: FailureKind, error: &dyn fmt::Display) -> Broken {
        let backend = Arc::clone(&self.backend.name);
        let error = GatewayError::BrokenAnswer { backend, message: error.to_string() };
        Broken { kind, error, said: None }
    }

    fn late(&self) -> Broken {
        let error = GatewayError::BackendTimeout { backend: Arc::clone(&self.backend.name) };
        Broken { kind: FailureKind::Stalled, error, said: None }
    }

    /// Ends the stream with an error event and closes the books.
    fn break_off(&mut self, broken: Broken) {
        let Broken { kind, error, .. } = broken;
        tracing::warn!(request_id = %self.request_id, backend = %self.backend.name, error = %error, "stream broke");
        self.close_books(End::Broken(kind, error.class().code));
        self.state = State::Ended;
        self.gathered.push(error_body::event(&error, self.client, self.request_id).into());
    }

    /// When the stream has been silent or running for too long.
    fn overdue_at(&self) -> Instant {
        (self.last_bytes + self.backend.idle_timeout).min(self.cut_at)
    }

    /// Waits until `due`.
    fn poll_until(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.alarm.deadline() > due.into() {
            self.alarm.as_mut().reset(due.into());
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            // Bytes came since the alarm was set; setting it for every chunk would cost more.
            self.alarm.as_mut().reset(due.into());
        }
        Poll::Pending
    }
}

impl<B> Relay<B> {
    /// The one place where the books of a stream that has begun are closed.
    fn close_books(&mut self, end: End) {
        let (meter, status) = (self.stages.meter(), self.status());
        let ending = match end {
            End::Complete if meter.failure().is_some() => {
                Ending::failed(FailureKind::Stream, status, "backend_stream_error", meter.produced())
            }
            End::Complete => Ending::ok(status, meter.produced()),
            End::Broken(kind, code) => Ending::failed(kind, status, code, meter.produced()),
            End::Abandoned => Ending::client_abort(status, meter.produced()),
        };
        // Whatever came of the stream, a client that had gone before went first.
        let ending = if self.client_gone { ending.without_client() } else { ending };
        if self.attempt.works() && !meter.produced().complete {
            self.attempt.end_working(ending);
        } else {
            self.attempt.end(ending);
        }
        if let Some(ended) = self.ended.take() {
            ended(meter);
        }
    }

    /// What the client has seen of it.
    fn status(&self) -> u16 {
        if self.client_gone && !self.begun { 0 } else { STATUS_OK }
    }
}

impl<B: Body<Data = Bytes, Error = AnswerError> + Unpin + 'static> Drainable for Relay<B> {
    fn client_gone(&mut self) {
        self.client_gone = true;
    }

    fn is_settled(&self) -> bool {
        self.state != State::Relaying
    }
}

impl<B: Body<Data = Bytes, Error = AnswerError> + Unpin> Stream for Relay<B> {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.gathered.is_full() || this.state == State::Ended {
                return Poll::Ready(this.gathered.take().map(Ok));
            }
            match this.poll_frame(cx) {
                Poll::Ready(frame) => {
                    if let Err(broken) = this.on_frame(frame) {
                        this.break_off(broken);
                    } else if this.last_bytes >= this.cut_at && this.state != State::Ended {
                        // A client that is slower than the backend never lets it be waited for.
                        this.on_overdue();
                    }
                }
                Poll::Pending if this.gathered.wants_more() => {
                    // The connection's task runs before this one does again, and may have the next chunk.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending if !this.gathered.is_empty() => {
                    return Poll::Ready(this.gathered.take().map(Ok));
                }
                Poll::Pending => {
                    std::task::ready!(this.poll_until(this.overdue_at(), cx));
                    this.on_overdue();
                }
            }
        }
    }
}

impl<B> Drop for Relay<B> {
    fn drop(&mut self) {
        if self.state == State::Relaying {
            // Before it has begun the client has seen nothing of it.
            self.client_gone = true;
            self.close_books(End::Abandoned);
        }
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
