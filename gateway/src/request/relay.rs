//! Relays a stream to the client while reading along: usage, finish reason and text, chunk by chunk.
//!
//! Bytes pass as they come; only the usage chunk that the client did not ask for is taken out. The attempt
//! is settled before the last chunk goes out, and in every other case by the relay's `Drop`. One error
//! event in the client's API format ends a stream that its backend broke; a stream is never cut silently.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use tokio::time::Sleep;
use tollgate_schemas::ids::RequestId;
use tollgate_schemas::usage::Outcome;

use super::attempt::{Attempt, Ending};
use super::drain::Drainable;
use super::measure::Produced;
use crate::api::render;
use crate::backends::FailureKind;
use crate::backends::backend::Backend;
use crate::error::GatewayError;
use crate::formats::openai::answer::Chunk;
use crate::formats::openai::usage::Usage;
use crate::formats::sse::{Splitter, Verdict};
use crate::policies::content_events::CompletionRecorder;

/// Generated text kept for counting, bytes; what goes beyond is estimated.
const KEEP_TEXT_BYTES: usize = 64 << 10;
/// Chunks that are ready at the same time go out together, up to this many bytes: a write to the client costs
/// more than everything else that is done for a chunk.
const GATHER_BYTES: usize = 16 << 10;
/// Status of a stream that has begun.
const STATUS_OK: u16 = 200;

/// A stream on its way from a backend to a client.
pub struct Relay {
    upstream: Incoming,
    splitter: Splitter,
    reader: Reader,
    attempt: Attempt,
    backend: Arc<Backend>,
    request_id: RequestId,
    completion: Option<CompletionRecorder>,
    last_bytes: Instant,
    cut_at: Instant,
    alarm: Pin<Box<Sleep>>,
    gathered: Gathered,
    state: State,
    client_gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Relaying,
    /// The books are closed; what the backend still sends is relayed.
    Settled,
    /// Nothing more will be sent.
    Ended,
}

/// What is read along the way.
#[derive(Debug, Default)]
struct Reader {
    hide_usage: bool,
    usage: Option<Usage>,
    text: String,
    text_beyond: u64,
    finish_reason: Option<Arc<str>>,
    done: bool,
    broken: bool,
}

/// How a relay is set up.
pub struct RelayOptions {
    /// Largest single event, bytes.
    pub max_event: usize,
    /// Whether the usage chunk is taken out.
    pub hide_usage: bool,
    /// Where the answer is published when it is complete.
    pub completion: Option<CompletionRecorder>,
}

impl Relay {
    /// Starts to relay an answer.
    #[must_use]
    pub fn new(
        upstream: Incoming,
        attempt: Attempt,
        backend: Arc<Backend>,
        request_id: RequestId,
        options: RelayOptions,
    ) -> Self {
        let now = Instant::now();
        let alarm = Box::pin(tokio::time::sleep(backend.idle_timeout.min(backend.total_timeout)));
        Self {
            upstream,
            splitter: Splitter::new(options.max_event),
            reader: Reader { hide_usage: options.hide_usage, ..Reader::default() },
            attempt,
            request_id,
            completion: options.completion,
            last_bytes: now,
            cut_at: now + backend.total_timeout,
            backend,
            alarm,
            gathered: Gathered::default(),
            state: State::Relaying,
            client_gone: false,
        }
    }

    fn on_data(&mut self, data: Bytes) -> Result<Bytes, GatewayError> {
        self.last_bytes = Instant::now();
        self.attempt.mark_first_byte();
        let reader = &mut self.reader;
        let relayed = self.splitter.push(data, |event| reader.read(event)).map_err(|error| {
            GatewayError::BrokenAnswer { backend: Arc::clone(&self.backend.name), message: error.to_string() }
        })?;
        if self.reader.usage.is_some() {
            self.attempt.release_prompt();
        }
        if self.reader.done && self.state == State::Relaying {
            self.settle_end();
        }
        Ok(relayed)
    }

