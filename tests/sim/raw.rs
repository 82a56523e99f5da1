//! Answers that break the rules of HTTP, of the API format, or of the connection under both.
//!
//! A good answer goes in, a [`Script`] comes out: which bytes are written to the socket, and what becomes of the
//! connection afterwards. No I/O here; [`super::socket`] plays scripts.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

/// Events of a stream that are sent whole before a fault in its body.
const EVENTS_BEFORE: usize = 3;
/// Bytes of one write of what never ends.
const REFRAIN: usize = 4 << 10;

/// How an answer is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawFault {
    /// Sends up to that place, then nothing any more, and keeps the connection open.
    Stall(Place),
    /// Sends up to that place, then closes its half of the connection.
    Finish(Place),
    /// Sends up to that place, then resets the connection.
    Reset(Place),
    /// Sends lines that are no HTTP in place of a head.
    GarbageHead,
    /// Announces more bytes than it sends.
    LengthTooLong,
    /// Sends more bytes than it announces.
    LengthTooShort,
    /// Announces a length that is no number.
    LengthNoNumber,
    /// Announces a chunk with a size that is no number.
    GarbageChunk,
    /// Puts bytes into the text that are no UTF-8.
    NotUtf8,
    /// Sends bytes that are neither JSON nor events, in good order.
    Binary,
    /// Ends a stream in good order in the middle of an event; a plain answer in the middle of its JSON.
    Truncated,
    /// Never ends one part: header lines, one event of a stream, the text of a plain answer.
    Endless(Part),
    /// Sends interim answers (status 100) for ever.
    EndlessInterim,
    /// Sends one part byte by byte.
    Drip {
        /// From where on.
        from: Part,
        /// Pause before each byte, ms.
        pause_ms: u64,
    },
    /// Compresses the answer, although nobody asked for it.
    Gzip,
    /// Sends an interim answer (status 103) and then the good one.
    Interim,
}

/// A place in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Before its first byte.
    BeforeHead,
    /// In the middle of its head.
    InHead,
    /// Between head and body.
    AfterHead,
    /// In the middle of a plain answer, or of an event after the first ones of a stream.
    InBody,
}

/// A part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Status line and headers.
    Head,
    /// What follows.
    Body,
}

/// A good answer.
#[derive(Debug, Clone)]
pub(super) struct Good {
    /// Whether it is a stream of events.
    pub(super) stream: bool,
    /// Its body: one part, or one an event.
    pub(super) parts: Vec<Bytes>,
}

/// What happens on the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// What is written, in this order.
    pub(super) writes: Vec<Bytes>,
    /// Pause before each write but the first.
    pub(super) pause: Duration,
    /// What is written again and again afterwards, until the caller leaves.
    pub(super) refrain: Option<Bytes>,
    /// What becomes of the connection.
    pub(super) end: End,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It stays open until the caller leaves.
    Stay,
    /// It is closed in good order.
    Finish,
    /// It is reset.
    Reset,
}

impl Script {
    fn new(writes: Vec<Bytes>, end: End) -> Self {
        Self { writes, pause: Duration::ZERO, refrain: None, end }
    }
}

impl RawFault {
    /// What is sent in place of the good answer.
    pub(super) fn script(self, good: &Good) -> Script {
        match self {
            Self::Stall(place) => Script::new(good.until(place), End::Stay),
            Self::Finish(place) => Script::new(good.until(place), End::Finish),
            Self::Reset(place) => Script::new(good.until(place), End::Reset),
            Self::GarbageHead => {
                Script::new(vec![text("ICY 200\r\n\u{1}\u{2}: nothing\r\n\r\n")], End::Finish)
            }
            Self::LengthTooLong => good.with_length(good.size() + 64),
            Self::LengthTooShort => good.with_length(good.size() / 2),
            Self::LengthNoNumber => good.with_head("content-length: many\r\n"),
            Self::GarbageChunk => good.garbage_chunk(),
            Self::NotUtf8 => good.not_utf8().whole(""),
            Self::Binary => good.replaced((0..=255).rev().cycle().take(2048).collect()).whole(""),
            Self::Truncated => good.truncated().whole(""),
            Self::Endless(Part::Head) => endless(text("HTTP/1.1 200 OK\r\n"), "x-more: and more\r\n"),
            Self::Endless(Part::Body) => good.endless_body(),
            Self::EndlessInterim => endless(Bytes::new(), "HTTP/1.1 100 Continue\r\n\r\n"),
            Self::Drip { from, pause_ms } => good.drip(from, Duration::from_millis(pause_ms)),
            Self::Gzip => good.replaced(gzip(&good.body())).whole("content-encoding: gzip\r\n"),
            Self::Interim => {
                let mut script = good.whole("");
                script.writes.insert(0, text("HTTP/1.1 103 Early Hints\r\nlink: </>; rel=preload\r\n\r\n"));
                script
            }
        }
    }
}

