//! Reads one HTTP/1.1 answer from bytes as they come. No I/O here.
//!
//! Knows what servers of this project send: a content length or chunks, no trailers that matter.

use std::fmt;

/// Longest head of an answer, bytes.
const LONGEST_HEAD: usize = 16 << 10;
/// Bytes at the end of a body that are kept.
const TAIL: usize = 16;

/// Reads one answer. [`ResponseReader::reset`] makes it ready for the next.
#[derive(Debug, Default)]
pub struct ResponseReader {
    phase: Phase,
    /// The head so far, or the line with a chunk's size.
    line: Vec<u8>,
    status: u16,
    body_bytes: u64,
    tail: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Head,
    /// So many bytes to the end.
    Length(u64),
    ChunkSize,
    /// So many bytes of this chunk, and the line end after it.
    Chunk(u64),
    ChunkEnd,
    LastLine,
    Done,
}

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(&'static str);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unreadable {}

impl ResponseReader {
    /// Ready for the next answer.
    pub fn reset(&mut self) {
        self.phase = Phase::Head;
        self.line.clear();
        self.tail.clear();
        self.status = 0;
        self.body_bytes = 0;
    }

    /// Takes bytes in and shows those of the body to `body`. Says whether the answer is complete.
    ///
    /// # Errors
    /// When the bytes are no answer, or go on after its end.
    pub fn feed(&mut self, mut input: &[u8], body: &mut impl FnMut(&[u8])) -> Result<bool, Unreadable> {
        while !input.is_empty() {
            input = match self.phase {
                Phase::Head => self.head(input)?,
                Phase::Length(left) => {
                    let (data, rest) = split(input, left);
                    self.data(data, body);
                    let left = left - data.len() as u64;
                    self.phase = if left == 0 { Phase::Done } else { Phase::Length(left) };
                    rest
                }
                Phase::Chunk(left) => {
                    let (data, rest) = split(input, left);
                    self.data(data, body);
                    let left = left - data.len() as u64;
                    self.phase = if left == 0 { Phase::ChunkEnd } else { Phase::Chunk(left) };
                    rest
                }
                Phase::ChunkSize | Phase::ChunkEnd | Phase::LastLine => self.line(input)?,
                Phase::Done => return Err(Unreadable("bytes after the end of the answer")),
            };
        }
        Ok(self.phase == Phase::Done)
    }

    /// HTTP status; 0 before the head is complete.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Bytes of the body so far.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Whether this is a whole, successful answer.
    #[must_use]
    pub fn good(&self, stream: bool) -> bool {
        self.phase == Phase::Done
            && self.status == 200
            && (!stream || self.tail.ends_with(b"data: [DONE]\n\n"))
    }

    fn head<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Unreadable> {
        let before = self.line.len();
        self.line.extend_from_slice(input);
        // The end may have begun in the bytes before.
        let from = before.saturating_sub(3);
        let Some(end) = memchr::memmem::find(&self.line[from..], b"\r\n\r\n") else {
            if self.line.len() > LONGEST_HEAD {
                return Err(Unreadable("the head of the answer is too long"));
            }
            return Ok(&[]);
        };
        let end = from + end + 4;
        self.parse_head(end)?;
        self.line.clear();
        Ok(&input[end - before..])
    }

    fn parse_head(&mut self, end: usize) -> Result<(), Unreadable> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(&self.line[..end]).map_err(|_| Unreadable("the head of the answer is no HTTP"))?;
        self.status = response.code.unwrap_or(0);
        let find = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        if let Some(length) = find("content-length") {
            let length = std::str::from_utf8(length.value).ok().and_then(|length| length.trim().parse().ok());
            let length = length.ok_or(Unreadable("the length of the answer is no number"))?;
            self.phase = if length == 0 { Phase::Done } else { Phase::Length(length) };
        } else if find("transfer-encoding").is_some() {
            self.phase = Phase::ChunkSize;
        } else {
            return Err(Unreadable("the answer has neither a length nor chunks"));
        }
        Ok(())
    }

    /// One line of the chunk framing.
    fn line<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Unreadable> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            self.line.extend_from_slice(input);
            return if self.line.len() > 64 { Err(Unreadable("a chunk has no size")) } else { Ok(&[]) };
        };
        self.line.extend_from_slice(&input[..end]);
        self.phase = match self.phase {
            Phase::ChunkSize => match chunk_size(&self.line)? {
                0 => Phase::LastLine,
                size => Phase::Chunk(size),
            },
            Phase::ChunkEnd => Phase::ChunkSize,
            _ => Phase::Done,
        };
        self.line.clear();
        Ok(&input[end + 1..])
    }

    fn data(&mut self, data: &[u8], body: &mut impl FnMut(&[u8])) {
        self.body_bytes += data.len() as u64;
        let last = &data[data.len().saturating_sub(TAIL)..];
        let excess = (self.tail.len() + last.len()).saturating_sub(TAIL).min(self.tail.len());
        self.tail.drain(..excess);
        self.tail.extend_from_slice(last);
        body(data);
    }
}

fn split(input: &[u8], at: u64) -> (&[u8], &[u8]) {
    let at = usize::try_from(at).unwrap_or(usize::MAX).min(input.len());
    input.split_at(at)
}

fn chunk_size(line: &[u8]) -> Result<u64, Unreadable> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let digits = text.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| Unreadable("the size of a chunk is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
        9\r\ndata: x\n\n\r\nE\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

    /// Body and completeness of an answer that comes in pieces.
    fn read(pieces: &[&[u8]], stream: bool) -> Result<(Vec<u8>, bool), Unreadable> {
        let mut reader = ResponseReader::default();
        let mut body = Vec::new();
        for piece in pieces {
            reader.feed(piece, &mut |data| body.extend_from_slice(data))?;
        }
        Ok((body, reader.good(stream)))
    }

    proptest! {
        #[test]
        fn answers_are_the_same_however_they_are_cut(cuts in proptest::collection::vec(0usize..100, 0..6)) {
            for (answer, stream, expected) in
                [(PLAIN, false, b"hello".as_slice()), (STREAM, true, b"data: x\n\ndata: [DONE]\n\n")]
            {
                let mut at: Vec<usize> = cuts.iter().map(|cut| *cut % answer.len()).collect();
                at.extend([0, answer.len()]);
                at.sort_unstable();
                let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &answer[pair[0]..pair[1]]).collect();
                prop_assert_eq!(read(&pieces, stream), Ok((expected.to_vec(), true)));
            }
        }
    }

    #[test]
    fn a_stream_without_its_last_event_is_not_good() {
        let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: x\n\n\r\n0\r\n\r\n";
        assert_eq!(read(&[answer], true), Ok((b"data: x\n\n".to_vec(), false)));
    }

    #[test]
    fn half_an_answer_and_a_refusal_are_not_good() {
        assert!(!read(&[&PLAIN[..40]], false).unwrap().1);
        assert!(!read(&[b"HTTP/1.1 429 No\r\ncontent-length: 0\r\n\r\n"], false).unwrap().1);
    }

    #[test]
    fn bytes_after_the_end_are_an_error() {
        assert!(read(&[PLAIN, b"x"], false).is_err());
    }
}
