//! Server-sent events, chunk by chunk (WHATWG HTML, §9.2 "Server-sent events").
//!
//! [`Splitter`] finds the events in a byte stream that is cut anywhere, hands each to a judge that may drop
//! it, and gives back the bytes to relay. A chunk that holds only whole events which all stay is relayed as
//! it came, without a copy. Bytes of an event whose end has not arrived wait inside, bounded.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// What happens to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is relayed.
    Keep,
    /// The client does not see it.
    Drop,
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
    limit: usize,
}

impl Splitter {
    /// A splitter that refuses events of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { partial: BytesMut::new(), limit }
    }

    /// Takes the next chunk, shows every event that is complete now to `judge` (its data, without the
    /// field name), and returns the bytes to relay: possibly none.
    ///
    /// # Errors
    /// [`TooLarge`] when an event does not end within the bound.
    pub fn push(&mut self, chunk: Bytes, mut judge: impl FnMut(&str) -> Verdict) -> Result<Bytes, TooLarge> {
        if self.partial.is_empty() {
            return self.split_whole(chunk, judge);
        }
        self.partial.extend_from_slice(&chunk);
        // An end may straddle the two chunks, so the joined bytes are looked at from the start.
        let joined = std::mem::take(&mut self.partial).freeze();
        self.split_whole(joined, &mut judge)
    }

    /// What is left when the stream ends without a blank line; the standard drops it, so do clients.
    #[must_use]
    pub fn take_rest(&mut self) -> Bytes {
        std::mem::take(&mut self.partial).freeze()
    }

    fn split_whole(
        &mut self,
        bytes: Bytes,
        mut judge: impl FnMut(&str) -> Verdict,
    ) -> Result<Bytes, TooLarge> {
        let mut kept: Option<BytesMut> = None;
        let mut start = 0;
        while let Some(end) = event_end(&bytes, start) {
            let event = &bytes[start..end];
            let verdict = match data_of(event) {
                Some(data) => judge(&data),
                None => Verdict::Keep,
            };
            match (verdict, &mut kept) {
                (Verdict::Keep, Some(out)) => out.extend_from_slice(event),
                (Verdict::Keep, None) => {}
                (Verdict::Drop, Some(_)) => {}
                (Verdict::Drop, None) => kept = Some(BytesMut::from(&bytes[..start])),
            }
            start = end;
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

/// The index after the blank line that ends the event starting at `start`.
fn event_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut line = start;
    loop {
        let (line_end, next) = next_line(bytes, line)?;
        if line_end == line {
            return Some(next);
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

/// The data of an event: its `data` lines joined by line feeds; none when it has no such line or they are
/// not UTF-8.
fn data_of(event: &[u8]) -> Option<Cow<'_, str>> {
    let mut data: Option<Cow<'_, str>> = None;
    let mut line = 0;
    while let Some((end, next)) = next_line(event, line).or_else(|| last_line(event, line)) {
        if let Some(value) = event[line..end].strip_prefix(b"data") {
            let value = match value {
                [] => Some(value),
                [b':', b' ', rest @ ..] | [b':', rest @ ..] => Some(rest),
                _ => None,
            };
            if let Some(value) = value {
                let value = std::str::from_utf8(value).ok()?;
                data = Some(match data {
                    None => Cow::Borrowed(value),
                    Some(before) => Cow::Owned(format!("{before}\n{value}")),
                });
            }
        }
        line = next;
    }
    data
}

fn last_line(event: &[u8], from: usize) -> Option<(usize, usize)> {
    let end = event.len();
    (from < end).then(|| match event[end - 1] {
        b'\r' => (end - 1, end),
        _ => (end, end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(chunks: &[&[u8]], drop: &str) -> (String, Vec<String>) {
        let mut splitter = Splitter::new(1 << 16);
        let (mut relayed, mut seen) = (Vec::new(), Vec::new());
        for chunk in chunks {
            let bytes = splitter
                .push(Bytes::copy_from_slice(chunk), |data| {
                    seen.push(data.to_owned());
                    if data == drop { Verdict::Drop } else { Verdict::Keep }
                })
                .unwrap();
            relayed.extend_from_slice(&bytes);
        }
        relayed.extend_from_slice(&splitter.take_rest());
        (String::from_utf8_lossy(&relayed).into_owned(), seen)
    }

    #[test]
    fn whole_events_are_relayed_without_a_copy() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
        let out = Splitter::new(100).push(chunk.clone(), |_| Verdict::Keep).unwrap();
        assert_eq!(out.as_ptr(), chunk.as_ptr());
        assert_eq!(out.len(), chunk.len());
    }

    #[test]
    fn a_dropped_event_leaves_no_trace() {
        let (relayed, seen) = run(&[b"data: a\n\ndata: x\n\ndata: b\n\n"], "x");
        assert_eq!(relayed, "data: a\n\ndata: b\n\n");
        assert_eq!(seen, ["a", "x", "b"]);
    }

    #[test]
    fn every_cut_gives_the_same_events_and_bytes() {
        let text =
            "event: e\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n: comment\n\ndata:x\n\nid: 7\rdata\r\rdata: é\n\n";
        let whole = run(&[text.as_bytes()], "x");
        assert_eq!(whole.1, ["{\"a\":\n1}", "x", "", "é"]);
        for cut in 0..=text.len() {
            let (head, tail) = text.as_bytes().split_at(cut);
            assert_eq!(run(&[head, tail], "x"), whole, "cut at {cut}");
        }
        let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(run(&single, "x"), whole);
    }

    #[test]
    fn an_event_without_end_is_refused_at_the_bound() {
        let mut splitter = Splitter::new(10);
        assert!(splitter.push(Bytes::from_static(b"data: 12345"), |_| Verdict::Keep).is_err());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_invented(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'd'), Just(b':'), any::<u8>()], 0..300), cuts in proptest::collection::vec(0usize..300, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut splitter = Splitter::new(1 << 16);
            let mut relayed = Vec::new();
            let mut from = 0;
            for to in cuts.into_iter().chain([bytes.len()]) {
                relayed.extend_from_slice(&splitter.push(Bytes::copy_from_slice(&bytes[from..to]), |_| Verdict::Keep).unwrap());
                from = to;
            }
            relayed.extend_from_slice(&splitter.take_rest());
            prop_assert_eq!(relayed, bytes);
        }
    }
}