impl Good {
    fn body(&self) -> Vec<u8> {
        self.parts.concat()
    }

    fn size(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    fn replaced(&self, body: Vec<u8>) -> Self {
        Self { stream: self.stream, parts: vec![Bytes::from(body)] }
    }

    /// Status line and headers; `more` are whole header lines.
    fn head(&self, more: &str) -> Bytes {
        let kind = if self.stream { "text/event-stream; charset=utf-8" } else { "application/json" };
        text(&format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n{more}\r\n"))
    }

    /// The header that says how the body is framed.
    fn framing(&self) -> String {
        if self.stream {
            "transfer-encoding: chunked\r\n".to_owned()
        } else {
            format!("content-length: {}\r\n", self.size())
        }
    }

    /// A part of the body as it goes over the wire.
    fn framed(&self, part: &Bytes) -> Bytes {
        if self.stream { chunk(part) } else { part.clone() }
    }

    /// The whole answer in good order, with more header lines.
    fn whole(&self, more: &str) -> Script {
        let mut writes = vec![self.head(&(self.framing() + more))];
        writes.extend(self.parts.iter().map(|part| self.framed(part)));
        if self.stream {
            writes.push(text("0\r\n\r\n"));
        }
        Script::new(writes, End::Finish)
    }

    /// The answer up to a place.
    fn until(&self, place: Place) -> Vec<Bytes> {
        let head = self.head(&self.framing());
        match place {
            Place::BeforeHead => Vec::new(),
            Place::InHead => vec![head.slice(..head.len() / 2)],
            Place::AfterHead => vec![head],
            Place::InBody => {
                let mut writes = vec![head];
                writes.extend(self.first_parts().iter().map(|part| self.framed(part)));
                writes
            }
        }
    }

    /// The first events and half of the next; half of a plain answer.
    fn first_parts(&self) -> Vec<Bytes> {
        let whole = if self.stream { EVENTS_BEFORE.min(self.parts.len()) } else { 0 };
        let mut parts = self.parts[..whole].to_vec();
        if let Some(next) = self.parts.get(whole) {
            parts.push(next.slice(..next.len() / 2));
        }
        parts
    }

    fn truncated(&self) -> Self {
        Self { stream: self.stream, parts: self.first_parts() }
    }

    fn with_head(&self, framing: &str) -> Script {
        Script::new(vec![self.head(framing), Bytes::from(self.body())], End::Finish)
    }

    fn with_length(&self, length: usize) -> Script {
        self.with_head(&format!("content-length: {length}\r\n"))
    }

    fn garbage_chunk(&self) -> Script {
        let mut writes = vec![self.head("transfer-encoding: chunked\r\n")];
        writes.extend(self.first_parts().iter().map(chunk));
        writes.push(text("zz\r\nno chunk\r\n"));
        Script::new(writes, End::Finish)
    }

    /// Spoils the text in the middle.
    fn not_utf8(&self) -> Self {
        let mut parts = self.parts.clone();
        let middle = parts.len() / 2;
        if let Some(part) = parts.get_mut(middle) {
            let mut bytes = part.to_vec();
            let key = b"\"content\":\"";
            let at = memchr::memmem::find(&bytes, key).map_or(bytes.len(), |at| at + key.len());
            bytes.splice(at..at, [0xff, 0xfe]);
            *part = Bytes::from(bytes);
        }
        Self { stream: self.stream, parts }
    }

    fn endless_body(&self) -> Script {
        let head = self.head("transfer-encoding: chunked\r\n");
        let start = if self.stream { "data: {\"id\":\"" } else { "{\"id\":\"" };
        let refrain = chunk(&Bytes::from(vec![b'x'; REFRAIN]));
        Script { refrain: Some(refrain), ..Script::new(vec![head, chunk(&text(start))], End::Stay) }
    }

    fn drip(&self, from: Part, pause: Duration) -> Script {
        let whole = self.whole("");
        let head = whole.writes.first().map_or(0, Bytes::len);
        let bytes = Bytes::from(whole.writes.concat());
        let at = if from == Part::Head { 0 } else { head };
        let mut writes = vec![bytes.slice(..at)];
        writes.extend((at..bytes.len()).map(|at| bytes.slice(at..=at)));
        Script { pause, ..Script::new(writes, End::Finish) }
    }
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn chunk(part: &Bytes) -> Bytes {
    let mut framed = format!("{:x}\r\n", part.len()).into_bytes();
    framed.extend_from_slice(part);
    framed.extend_from_slice(b"\r\n");
    Bytes::from(framed)
}

fn endless(start: Bytes, line: &str) -> Script {
    let refrain = Bytes::from(line.repeat(REFRAIN / line.len()));
    Script { refrain: Some(refrain), ..Script::new(vec![start], End::Stay) }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Good {
        let body = r#"{"choices":[{"message":{"content":"hello"}}]}"#;
        Good { stream: false, parts: vec![text(body)] }
    }

    fn stream() -> Good {
        let event = |n: u32| text(&format!("data: {{\"content\":\"{n}\"}}\n\n"));
        Good { stream: true, parts: (0..6).map(event).collect() }
    }

    fn bytes(fault: RawFault, good: &Good) -> String {
        String::from_utf8_lossy(&fault.script(good).writes.concat()).into_owned()
    }

    #[test]
    fn places_are_reached_and_not_passed() {
        for good in [plain(), stream()] {
            let sent = |place| bytes(RawFault::Stall(place), &good);
            assert_eq!(sent(Place::BeforeHead), "");
            assert!(sent(Place::InHead).starts_with("HTTP/1.1 200 OK\r\n"));
            assert!(!sent(Place::InHead).contains("\r\n\r\n"));
            assert!(sent(Place::AfterHead).ends_with("\r\n\r\n"));
            assert!(sent(Place::InBody).len() > sent(Place::AfterHead).len());
            assert!(sent(Place::InBody).len() < bytes(RawFault::Interim, &good).len());
        }
        let sent = bytes(RawFault::Stall(Place::InBody), &stream());
        assert!(sent.contains("\"2\"}\n\n") && !sent.contains("\"3\"}"), "{sent}");
    }

    #[test]
    fn wrong_lengths_are_wrong_in_the_direction_of_their_name() {
        let announced = |fault| {
            let sent = bytes(fault, &plain());
            let (head, body) = sent.split_once("\r\n\r\n").unwrap();
            let length = head.split("content-length: ").nth(1).unwrap();
            (length.parse::<usize>().unwrap(), body.len())
        };
        let (long, sent) = announced(RawFault::LengthTooLong);
        assert!(long > sent);
        let (short, sent) = announced(RawFault::LengthTooShort);
        assert!(short < sent);
    }

    #[test]
    fn a_truncated_stream_ends_in_good_order_but_not_with_a_blank_line() {
        let sent = bytes(RawFault::Truncated, &stream());
        let body = sent.strip_suffix("0\r\n\r\n").unwrap();
        assert!(!body.ends_with("\n\n\r\n"), "{body}");
    }

    #[test]
    fn drips_are_single_bytes_of_the_good_answer() {
        let script = RawFault::Drip { from: Part::Body, pause_ms: 5 }.script(&plain());
        assert!(script.writes[1..].iter().all(|write| write.len() == 1));
        assert_eq!(script.writes.concat(), plain().whole("").writes.concat());
    }

    #[test]
    fn spoilt_text_is_no_utf8_and_the_rest_is_as_it_was() {
        for good in [plain(), stream()] {
            let sent = RawFault::NotUtf8.script(&good).writes.concat();
            assert!(std::str::from_utf8(&sent).is_err());
        }
    }

    #[test]
    fn what_never_ends_has_no_end() {
        for fault in [RawFault::Endless(Part::Head), RawFault::Endless(Part::Body), RawFault::EndlessInterim]
        {
            let script = fault.script(&stream());
            assert!(script.refrain.is_some_and(|refrain| refrain.len() > 1000) && script.end == End::Stay);
        }
    }

    #[test]
    fn faults_have_short_names_in_json() {
        let read = |json| serde_json::from_str::<RawFault>(json).unwrap();
        assert_eq!(read(r#"{"stall":"in_body"}"#), RawFault::Stall(Place::InBody));
        assert_eq!(read(r#""gzip""#), RawFault::Gzip);
        assert_eq!(read(r#"{"endless":"head"}"#), RawFault::Endless(Part::Head));
    }
}
