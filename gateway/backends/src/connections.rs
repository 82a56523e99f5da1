//! Connections to backends, kept and used again by one worker thread: HTTP/1.1, one request at a time on each.
//!
//! A connection is owned by the body of its answer and returns to the pool when that has ended. The connection that was
//! used last is used next, so that surplus connections grow old and are closed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tollgate_codings::{Coding, DecodeError, Decoding};
use tower_service::Service;

use super::call_error::CallError;
use super::heard::Heard;
use super::sent::Sent;
use super::upload::OutBody;

/// Idle connections kept per origin.
const MOST_IDLE: usize = 256;
/// How long an idle connection is kept.
const IDLE_FOR: Duration = Duration::from_secs(60);
/// How often connections that have grown old are looked for.
const REAP_EVERY: Duration = Duration::from_secs(15);
/// Bytes of an answer that wait for their reader, per connection.
const READ_BUFFER: usize = 64 << 10;

/// If an idle connection is closed this soon after a request went out on it, the backend was closing it already and did
/// not read the request. If it breaks later, the backend may have worked on the request.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// A connection to a backend.
struct Line {
    sender: SendRequest<OutBody>,
    /// Bytes received on it so far.
    heard: Rc<Cell<u64>>,
}

/// The connections of one worker that are made in one way (TLS settings, time to connect).
#[derive(Clone)]
pub(super) struct Connections(Rc<Shared>);

struct Shared {
    connector: HttpsConnector<HttpConnector>,
    origins: RefCell<HashMap<Origin, Rc<Kept>, ahash::RandomState>>,
}

/// The origin that connections lead to.
#[derive(PartialEq, Eq, Hash)]
struct Origin {
    is_https: bool,
    authority: Authority,
}

/// The connections of one origin.
struct Kept {
    host: HeaderValue,
    idle: RefCell<Idle>,
}

#[derive(Default)]
struct Idle {
    /// Ready for a request, the one that was used last at the end.
    ready: Vec<(Line, Instant)>,
    /// Body dropped before its end; reusable once the rest of the answer has been read.
    finishing: Vec<(Line, Instant)>,
}

/// The body of an answer, and the connection that it comes on.
pub struct AnswerBody {
    body: Incoming,
    lease: Option<Lease>,
    /// Undoes the content coding; `None` if the bytes are passed on as they come.
    decoding: Option<Box<Decoding>>,
}

/// Why an answer breaks off.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Its connection broke.
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
    /// Its bytes do not match the content coding that its head names.
    #[error("its content cannot be decoded")]
    Undecodable(#[from] DecodeError),
}

struct Lease {
    line: Line,
    kept: Rc<Kept>,
}

impl Connections {
    /// Connections made by `connector`. Needs the local tasks of a worker.
    pub(super) fn new(connector: HttpsConnector<HttpConnector>) -> Self {
        let shared = Rc::new(Shared { connector, origins: RefCell::default() });
        actix_rt::spawn(reap(Rc::downgrade(&shared)));
        Self(shared)
    }

    /// Sends a request on an idle connection or a new one, and waits for the head of its answer. A request that an
    /// idle connection did not begin to send, because the backend had just closed it, goes out on another one; so does,
    /// once and on a new one, a request that it sent just then, if its body is whole. `sent` is marked once there is a
    /// connection to send it on.
    ///
    /// # Errors
    /// [`CallError::Connect`] and [`CallError::Broken`].
    pub(super) async fn send(
        self,
        mut request: Request<OutBody>,
        sent: Sent,
    ) -> Result<Response<AnswerBody>, CallError> {
        let uri = std::mem::take(request.uri_mut());
        let kept = self.0.origin(&uri)?;
        *request.uri_mut() = origin_form(&uri);
        request.headers_mut().entry(HOST).or_insert_with(|| kept.host.clone());
        let mut may_reuse = true;
        loop {
            let now = Instant::now();
            let reused = if may_reuse { kept.take(now) } else { None };
            let is_reused = reused.is_some();
            let mut line = match reused {
                Some(line) => line,
                None => Box::pin(self.connect(uri.clone())).await?,
            };
            let (copy, heard) = (if is_reused { copy(&request) } else { None }, line.heard.get());
            sent.mark();
            let mut failed = match line.sender.try_send_request(request).await {
                Ok(response) => {
                    let lease = Lease { line, kept };
                    return Ok(response.map(|body| AnswerBody { body, lease: Some(lease), decoding: None }));
                }
                Err(failed) => failed,
            };
            let closed_idle = line.heard.get() == heard && now.elapsed() < CLOSED_WITHIN;
            request = match (failed.take_message(), copy) {
                (Some(unsent), _) if is_reused => unsent,
                (None, Some(copy)) if closed_idle => {
                    may_reuse = false;
                    copy
                }
                _ => return Err(CallError::Broken(failed.into_error().into())),
            };
            sent.take_back();
        }
    }

