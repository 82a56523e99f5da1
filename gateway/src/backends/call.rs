//! One HTTP call to a backend. Each worker thread has its own clients, so that a call and its connection
//! live on one thread and no lock is shared. A backend with TLS settings of its own has a client of its own:
//! a connection that was made with a certificate must not serve others.

use std::cell::RefCell;
use std::error::Error;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::TokioTimer;
use tollgate_credentials::CredentialError;

use super::backend::Backend;
use super::tls::BackendTls;
use super::upload::{OutBody, Progress, Upload};

type HttpClient = Client<HttpsConnector<HttpConnector>, OutBody>;

/// Idle connections kept per backend and worker.
const IDLE_CONNECTIONS: usize = 256;
/// How long an idle connection is kept.
const IDLE_FOR: Duration = Duration::from_secs(60);

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There are no valid credentials to show.
    #[error("no credentials")]
    Credentials(#[source] CredentialError),
    /// No connection could be made.
    #[error("no connection")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    /// The connection broke before the answer began.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// No answer began in time.
    #[error("no answer in time")]
    FirstByteTimeout,
    /// The answer stalled.
    #[error("the answer stalled")]
    Stalled,
    /// The gateway holds as much as it may.
    #[error("no memory for the answer")]
    NoMemory,
    /// The answer is too large.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// The HTTP clients of one worker thread.
pub struct Caller {
    tls: rustls::ClientConfig,
    /// One client for each connect timeout and TLS settings in use; in practice one.
    clients: RefCell<Vec<Pooled>>,
}

/// A client, and whom it serves.
struct Pooled {
    connect: Duration,
    /// Settings of a backend's own; they go with the configuration that they stand in, and the client after.
    tls: Option<Weak<BackendTls>>,
    client: HttpClient,
}

impl Pooled {
    fn serves(&self, connect: Duration, tls: Option<&Arc<BackendTls>>) -> bool {
        let same_tls = match (&self.tls, tls) {
            (None, None) => true,
            (Some(own), Some(wanted)) => std::ptr::eq(own.as_ptr(), Arc::as_ptr(wanted)),
            _ => false,
        };
        same_tls && self.connect == connect
    }

    fn is_abandoned(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.strong_count() == 0)
    }
}

impl Caller {
    /// A caller for the thread it is used on.
    #[must_use]
    pub fn new(tls: rustls::ClientConfig) -> Self {
        Self { tls, clients: RefCell::new(Vec::new()) }
    }

    /// Posts a body to a backend, JSON unless its headers say otherwise, and waits for the head of its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn post(
        &self,
        backend: &Backend,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, CallError> {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        self.call(backend, Method::POST, uri, headers, body).await
    }

    /// Reads from a backend with GET and waits for the head of its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn get(&self, backend: &Backend, uri: &Uri) -> Result<Response<Incoming>, CallError> {
        self.call(backend, Method::GET, uri, HeaderMap::new(), Bytes::new()).await
    }

    /// Calls a backend with its credentials and waits for the head of its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(
        &self,
        backend: &Backend,
        method: Method,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, CallError> {
        // Answers are read on their way, so they must not be compressed.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let head = head(backend, method, uri, headers, &body).await?;
        let request = Request::from_parts(head, OutBody::from(body));
        let response = answered(self.request(backend, request), backend.first_byte_timeout).await?;
        Ok(accepted(backend, response))
    }

    /// The same for an answer that passes as it comes, compressed or not.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn pass(
        &self,
        backend: &Backend,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, CallError> {
        let head = head(backend, method, uri, headers, &body).await?;
        let request = Request::from_parts(head, OutBody::from(body));
        let answer = self.request(backend, request);
        match tokio::time::timeout(backend.first_byte_timeout, answer).await {
            Err(_) => Err(CallError::FirstByteTimeout),
            Ok(answer) => sent(answer).map(|response| accepted(backend, response)),
        }
    }

    /// The same with a body that is still coming. The time to the first byte counts from the last part of the
    /// body that the backend took. For backends whose credentials do not sign bodies.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn upload(
        &self,
        backend: &Backend,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Upload,
    ) -> Result<Response<Incoming>, CallError> {
        let head = head(backend, method, uri, headers, b"").await?;
        let progress = body.progress();
        let request = Request::from_parts(head, OutBody::Stream(body));
        let answer = self.request(backend, request);
        let response = answered_after(answer, &progress, backend.first_byte_timeout).await?;
        Ok(accepted(backend, response))
    }

    fn request(&self, backend: &Backend, request: Request<OutBody>) -> ResponseFuture {
        self.client(backend.connect_timeout, backend.tls.as_ref()).request(request)
    }

    /// Sends any request and waits for the head of its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        connect: Duration,
        first_byte: Duration,
    ) -> Result<Response<Incoming>, CallError> {
        let request = request.map(OutBody::Whole);
        answered(self.client(connect, None).request(request), first_byte).await
    }

    fn client(&self, connect: Duration, tls: Option<&Arc<BackendTls>>) -> HttpClient {
        let mut clients = self.clients.borrow_mut();
        if let Some(pooled) = clients.iter().find(|pooled| pooled.serves(connect, tls)) {
            return pooled.client.clone();
        }
        clients.retain(|pooled| !pooled.is_abandoned());
        let settings = tls.map_or(&self.tls, |tls| tls.client_config());
        let client = build_client(settings.clone(), connect);
        clients.push(Pooled { connect, tls: tls.map(Arc::downgrade), client: client.clone() });
        client
    }
}

