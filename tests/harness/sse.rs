//! Reads server-sent events.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::task::JoinHandle;

/// The answer to a request for a stream. Dropping it closes the connection.
#[derive(Debug)]
pub struct EventStream {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    body: Incoming,
    connection: JoinHandle<()>,
    raw: Vec<u8>,
    read: usize,
}

impl EventStream {
    pub(super) fn new(response: http::Response<Incoming>, connection: JoinHandle<()>) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: head.headers, body, connection, raw: Vec::new(), read: 0 }
    }

    /// Everything read so far, as it came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The next event's data; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(event) = self.take_event() {
                return Ok(Some(event));
            }
            let Some(bytes) = self.more().await? else { return Ok(None) };
            self.raw.extend_from_slice(&bytes);
        }
    }

    /// The data of all events to the end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn rest(&mut self) -> Result<Vec<String>> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            events.push(event);
        }
        Ok(events)
    }

    async fn more(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.context("the stream broke")?.into_data() {
                return Ok(Some(data));
            }
        }
    }

    fn take_event(&mut self) -> Option<String> {
        let open = &self.raw[self.read..];
        // Google ends lines with both letters.
        let ends = [&b"\n\n"[..], b"\r\n\r\n"];
        let found = ends.into_iter().filter_map(|end| Some((memchr::memmem::find(open, end)?, end.len())));
        let (end, blank) = found.min()?;
        let event = String::from_utf8_lossy(&open[..end]).into_owned();
        self.read += end + blank;
        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
        Some(lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// The text that chat completion chunks add up to.
#[must_use]
pub fn text_of(events: &[String]) -> String {
    let chunks = events.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok());
    let pieces =
        chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned));
    pieces.collect()
}
