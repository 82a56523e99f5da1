//! A small HTTP client: one connection a request, nothing hidden.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::sse::EventStream;

/// How long any exchange may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Talks to one server with the same headers each time.
#[derive(Debug, Clone)]
pub struct Client {
    addr: SocketAddr,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Client {
    /// A client without headers of its own.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, headers: Vec::new() }
    }

    /// The same with `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, key: &str) -> Self {
        self.with("authorization", &format!("Bearer {key}"))
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// GET.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// POST of JSON.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send(Method::POST, path, Bytes::from(serde_json::to_vec(body)?)).await
    }

    /// Any request.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Reply> {
        let exchange = async {
            let (response, connection) = self.open(method, path, body).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.context("the answer broke off")?.to_bytes();
            connection.abort();
            Ok(Reply { status: head.status, headers: head.headers, body })
        };
        tokio::time::timeout(LIMIT, exchange).await.with_context(|| format!("no answer from {path}"))?
    }

    /// POST of JSON whose answer is read event by event.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn stream(&self, path: &str, body: &Value) -> Result<EventStream> {
        let body = Bytes::from(serde_json::to_vec(body)?);
        let opened = tokio::time::timeout(LIMIT, self.open(Method::POST, path, body)).await;
        let (response, connection) = opened.with_context(|| format!("no answer from {path}"))??;
        Ok(EventStream::new(response, connection))
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(http::Response<Incoming>, JoinHandle<()>)> {
        let stream =
            TcpStream::connect(self.addr).await.with_context(|| format!("cannot reach {}", self.addr))?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        let mut request = Request::builder().method(method).uri(path).header("host", self.addr.to_string());
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = sender.send_request(request.body(Full::new(body))?).await.context("no answer")?;
        Ok((response, connection))
    }
}

/// Sends bytes as they are and reads until the server closes or `limit` passes without a byte.
///
/// # Errors
/// When the server cannot be reached.
pub async fn raw(addr: SocketAddr, bytes: &[u8], limit: Duration) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(addr).await?;
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(Ok(read)) = tokio::time::timeout(limit, stream.read(&mut buffer)).await {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..read]);
    }
    Ok(answer)
}
