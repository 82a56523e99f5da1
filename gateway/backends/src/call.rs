//! One HTTP call to a backend. Each worker thread has its own connections, so that a call and its connection
//! live on one thread and no lock is shared. A backend with TLS settings of its own has connections of its own:
//! one that was made with a certificate must not serve others.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use tollgate_codings::UnsupportedCoding;

pub use super::call_error::CallError;
pub use super::collect::{collect, collect_while};

use super::backend::Backend;
use super::connections::{AnswerBody, Connections};
use super::sent::Sent;
use super::tls::{BackendTls, OwnTls};
use super::upload::{OutBody, Progress, Upload};

/// What a call ends with: the head of the answer, or why there is none.
pub type CallResult = Result<Response<AnswerBody>, CallError>;
/// Most pools of one worker. A configuration needs one for each combination of connect timeout and TLS settings;
/// the pools of earlier configurations count too.
const MOST_POOLS: usize = 64;

/// Calls of one worker thread.
pub struct BackendClient {
    tls: rustls::ClientConfig,
    /// One for each connect timeout and TLS settings in use, the oldest first; in practice one.
    pools: RefCell<Vec<Pool>>,
}

/// Connections, and the connect timeout and TLS settings that they were made with.
struct Pool {
    connect: Duration,
    /// The backend's own settings; the pool is dropped once no configuration in use has them.
    tls: Option<OwnTls>,
    connections: Connections,
}

impl Pool {
    fn serves(&mut self, connect: Duration, tls: Option<&Arc<BackendTls>>) -> bool {
        self.connect == connect
            && match (&mut self.tls, tls) {
                (None, None) => true,
                (Some(own), Some(wanted)) => own.is_same(wanted),
                _ => false,
            }
    }

    fn is_abandoned(&self) -> bool {
        self.tls.as_ref().is_some_and(OwnTls::is_abandoned)
    }
}

impl BackendClient {
    /// A client for the thread it is used on.
    #[must_use]
    pub fn new(tls: rustls::ClientConfig) -> Self {
        Self { tls, pools: RefCell::new(Vec::new()) }
    }