    /// The model has said its last word; the event is in the spool before the client can see it.
    fn settle_end(&mut self) {
        let produced = self.reader.produced();
        let ending = if self.reader.broken {
            Ending::failed(FailureKind::Stream, STATUS_OK, "backend_stream_error", produced)
        } else {
            Ending::ok(STATUS_OK, produced)
        };
        self.attempt.end(as_seen(ending, self.client_gone));
        self.state = State::Settled;
        if let Some(recorder) = self.completion.take() {
            recorder.record(
                &self.attempt,
                &self.reader.text,
                self.reader.text_beyond > 0,
                self.reader.finish_reason.clone(),
            );
        }
    }

    /// The next part of the backend's body, its end or its failure.
    fn on_frame(&mut self, frame: Option<Result<Frame<Bytes>, hyper::Error>>) {
        let last = match frame {
            Some(Ok(frame)) => match frame.into_data().map(|data| self.on_data(data)) {
                Ok(Ok(relayed)) => Some(relayed),
                Ok(Err(error)) => Some(self.break_off(FailureKind::Protocol, &error)),
                Err(_trailers) => None,
            },
            Some(Err(error)) if self.state == State::Relaying => {
                tracing::debug!(backend = %self.backend.name, error = %error, "stream failed");
                let failure = self.cut_short();
                Some(self.break_off(FailureKind::Stream, &failure))
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
        let failure = GatewayError::BackendTimeout { backend: Arc::clone(&self.backend.name) };
        let last = self.break_off(FailureKind::Stalled, &failure);
        self.gathered.push(last);
    }

    /// The backend's body ended.
    fn on_end(&mut self) -> Option<Bytes> {
        if self.state == State::Relaying {
            let rest = self.splitter.take_rest();
            if self.reader.finish_reason.is_none() {
                return Some(self.break_off(FailureKind::Stream, &self.cut_short()));
            }
            self.settle_end();
            self.state = State::Ended;
            return (!rest.is_empty()).then_some(rest);
        }
        self.state = State::Ended;
        None
    }

    fn cut_short(&self) -> GatewayError {
        GatewayError::BrokenAnswer {
            backend: Arc::clone(&self.backend.name),
            message: "the stream ended before the model had finished".to_owned(),
        }
    }

    /// Ends the stream with an error event and closes the books.
    fn break_off(&mut self, kind: FailureKind, error: &GatewayError) -> Bytes {
        tracing::warn!(request_id = %self.request_id, backend = %self.backend.name, error = %error, "stream broke");
        let ending = Ending::failed(kind, STATUS_OK, error.class().code, self.reader.produced());
        self.attempt.end(as_seen(ending, self.client_gone));
        self.state = State::Ended;
        render::stream_error(error, self.request_id)
    }

    /// Whether the stream has been silent or running for too long.
    fn overdue(&mut self, cx: &mut Context<'_>) -> bool {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let next = (self.last_bytes + self.backend.idle_timeout).min(self.cut_at);
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

/// Chunks on their way to the client.
#[derive(Debug, Default)]
struct Gathered {
    first: Bytes,
    joined: BytesMut,
    /// The connection has had a turn since the last chunk came.
    waited: bool,
}

impl Gathered {
    fn push(&mut self, chunk: Bytes) {
        self.waited = false;
        if self.is_empty() {
            // A chunk that comes alone is not copied.
            self.first = chunk;
            return;
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        self.joined.extend_from_slice(&chunk);
    }

    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_full(&self) -> bool {
        self.len() >= GATHER_BYTES
    }

    /// Whether it is worth looking once more before this goes out; says yes once for each chunk.
    fn wants_more(&mut self) -> bool {
        !self.is_empty() && !std::mem::replace(&mut self.waited, true)
    }

    fn take(&mut self) -> Option<Bytes> {
        let first = std::mem::take(&mut self.first);
        let bytes = if self.joined.is_empty() { first } else { self.joined.split().freeze() };
        (!bytes.is_empty()).then_some(bytes)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.state == State::Relaying {
            self.attempt.end(Ending::client_abort(STATUS_OK, self.reader.produced()));
        }
    }
}

impl Reader {
    fn produced(&self) -> Produced<'_> {
        Produced {
            usage: self.usage,
            complete: self.done && !self.broken,
            text: &self.text,
            text_beyond: self.text_beyond,
            prompt_sent: true,
        }
    }

    /// Reads one event; the usage chunk is dropped where the client did not ask for it.
    fn read(&mut self, data: &str) -> Verdict {
        if data == "[DONE]" {
            self.done = true;
            return Verdict::Keep;
        }
        let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(data) else { return Verdict::Keep };
        if chunk.error.is_some() {
            self.broken = true;
            self.done = true;
        }
        for choice in &chunk.choices {
            if let Some(delta) = &choice.delta {
                delta.texts().for_each(|text| self.keep_text(text));
            }
            if let Some(reason) = &choice.finish_reason {
                self.finish_reason = Some(Arc::from(&**reason));
            }
        }
        let Some(usage) = chunk.usage else { return Verdict::Keep };
        self.usage = Some(usage);
        let only_usage = chunk.choices.is_empty();
        if only_usage && self.hide_usage { Verdict::Drop } else { Verdict::Keep }
    }

    fn keep_text(&mut self, text: &str) {
        if self.text.len() + text.len() <= KEEP_TEXT_BYTES {
            self.text.push_str(text);
        } else {
            self.text_beyond += text.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(hide_usage: bool) -> Reader {
        Reader { hide_usage, ..Reader::default() }
    }

    const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

    #[test]
    fn the_usage_chunk_is_hidden_only_when_the_client_did_not_ask() {
        let mut hiding = reader(true);
        assert_eq!(hiding.read(USAGE), Verdict::Drop);
        assert_eq!(hiding.usage.unwrap().total(), 5);
        assert_eq!(reader(false).read(USAGE), Verdict::Keep);
    }

    #[test]
    fn usage_on_a_chunk_with_choices_stays_visible() {
        let mut hiding = reader(true);
        let chunk = r#"{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
        assert_eq!(hiding.read(chunk), Verdict::Keep);
        assert!(hiding.usage.is_some());
        assert_eq!(hiding.finish_reason.as_deref(), Some("stop"));
    }

    #[test]
    fn text_beyond_the_bound_is_measured_not_kept() {
        let mut reader = reader(true);
        let piece = "a".repeat(KEEP_TEXT_BYTES);
        reader.keep_text(&piece);
        reader.keep_text("bcd");
        assert_eq!((reader.text.len(), reader.text_beyond), (KEEP_TEXT_BYTES, 3));
    }

    #[test]
    fn chunks_that_wait_together_go_out_together() {
        let mut gathered = Gathered::default();
        let alone = Bytes::from_static(b"data: 1\n\n");
        gathered.push(alone.clone());
        assert!(gathered.wants_more() && !gathered.wants_more());
        assert_eq!(gathered.take().unwrap().as_ptr(), alone.as_ptr());
        for text in [&b"a"[..], b"b", b"c"] {
            gathered.push(Bytes::from_static(text));
        }
        assert_eq!(gathered.take().unwrap(), "abc");
        assert!(gathered.take().is_none());
    }

    #[test]
    fn an_error_event_is_an_end_that_failed() {
        let mut reader = reader(true);
        reader.read(r#"{"error":{"message":"overloaded"}}"#);
        assert!(reader.done && reader.broken && !reader.produced().complete);
    }

    #[test]
    fn what_cannot_be_read_passes_through() {
        assert_eq!(reader(true).read("not json"), Verdict::Keep);
    }
}