    async fn connect(&self, uri: Uri) -> Result<Line, CallError> {
        let stream = self.0.connector.clone().call(uri).await.map_err(CallError::Connect)?;
        let heard = Rc::new(Cell::new(0));
        let stream = TokioIo::new(Heard::new(TokioIo::new(stream), Rc::clone(&heard)));
        let made = http1::Builder::new().max_buf_size(READ_BUFFER).handshake(stream).await;
        let (sender, connection) = made.map_err(|error| CallError::Connect(error.into()))?;
        // Among the tasks of its worker, so that it and the request it serves take turns without a detour over the
        // runtime's other queue.
        actix_rt::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a backend's connection broke");
            }
        });
        Ok(Line { sender, heard })
    }
}

/// A copy of the request; `None` if its body is a stream.
fn copy(request: &Request<OutBody>) -> Option<Request<OutBody>> {
    let OutBody::Whole(body) = request.body() else { return None };
    let mut copy = Request::new(OutBody::Whole(body.clone()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

impl Shared {
    fn origin(&self, uri: &Uri) -> Result<Rc<Kept>, CallError> {
        let no_origin = || CallError::Connect("the URL has no host".into());
        let authority = uri.authority().ok_or_else(no_origin)?.clone();
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let origin = Origin { is_https, authority };
        let mut origins = self.origins.borrow_mut();
        if let Some(kept) = origins.get(&origin) {
            return Ok(Rc::clone(kept));
        }
        let host = host(&origin.authority, is_https).ok_or_else(no_origin)?;
        let kept = Rc::new(Kept { host, idle: RefCell::default() });
        origins.insert(origin, Rc::clone(&kept));
        Ok(kept)
    }

    /// Closes idle connections that have grown old, and removes origins without any connection.
    fn reap(&self, now: Instant) {
        self.origins.borrow_mut().retain(|_, kept| {
            let mut idle = kept.idle.borrow_mut();
            let Idle { ready, finishing } = &mut *idle;
            for lines in [&mut *ready, &mut *finishing] {
                lines.retain(|(line, since)| !line.sender.is_closed() && is_fresh(*since, now));
            }
            !ready.is_empty() || !finishing.is_empty() || Rc::strong_count(kept) > 1
        });
    }
}

impl Kept {
    /// A connection that can be used now.
    fn take(&self, now: Instant) -> Option<Line> {
        let mut idle = self.idle.borrow_mut();
        while let Some((line, since)) = idle.ready.pop() {
            if line.sender.is_ready() && is_fresh(since, now) {
                return Some(line);
            }
        }
        idle.finishing.retain(|(line, _)| !line.sender.is_closed());
        let finished = idle.finishing.iter().position(|(line, _)| line.sender.is_ready())?;
        Some(idle.finishing.swap_remove(finished).0)
    }

    /// Keeps a connection whose answer is over, unless there are enough.
    fn give_back(&self, line: Line) {
        let mut idle = self.idle.borrow_mut();
        if line.sender.is_closed() || idle.ready.len() + idle.finishing.len() >= MOST_IDLE {
            return;
        }
        let now = Instant::now();
        if line.sender.is_ready() {
            idle.ready.push((line, now));
        } else {
            idle.finishing.retain(|(line, _)| !line.sender.is_closed());
            idle.finishing.push((line, now));
        }
    }
}

fn is_fresh(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < IDLE_FOR
}

/// Closes old connections until the pool is dropped.
async fn reap(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(REAP_EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        shared.reap(Instant::now());
    }
}

/// The request target in origin form: path and query (RFC 9112 §3.2.1).
fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")).into()
}

/// The `Host` of an origin: without user name and password, and without the default port of its scheme.
fn host(authority: &Authority, is_https: bool) -> Option<HeaderValue> {
    let usual = if is_https { 443 } else { 80 };
    let host = authority.host();
    let value = match authority.port_u16().filter(|port| *port != usual) {
        Some(port) => HeaderValue::from_str(&format!("{host}:{port}")),
        None => HeaderValue::from_str(host),
    };
    value.ok()
}

impl AnswerBody {
    /// Undoes these content codings from here on.
    pub(super) fn decode(&mut self, codings: &[Coding]) {
        // No bound here: the reader of the body has one.
        self.decoding = Some(Box::new(Decoding::new(codings, u64::MAX)));
    }

    /// Returns the connection to the pool.
    fn release(&mut self) {
        if let Some(Lease { line, kept }) = self.lease.take() {
            kept.give_back(line);
        }
    }

    /// The next part of what has come so far, decoded; `None` if more must come first.
    fn decoded(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let Some(decoding) = &mut self.decoding else { return Ok(None) };
        while let Some(piece) = decoding.piece()? {
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        loop {
            if let Some(piece) = self.decoded()? {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let polled = ready!(Pin::new(&mut self.body).poll_frame(cx)?);
            if polled.is_none() {
                self.release();
                if let Some(mut decoding) = self.decoding.take() {
                    decoding.end()?;
                }
            }
            let (Some(frame), Some(decoding)) = (&polled, &mut self.decoding) else {
                return Poll::Ready(polled.map(Ok));
            };
            if let Some(data) = frame.data_ref() {
                decoding.push(data.clone());
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.decoding.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.decoding.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.body.fmt(f)
    }
}

impl Drop for AnswerBody {
    /// The answer may be dropped before its end. Its connection is reusable if hyper reads the little that is missing.
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
