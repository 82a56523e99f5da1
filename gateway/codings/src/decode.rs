//! Decodes a body as it comes. The decoded size is bounded, and the output comes in small pieces, so that the caller
//! can stop at any time.

use std::{fmt, io};

use bytes::{Buf as _, Bytes, BytesMut};
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::DParameter;
use compression_codecs::{BrotliDecoder, DecodeV2, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};

use crate::Coding;

/// Most bytes of one piece.
pub const PIECE_BYTES: usize = 16 << 10;
/// Largest window of zstd, as a power of two: what its decoder may allocate. Brotli has the same bound by itself.
const MAX_WINDOW_LOG: u32 = 24;

/// Why a body cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It becomes too large.
    #[error("it becomes more than {most} bytes")]
    TooLarge {
        /// The bound, bytes.
        most: u64,
    },
    /// It is not what its coding says.
    #[error("it is not valid {}", coding.as_str())]
    Broken {
        /// In which it should be.
        coding: Coding,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// It ends too early.
    #[error("its {} data is cut short", coding.as_str())]
    CutShort {
        /// In which it should be.
        coding: Coding,
    },
}

/// Decodes one body: [`Self::push`] what has come, take [`Self::piece`]s until there are none, and so on to its
/// [`Self::end`].
#[derive(Debug)]
pub struct Decoding {
    /// The coding that was applied last comes first.
    stages: Vec<Stage>,
}

/// One coding of the body.
struct Stage {
    coding: Coding,
    /// Made when the first byte is there.
    decoder: Option<Box<dyn DecodeV2>>,
    input: Bytes,
    /// The decoder may have more without more input.
    has_more: bool,
    /// It has come to an end that may be the last one.
    ended: bool,
    made: u64,
    most: u64,
}

impl Decoding {
    /// Of a body with these codings, in the order in which they were applied. Beyond `most` bytes, also between two
    /// codings, it is too large.
    #[must_use]
    pub fn new(codings: &[Coding], most: u64) -> Self {
        Self { stages: codings.iter().rev().map(|coding| Stage::new(*coding, most)).collect() }
    }

    /// Takes what has come. Pieces of what came before must have been taken.
    pub fn push(&mut self, data: Bytes) {
        if let Some(first) = self.stages.first_mut() {
            first.input = data;
        }
    }

    /// The next piece of the decoded body, without a byte where there was work to do but nothing came of it; `None` if
    /// more must come first. One call is little work, whatever the body claims.
    ///
    /// # Errors
    /// When it cannot be decoded or becomes too large.
    pub fn piece(&mut self) -> Result<Option<Bytes>, DecodeError> {
        for at in (0..self.stages.len()).rev() {
            let Some(piece) = self.stages[at].piece()? else { continue };
            return Ok(Some(match self.stages.get_mut(at + 1) {
                None => piece,
                Some(next) => {
                    next.input = piece;
                    Bytes::new()
                }
            }));
        }
        Ok(None)
    }

    /// The body is over; all pieces have been taken.
    ///
    /// # Errors
    /// When it should go on.
    pub fn end(&mut self) -> Result<(), DecodeError> {
        // A body without a byte was not coded at all, whatever its head says.
        let begun = self.stages.first().is_some_and(|stage| stage.decoder.is_some());
        self.stages.iter_mut().filter(|_| begun).try_for_each(Stage::end)
    }
}

impl Stage {
    fn new(coding: Coding, most: u64) -> Self {
        Self { coding, decoder: None, input: Bytes::new(), has_more: false, ended: false, made: 0, most }
    }

    fn piece(&mut self) -> Result<Option<Bytes>, DecodeError> {
        if !self.has_more && self.input.is_empty() {
            return Ok(None);
        }
        let piece = self.step().map_err(|source| DecodeError::Broken { coding: self.coding, source })?;
        self.made = self.made.saturating_add(piece.len() as u64);
        if self.made > self.most {
            return Err(DecodeError::TooLarge { most: self.most });
        }
        Ok(Some(piece))
    }

    /// One call of the decoder; without bytes if it only read.
    fn step(&mut self) -> io::Result<Bytes> {
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(decoder(self.coding, self.input.first().copied().unwrap_or_default())),
        };
        if std::mem::take(&mut self.ended) {
            // Gzip and zstd may consist of several members (RFC 1952 §2.2, RFC 8878 §3).
            if !matches!(self.coding, Coding::Gzip | Coding::Zstd) {
                return Err(io::Error::other("there is more after its end"));
            }
            decoder.reinit()?;
        }
        let mut out = BytesMut::zeroed(PIECE_BYTES);
        let mut output = WriteBuffer::new_initialized(&mut out);
        let mut input = PartialBuffer::new(&self.input[..]);
        if self.input.is_empty() {
            // A call without input would be an error of some decoders.
            decoder.flush(&mut output)?;
        } else {
            self.ended = decoder.decode(&mut input, &mut output)?;
        }
        let (made, used) = (output.written_len(), input.written_len());
        self.has_more = output.has_no_spare_space() && !self.ended;
        if made == 0 && used == 0 && !self.input.is_empty() && !self.ended {
            return Err(io::Error::other("it does not go on"));
        }
        self.input.advance(used);
        out.truncate(made);
        Ok(out.freeze())
    }

    fn end(&mut self) -> Result<(), DecodeError> {
        let cut_short = DecodeError::CutShort { coding: self.coding };
        if self.ended {
            return Ok(());
        }
        let Some(decoder) = &mut self.decoder else { return Err(cut_short) };
        // The end of some streams is noticed only now.
        let mut rest = [0; 16];
        let mut output = WriteBuffer::new_initialized(&mut rest);
        match decoder.finish(&mut output) {
            Ok(true) if output.written_len() == 0 => Ok(()),
            _ => Err(cut_short),
        }
    }
}

/// `first` is the first byte of the body.
fn decoder(coding: Coding, first: u8) -> Box<dyn DecodeV2> {
    match coding {
        Coding::Gzip => Box::new(GzipDecoder::new()),
        // RFC 1950 begins with its method, 8. A block of RFC 1951 whose first byte looks so has padding that is not 0.
        Coding::Deflate if first & 0x0f == 8 => Box::new(ZlibDecoder::new()),
        Coding::Deflate => Box::new(DeflateDecoder::new()),
        Coding::Brotli => Box::new(BrotliDecoder::new()),
        Coding::Zstd => Box::new(ZstdDecoder::new_with_params(&[DParameter::window_log_max(MAX_WINDOW_LOG)])),
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("coding", &self.coding)
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
