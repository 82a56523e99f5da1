//! A picture of a streamed answer, which comes in pieces and is handed on whole.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::error::FormatError;
use crate::exchange::{Image, Source};
use crate::media;

/// Most bytes of a picture, in base64.
const MOST_LETTERS: usize = 32 * 1024 * 1024;

/// A picture so far.
#[derive(Debug)]
pub(super) struct Picture {
    /// The provider's number of its block.
    block: u32,
    /// `png`, `jpeg`, or empty if it is not said.
    format: String,
    data: String,
}

impl Picture {
    pub(super) fn new(block: u32, format: &str) -> Self {
        Self { block, format: format.to_owned(), data: String::new() }
    }

    pub(super) const fn is_of(&self, block: u32) -> bool {
        self.block == block
    }

    /// Adds a piece, which is base64 of its own: one that is filled up at its end cannot just go on.
    pub(super) fn add(&mut self, piece: &str) -> Result<(), FormatError> {
        let wrong = |message: &str| FormatError::invalid(message.to_owned(), None);
        if self.data.len() + piece.len() > MOST_LETTERS {
            return Err(wrong("a picture of the stream is too large"));
        }
        if self.data.len().is_multiple_of(4) && !self.data.ends_with('=') {
            self.data.push_str(piece);
            return Ok(());
        }
        let decode = |text: &str| BASE64_STANDARD.decode(text);
        let mut bytes = decode(&self.data).map_err(|_| wrong("a picture of the stream is no base64"))?;
        bytes.extend(decode(piece).map_err(|_| wrong("a picture of the stream is no base64"))?);
        self.data = BASE64_STANDARD.encode(bytes);
        Ok(())
    }

    /// The picture; `None` if nothing of it came.
    pub(super) fn whole(self) -> Option<Image<'static>> {
        if self.data.is_empty() {
            return None;
        }
        let said = if self.format.is_empty() { String::new() } else { format!("image/{}", self.format) };
        let media_type = media::media_type(&said, "", &self.data).unwrap_or_default().to_owned();
        let (media_type, source) = (media_type.into(), Source::Base64(self.data.into()));
        Some(Image { media_type, source, detail: None, cache: None })
    }
}