    /// Posts a body to a backend, JSON unless its headers say otherwise, and waits for the head of its answer. `sent`
    /// says from when on the backend can have read something.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn post(
        &self,
        backend: &Backend,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
        sent: &Sent,
    ) -> Result<Response<AnswerBody>, CallError> {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        self.call(backend, Method::POST, uri, headers, body, sent).await
    }

    /// Reads from a backend with GET and waits for the head of its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn get(&self, backend: &Backend, uri: &Uri) -> Result<Response<AnswerBody>, CallError> {
        self.call(backend, Method::GET, uri, HeaderMap::new(), Bytes::new(), &Sent::default()).await
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
        sent: &Sent,
    ) -> Result<Response<AnswerBody>, CallError> {
        // Answers are read on their way, and nobody pays for the bytes between: compressing them is work for nothing.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let head = head(backend, method, uri, headers, &body).await?;
        let request = Request::from_parts(head, OutBody::from(body));
        let response = answered(self.request(backend, request, sent), backend.first_byte_timeout).await?;
        Ok(accepted(backend, response))
    }

    /// As [`BackendClient::call`], for an answer that is relayed as it comes, compressed or not.
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
        sent: &Sent,
    ) -> Result<Response<AnswerBody>, CallError> {
        let head = head(backend, method, uri, headers, &body).await?;
        let request = Request::from_parts(head, OutBody::from(body));
        let answer = self.request(backend, request, sent);
        match tokio::time::timeout(backend.first_byte_timeout, answer).await {
            Err(_) => Err(CallError::FirstByteTimeout),
            Ok(answer) => answer.map(|response| accepted(backend, response)),
        }
    }

    /// As [`BackendClient::call`], with a body that is still coming. The time to the first byte counts from the last
    /// part of the body that the backend took. Only for backends whose credentials do not sign bodies.
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
        sent: &Sent,
    ) -> Result<Response<AnswerBody>, CallError> {
        let head = head(backend, method, uri, headers, b"").await?;
        let progress = body.progress();
        let request = Request::from_parts(head, OutBody::Stream(body));
        let answer = self.request(backend, request, sent);
        let response = answered_after(answer, &progress, backend.first_byte_timeout).await?;
        Ok(accepted(backend, response))
    }

    fn request(
        &self,
        backend: &Backend,
        request: Request<OutBody>,
        sent: &Sent,
    ) -> impl Future<Output = Result<Response<AnswerBody>, CallError>> + use<> {
        self.connections(backend.connect_timeout, backend.tls.as_ref()).send(request, sent.clone())
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
    ) -> Result<Response<AnswerBody>, CallError> {
        let request = request.map(OutBody::Whole);
        answered(self.connections(connect, None).send(request, Sent::default()), first_byte).await
    }

    fn connections(&self, connect: Duration, tls: Option<&Arc<BackendTls>>) -> Connections {
        let mut pools = self.pools.borrow_mut();
        if let Some(at) = pools.iter_mut().position(|pool| pool.serves(connect, tls)) {
            return pools[at].connections.clone();
        }
        pools.retain(|pool| !pool.is_abandoned());
        // Earlier configurations may have left pools behind. A pool that is dropped lives on in the calls that use it.
        if pools.len() >= MOST_POOLS {
            pools.remove(0);
        }
        let settings = tls.map_or(&self.tls, |tls| tls.client_config());
        let connections = connections(settings.clone(), connect);
        pools.push(Pool { connect, tls: tls.map(OwnTls::of), connections: connections.clone() });
        connections
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
fn accepted(backend: &Backend, response: Response<AnswerBody>) -> Response<AnswerBody> {
    if response.status() == StatusCode::UNAUTHORIZED {
        backend.credentials.invalidate();
    }
    response
}

/// Waits for the head of an answer.
async fn answered(
    answer: impl Future<Output = Result<Response<AnswerBody>, CallError>>,
    first_byte: Duration,
) -> Result<Response<AnswerBody>, CallError> {
    match tokio::time::timeout(first_byte, answer).await {
        Err(_) => Err(CallError::FirstByteTimeout),
        Ok(answer) => readable(answer?),
    }
}

/// Waits for the head of an answer while the request's body is still being sent.
async fn answered_after(
    answer: impl Future<Output = Result<Response<AnswerBody>, CallError>>,
    progress: &Progress,
    first_byte: Duration,
) -> Result<Response<AnswerBody>, CallError> {
    let mut answer = pin!(answer);
    loop {
        let left = first_byte.saturating_sub(progress.silence());
        if left.is_zero() {
            return Err(CallError::FirstByteTimeout);
        }
        if let Ok(answer) = tokio::time::timeout(left, &mut answer).await {
            return answer;
        }
    }
}

/// Decodes an answer that is compressed although `identity` was asked for. An error keeps its coding if that is
/// unknown.
fn readable(mut response: Response<AnswerBody>) -> Result<Response<AnswerBody>, CallError> {
    match decode(&mut response) {
        Err(unknown) if response.status().is_success() => Err(CallError::UnknownCoding(unknown.coding)),
        _ => Ok(response),
    }
}

/// Undoes the content coding of an answer, if it has one. A part of a body (206) is left as it is.
///
/// # Errors
/// When its coding is not understood; then nothing has changed.
pub fn decode(response: &mut Response<AnswerBody>) -> Result<(), UnsupportedCoding> {
    let codings = tollgate_codings::named(response.headers())?;
    if !codings.is_empty() && response.status() != StatusCode::PARTIAL_CONTENT {
        response.headers_mut().remove(CONTENT_ENCODING);
        response.headers_mut().remove(CONTENT_LENGTH);
        response.body_mut().decode(&codings);
    }
    Ok(())
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

fn connections(tls: rustls::ClientConfig, connect: Duration) -> Connections {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // Without it small writes wait for delayed acknowledgements: tens of milliseconds.
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect));
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    Connections::new(https)
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
