//! A body coded as it goes out.

use std::{fmt, io};

use bytes::{Bytes, BytesMut};
use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZlibEncoder, ZstdEncoder};

use crate::Coding;
use crate::decode::PIECE_BYTES;

/// Levels that cost about the same for texts: some 10 ms per MiB.
const ZSTD_LEVEL: i32 = 3;
const BROTLI_QUALITY: i32 = 4;
const GZIP_LEVEL: i32 = 5;
/// Window of Brotli as a power of two: what is allocated for it.
const BROTLI_WINDOW: i32 = 19;

/// Codes one body.
pub struct Encoding {
    coding: Coding,
    encoder: Box<dyn EncodeV2>,
}

impl Encoding {
    /// In this coding.
    #[must_use]
    pub fn new(coding: Coding) -> Self {
        let gzip = || Level::Precise(GZIP_LEVEL).into();
        let encoder: Box<dyn EncodeV2> = match coding {
            Coding::Gzip => Box::new(GzipEncoder::new(gzip())),
            Coding::Deflate => Box::new(ZlibEncoder::new(gzip())),
            Coding::Brotli => {
                let quality = EncoderParams::default().quality(Level::Precise(BROTLI_QUALITY));
                Box::new(BrotliEncoder::new(quality.window_size(BROTLI_WINDOW)))
            }
            Coding::Zstd => Box::new(ZstdEncoder::new(ZSTD_LEVEL)),
        };
        Self { coding, encoder }
    }

    /// In which it codes.
    #[must_use]
    pub const fn coding(&self) -> Coding {
        self.coding
    }

    /// Takes the next bytes of the body; what comes of them may come later.
    ///
    /// # Errors
    /// When the coder fails, which it does not for any bytes.
    pub fn push(&mut self, data: &[u8]) -> io::Result<Bytes> {
        let mut coded = BytesMut::new();
        let mut input = PartialBuffer::new(data);
        while !input.unwritten().is_empty() {
            room(&mut coded, |output| self.encoder.encode(&mut input, output).map(|()| true))?;
        }
        Ok(coded.freeze())
    }

    /// The rest, after the last bytes of the body.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn end(&mut self) -> io::Result<Bytes> {
        let mut coded = BytesMut::new();
        while !room(&mut coded, |output| self.encoder.finish(output))? {}
        Ok(coded.freeze())
    }
}

/// Appends what `write` writes.
fn room(
    coded: &mut BytesMut,
    write: impl FnOnce(&mut WriteBuffer<'_>) -> io::Result<bool>,
) -> io::Result<bool> {
    let before = coded.len();
    coded.resize(before + PIECE_BYTES, 0);
    let mut output = WriteBuffer::new_initialized(&mut coded[before..]);
    let done = write(&mut output)?;
    let made = output.written_len();
    coded.truncate(before + made);
    Ok(done)
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoding").field("coding", &self.coding).finish_non_exhaustive()
    }
}