/// The head of a request with the backend's headers and credentials.
async fn head(
    backend: &Backend,
    method: Method,
    uri: &Uri,
    mut headers: HeaderMap,
    body: &[u8],
) -> Result<Parts, CallError> {
    for (name, value) in &backend.headers {
        if !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    let (mut head, ()) = Request::new(()).into_parts();
    (head.method, head.uri, head.headers) = (method, uri.clone(), headers);
    backend.credentials.prepare(&mut head, body).await.map_err(CallError::Credentials)?;
    Ok(head)
}

/// Takes note of what an answer says about the credentials.
fn accepted(backend: &Backend, response: Response<Incoming>) -> Response<Incoming> {
    if response.status() == StatusCode::UNAUTHORIZED {
        backend.credentials.invalidate();
    }
    response
}

/// Waits for the head of an answer.
async fn answered(answer: ResponseFuture, first_byte: Duration) -> Result<Response<Incoming>, CallError> {
    match tokio::time::timeout(first_byte, answer).await {
        Err(_) => Err(CallError::FirstByteTimeout),
        Ok(Ok(response)) if response.status().is_success() && is_encoded(response.headers()) => {
            Err(CallError::Broken("the answer is compressed, which nobody asked for".into()))
        }
        Ok(answer) => sent(answer),
    }
}

/// Waits for the head of an answer while the request's body is still being sent.
async fn answered_after(
    mut answer: ResponseFuture,
    progress: &Progress,
    first_byte: Duration,
) -> Result<Response<Incoming>, CallError> {
    loop {
        let left = first_byte.saturating_sub(progress.silence());
        if left.is_zero() {
            return Err(CallError::FirstByteTimeout);
        }
        if let Ok(answer) = tokio::time::timeout(left, &mut answer).await {
            return sent(answer);
        }
    }
}

fn sent(
    answer: Result<Response<Incoming>, hyper_util::client::legacy::Error>,
) -> Result<Response<Incoming>, CallError> {
    answer.map_err(|error| {
        if error.is_connect() { CallError::Connect(error.into()) } else { CallError::Broken(error.into()) }
    })
}

/// Whether a body is compressed. It could not be read on its way, and so neither be measured nor recognized as
/// broken.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity")
}

/// A JSON post.
#[must_use]
pub fn post_request(uri: Uri, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// Reads an answer to its end.
///
/// # Errors
/// [`CallError::TooLarge`] beyond `limit` bytes, [`CallError::Stalled`] after `idle` of silence,
/// [`CallError::Broken`] when the connection ends early.
pub async fn collect(body: Incoming, limit: usize, idle: Duration) -> Result<Bytes, CallError> {
    collect_while(body, limit, idle, |_| true).await
}

/// The same while there is memory: `more` is asked for the bytes of each part.
///
/// # Errors
/// As [`collect`]; [`CallError::NoMemory`] when `more` says no.
pub async fn collect_while(
    mut body: Incoming,
    limit: usize,
    idle: Duration,
    mut more: impl FnMut(usize) -> bool,
) -> Result<Bytes, CallError> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(CallError::TooLarge(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(idle, body.frame()).await {
            Err(_) => return Err(CallError::Stalled),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(CallError::Broken(error.into())),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        let so_far = first.as_ref().map_or(0, Bytes::len) + joined.len();
        if so_far + data.len() > limit {
            return Err(CallError::TooLarge(limit));
        }
        if !more(data.len()) {
            return Err(CallError::NoMemory);
        }
        match first.take() {
            // Most answers come in one piece and are not copied.
            None if joined.is_empty() => first = Some(data),
            None => joined.extend_from_slice(&data),
            Some(head) => {
                joined.reserve(head.len() + data.len());
                joined.extend_from_slice(&head);
                joined.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| joined.freeze()))
}

/// Runs a connection's task among the tasks of its worker, so that it and the request it serves take turns
/// without a detour over the runtime's other queue. Workers are actix arbiters: a local set is always there.
#[derive(Clone, Copy)]
struct SameThread;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for SameThread {
    fn execute(&self, task: F) {
        actix_rt::spawn(task);
    }
}

fn build_client(tls: rustls::ClientConfig, connect: Duration) -> HttpClient {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // Without it small writes wait for delayed acknowledgements: tens of milliseconds.
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect));
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    Client::builder(SameThread)
        .pool_idle_timeout(IDLE_FOR)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(64 << 10)
        .build(https)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_compressed_counts_as_such() {
        let encoded = |encoding: &'static str| {
            is_encoded(&HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))]))
        };
        assert!(encoded("gzip") && encoded("br"));
        assert!(!encoded("identity") && !is_encoded(&HeaderMap::new()));
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod credential_tests;
