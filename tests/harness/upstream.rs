//! A backend of a few lines: it notes the bytes it is sent and writes the bytes it is told, whatever they are.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A request as it was read.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Method, target and version.
    pub line: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, taken out of its chunks.
    pub body: Vec<u8>,
    /// Whether the whole body came.
    pub complete: bool,
}

impl Seen {
    /// Values of a header.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// What is done with a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// These bytes are written, and the connection is closed.
    Write(Vec<u8>),
    /// The same, but the connection stays open without another byte.
    Stall(Vec<u8>),
    /// The same before the body is read.
    WriteEarly(Vec<u8>),
}

type Script = Arc<dyn Fn(&Seen) -> Act + Send + Sync>;

/// A running backend.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    notes: Arc<Notes>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Notes {
    seen: Mutex<Vec<Seen>>,
    gone: Mutex<usize>,
    changed: Notify,
}

impl Upstream {
    /// Starts one that acts by `script`, which sees the head and, unless it writes early, the body.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let notes = Arc::<Notes>::default();
        let (script, noted): (Script, _) = (Arc::new(script), Arc::clone(&notes));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, notes) = (Arc::clone(&script), Arc::clone(&noted));
                tokio::spawn(async move {
                    let _ = serve(stream, &script, &notes).await;
                    *notes.gone.lock() += 1;
                    notes.changed.notify_waiters();
                });
            }
        });
        Ok(Self { addr, notes, task })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Requests so far, those whose bodies broke off included.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.notes.seen.lock().clone()
    }

    /// Waits until so many requests were read.
    ///
    /// # Errors
    /// When they do not come.
    pub async fn until_seen(&self, count: usize) -> Result<Vec<Seen>> {
        self.until(|| self.notes.seen.lock().len() >= count).await?;
        Ok(self.seen())
    }

    /// Waits until so many connections are over.
    ///
    /// # Errors
    /// When they stay open.
    pub async fn until_gone(&self, count: usize) -> Result<()> {
        self.until(|| *self.notes.gone.lock() >= count).await
    }

    async fn until(&self, done: impl Fn() -> bool) -> Result<()> {
        let wait = async {
            loop {
                let changed = self.notes.changed.notified();
                if done() {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.context("the backend waits in vain")
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, script: &Script, notes: &Notes) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    let (mut seen, head) = loop {
        if let Some(found) = head_of(&bytes)? {
            break found;
        }
        ensure!(stream.read_buf(&mut bytes).await? > 0, "no head");
    };
    if let Act::WriteEarly(answer) = script(&seen) {
        stream.write_all(&answer).await?;
    }
    let mut rest = bytes.split_off(head);
    let read = body(&mut stream, &seen, &mut rest).await;
    seen.complete = read.is_ok();
    seen.body = read.unwrap_or(rest);
    notes.seen.lock().push(seen.clone());
    notes.changed.notify_waiters();
    ensure!(seen.complete, "half a body");
    match script(&seen) {
        Act::Write(answer) => stream.write_all(&answer).await?,
        Act::Stall(answer) => {
            stream.write_all(&answer).await?;
            // Until the caller leaves.
            while stream.read(&mut [0; 64]).await? > 0 {}
        }
        Act::WriteEarly(_) => {}
    }
    stream.shutdown().await?;
    Ok(())
}

fn head_of(bytes: &[u8]) -> Result<Option<(Seen, usize)>> {
    let mut space = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut space);
    let httparse::Status::Complete(length) = request.parse(bytes)? else { return Ok(None) };
    let line = format!("{} {}", request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = request.headers.iter().map(|header| (header.name.to_lowercase(), text(header.value)));
    Ok(Some((Seen { line, headers: headers.collect(), ..Seen::default() }, length)))
}

/// Reads a body whose beginning is in `rest`; on an error `rest` holds what came.
async fn body(stream: &mut TcpStream, seen: &Seen, rest: &mut Vec<u8>) -> Result<Vec<u8>> {
    if seen.all("transfer-encoding") == ["chunked"] {
        return chunks(stream, rest).await;
    }
    let length = seen.all("content-length").first().map_or(Ok(0), |length| length.parse())?;
    while rest.len() < length {
        ensure!(stream.read_buf(rest).await? > 0, "cut");
    }
    Ok(rest[..length].to_vec())
}

async fn chunks(stream: &mut TcpStream, rest: &mut Vec<u8>) -> Result<Vec<u8>> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let size = loop {
            match httparse::parse_chunk_size(&rest[at..]).map_err(|_| anyhow::anyhow!("no chunk"))? {
                httparse::Status::Complete((line, size)) => {
                    at += line;
                    break usize::try_from(size)?;
                }
                httparse::Status::Partial => ensure!(stream.read_buf(rest).await? > 0, "cut"),
            }
        };
        while rest.len() < at + size + 2 {
            ensure!(stream.read_buf(rest).await? > 0, "cut");
        }
        body.extend_from_slice(&rest[at..at + size]);
        at += size + 2;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// An answer with a length.
#[must_use]
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
