//! Server-sent events, chunk by chunk (WHATWG HTML, §9.2 "Server-sent events").
//!
//! [`Splitter`] finds the events in a byte stream that is cut anywhere, hands each to a judge that may drop
//! it, and gives back the bytes to relay. A chunk that holds only whole events which all stay is relayed as
//! it came, without a copy. Bytes of an event whose end has not arrived wait inside, bounded.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// What happens to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is relayed.
    Keep,
    /// The client does not see it.
    Drop,
    /// It is relayed with other data.
    Replace(String),
}

/// One event, as far as formats read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its `event` field; `None` if it has no such line or an empty one.
    pub name: Option<&'a str>,
    /// Its `data` lines joined by line feeds.
    pub data: &'a str,
}

/// An event grew beyond the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {limit} bytes")]
pub struct TooLarge {
    /// The bound in bytes.
    pub limit: usize,
}

/// Splits a byte stream into events.
#[derive(Debug)]
pub struct Splitter {
    /// Bytes of the event that has begun but not ended.
    partial: BytesMut,
    /// Bytes of `partial` that are known to hold no end of an event.
    searched: usize,
    /// Whether the stream's first byte is still to come: a byte order mark is allowed there.
    at_start: bool,
    limit: usize,
}

impl Splitter {
    /// A splitter that refuses events of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { partial: BytesMut::new(), searched: 0, at_start: true, limit }
    }

    /// Takes the next chunk, shows every event that is complete now and has data to `judge`, and returns the
    /// bytes to relay, possibly no bytes. Events without data (comments, bare names) are relayed unseen.
    ///
    /// # Errors
    /// [`TooLarge`] when an event does not end within the bound.
    pub fn push(
        &mut self,
        chunk: Bytes,
        mut judge: impl FnMut(Event<'_>) -> Action,
    ) -> Result<Bytes, TooLarge> {
        if self.partial.is_empty() {
            return self.split_whole(chunk, &mut judge);
        }
        self.partial.extend_from_slice(&chunk);
        // An event that goes on stays where it is: it would else be copied again with every chunk.
        if let Err(line) = event_end(&self.partial, self.searched) {
            self.searched = line;
            return match self.partial.len() <= self.limit {
                true => Ok(Bytes::new()),
                false => Err(TooLarge { limit: self.limit }),
            };
        }
        let joined = std::mem::take(&mut self.partial).freeze();
        self.split_whole(joined, &mut judge)
    }

    /// The stream ended: what is left, when its last event has no blank line behind it. Proxies lose that line, and the
    /// standard has clients drop such an event; it is the one that says how the answer ended and what was used. So it
    /// is shown to `judge`, and given back with its blank line if that could read it, else as it came.
    #[must_use]
    pub fn end(&mut self, judge: impl FnOnce(Event<'_>) -> Option<Action>) -> Bytes {
        self.searched = 0;
        let mut event = std::mem::take(&mut self.partial);
        let came = event.len();
        if came == 0 {
            return Bytes::new();
        }
        if !matches!(event.last(), Some(b'\n' | b'\r')) {
            event.extend_from_slice(b"\n");
        }
        event.extend_from_slice(b"\n");
        let event = event.freeze();
        let fields = Fields::of(&event, std::mem::take(&mut self.at_start));
        match fields.event().and_then(judge) {
            Some(Action::Keep) => event,
            Some(Action::Drop) => Bytes::new(),
            Some(Action::Replace(data)) => {
                let mut out = BytesMut::new();
                fields.write_with(&event, &data, &mut out);
                out.freeze()
            }
            None => event.slice(..came),
        }
    }

    fn split_whole(
        &mut self,
        bytes: Bytes,
        judge: &mut impl FnMut(Event<'_>) -> Action,
    ) -> Result<Bytes, TooLarge> {
        let mut kept: Option<BytesMut> = None;
        let mut start = 0;
        let mut search = std::mem::take(&mut self.searched);
        loop {
            let end = match event_end(&bytes, search) {
                Ok(end) => end,
                Err(line) => {
                    self.searched = line - start;
                    break;
                }
            };
            let event = &bytes[start..end];
            // Also when it came at once: the bound must not depend on where the stream is cut.
            if event.len() > self.limit {
                return Err(TooLarge { limit: self.limit });
            }
            let fields = Fields::of(event, std::mem::take(&mut self.at_start));
            let action = fields.event().map_or(Action::Keep, &mut *judge);
            act(action, event, &fields, &bytes[..start], &mut kept);
            start = end;
            search = end;
        }
        if bytes.len() - start > self.limit {
            return Err(TooLarge { limit: self.limit });
        }
        self.partial.extend_from_slice(&bytes[start..]);
        Ok(match kept {
            Some(out) => out.freeze(),
            None => bytes.slice(..start),
        })
    }
}

/// Does with an event what was decided. What came `before` it is copied once something is changed.
fn act(action: Action, event: &[u8], fields: &Fields<'_>, before: &[u8], kept: &mut Option<BytesMut>) {
    match (action, kept) {
        (Action::Keep, Some(out)) => out.extend_from_slice(event),
        (Action::Keep, None) | (Action::Drop, Some(_)) => {}
        (Action::Drop, kept) => *kept = Some(BytesMut::from(before)),
        (Action::Replace(data), out) => {
            let out = out.get_or_insert_with(|| BytesMut::from(before));
            fields.write_with(event, &data, out);
        }
    }
}

/// The index after the first blank line at or after the line that starts at `line`; else the start of the line
/// at which the search has to go on when more bytes are there.
fn event_end(bytes: &[u8], mut line: usize) -> Result<usize, usize> {
    loop {
        let (line_end, next) = next_line(bytes, line).ok_or(line)?;
        if line_end == line {
            return Ok(next);
        }
        line = next;
    }
}

/// End of the line that starts at `from`, and the start of the next one. Lines end in LF, CR LF or CR; a
/// CR at the very end is not judged until the byte after it is known.
fn next_line(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let at = from + memchr::memchr2(b'\n', b'\r', bytes.get(from..)?)?;
    if bytes[at] == b'\n' {
        return Some((at, at + 1));
    }
    match bytes.get(at + 1) {
        Some(b'\n') => Some((at, at + 2)),
        Some(_) => Some((at, at + 1)),
        None => None,
    }
}

/// The fields of an event that formats read.
#[derive(Default)]
struct Fields<'a> {
    name: Option<&'a str>,
    data: Option<Cow<'a, str>>,
}

impl<'a> Fields<'a> {
    /// Reads an event; an event that is not UTF-8 where it matters has no fields.
    fn of(event: &'a [u8], at_start: bool) -> Self {
        let mut fields = Self::default();
        let mut line = if at_start && event.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        while let Some((end, next)) = next_line(event, line).or_else(|| last_line(event, line)) {
            if fields.take_line(&event[line..end]).is_none() {
                return Self::default();
            }
            line = next;
        }
        fields
    }

    fn event(&self) -> Option<Event<'_>> {
        let name = self.name.filter(|name| !name.is_empty());
        self.data.as_deref().map(|data| Event { name, data })
    }

    /// Writes the event with other data. Where its data is one line, all other bytes stay as they came.
    fn write_with(&self, event: &[u8], data: &str, out: &mut BytesMut) {
        if let Some(Cow::Borrowed(old)) = self.data
            && !data.contains(['\n', '\r'])
        {
            let start = (old.as_ptr() as usize).saturating_sub(event.as_ptr() as usize);
            out.extend_from_slice(event.get(..start).unwrap_or_default());
            out.extend_from_slice(data.as_bytes());
            out.extend_from_slice(event.get(start + old.len()..).unwrap_or_default());
            return;
        }
        let name = self.name.map(|name| ("event", name)).into_iter();
        for (field, value) in name.chain(data.lines().map(|line| ("data", line))) {
            for piece in [field, ": ", value, "\n"] {
                out.extend_from_slice(piece.as_bytes());
            }
        }
        out.extend_from_slice(b"\n");
    }

    fn take_line(&mut self, line: &'a [u8]) -> Option<()> {
        if let Some(value) = value_of(line, b"data") {
            let value = std::str::from_utf8(value).ok()?;
            self.data = Some(match self.data.take() {
                None => Cow::Borrowed(value),
                Some(before) => {
                    let mut joined = before.into_owned();
                    joined.push('\n');
                    joined.push_str(value);
                    Cow::Owned(joined)
                }
            });
        } else if let Some(value) = value_of(line, b"event") {
            self.name = Some(std::str::from_utf8(value).ok()?);
        }
        Some(())
    }
}

/// The value of a line if it is of this field: what follows the colon and one space.
fn value_of<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(field)? {
        rest @ [] => Some(rest),
        [b':', b' ', rest @ ..] | [b':', rest @ ..] => Some(rest),
        _ => None,
    }
}

fn last_line(event: &[u8], from: usize) -> Option<(usize, usize)> {
    let end = event.len();
    (from < end).then(|| match event[end - 1] {
        b'\r' => (end - 1, end),
        _ => (end, end),
    })
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
