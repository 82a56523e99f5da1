//! One HTTP call to a backend. Each worker thread has its own client, so that a call and its connection
//! live on one thread and no lock is shared.

use std::cell::RefCell;
use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioTimer;

use super::backend::Backend;

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Idle connections kept per backend and worker.
const IDLE_CONNECTIONS: usize = 256;
/// How long an idle connection is kept.
const IDLE_FOR: Duration = Duration::from_secs(60);

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
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
    /// The answer is too large.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// The HTTP clients of one worker thread.
pub struct Caller {
    tls: rustls::ClientConfig,
    /// One client for each connect timeout in use; in practice one.
    clients: RefCell<Vec<(Duration, HttpClient)>>,
}

impl Caller {
    /// A caller for the thread it is used on.
    #[must_use]
    pub fn new(tls: rustls::ClientConfig) -> Self {
        Self { tls, clients: RefCell::new(Vec::new()) }
    }

    /// Posts a JSON body to a backend and waits for the head of its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn post(
        &self,
        backend: &Backend,
        extra: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, CallError> {
        let mut headers = extra;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Answers are read on their way, so they must not be compressed.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        backend.credentials.apply(&mut headers);
        let request = post_request(backend.chat_url.clone(), headers, body);
        self.send(request, backend.connect_timeout, backend.first_byte_timeout).await
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
        let answer = self.client(connect).request(request);
        match tokio::time::timeout(first_byte, answer).await {
            Err(_) => Err(CallError::FirstByteTimeout),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => Err(CallError::Connect(error.into())),
            Ok(Err(error)) => Err(CallError::Broken(error.into())),
        }
    }

    fn client(&self, connect: Duration) -> HttpClient {
        let mut clients = self.clients.borrow_mut();
        if let Some((_, client)) = clients.iter().find(|(timeout, _)| *timeout == connect) {
            return client.clone();
        }
        let client = build_client(self.tls.clone(), connect);
        clients.push((connect, client.clone()));
        client
    }
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
pub async fn collect(mut body: Incoming, limit: usize, idle: Duration) -> Result<Bytes, CallError> {
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
