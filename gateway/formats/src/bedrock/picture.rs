//! A picture of a streamed answer, which comes in pieces and is handed on whole.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::error::FormatError;
use crate::exchange::{Image, Source};
use crate::media;

/// Most bytes of a picture: 32 MiB in base64.
const MOST_BYTES: usize = 24 << 20;

/// A picture so far.
#[derive(Debug)]
pub(super) struct Picture {
    /// The provider's number of its block.
    block: u32,
    /// `png`, `jpeg`, or empty if it is not said.
    format: String,
    bytes: Vec<u8>,
    /// Fewer than four letters of base64 that wait for the others of their group.
    rest: Vec<u8>,
}

impl Picture {
    pub(super) fn new(block: u32, format: &str) -> Self {
        Self { block, format: format.to_owned(), bytes: Vec::new(), rest: Vec::new() }
    }

    pub(super) const fn is_of(&self, block: u32) -> bool {
        self.block == block
    }

    /// Adds a piece: a part of one base64 text, or base64 of its own that is filled up at its end.
    pub(super) fn add(&mut self, piece: &str) -> Result<(), FormatError> {
        if self.bytes.len() + piece.len() / 4 * 3 > MOST_BYTES {
            return Err(FormatError::invalid("a picture of the stream is too large".to_owned(), None));
        }
        let no_base64 = || FormatError::invalid("a picture of the stream is no base64".to_owned(), None);
        self.rest.extend(piece.as_bytes());
        let mut read = 0;
        while let Some(group) = whole_groups(self.rest.get(read..).unwrap_or_default()) {
            BASE64_STANDARD.decode_vec(group, &mut self.bytes).map_err(|_| no_base64())?;
            read += group.len();
        }
        self.rest.drain(..read);
        Ok(())
    }

    /// The picture; `None` if nothing of it came.
    pub(super) fn whole(self) -> Option<Image<'static>> {
        if self.bytes.is_empty() {
            return None;
        }
        let data = BASE64_STANDARD.encode(self.bytes);
        let said = if self.format.is_empty() { String::new() } else { format!("image/{}", self.format) };
        let media_type = media::media_type(&said, "", &data).unwrap_or_default().to_owned();
        Some(Image {
            media_type: media_type.into(),
            source: Source::Base64(data.into()),
            detail: None,
            cache: None,
        })
    }
}

/// Whole groups of four letters at the beginning, up to the first that is filled up.
fn whole_groups(text: &[u8]) -> Option<&[u8]> {
    let most = text.len() / 4 * 4;
    let filled = memchr::memchr(b'=', text).map_or(most, |at| at / 4 * 4 + 4);
    text.get(..filled.min(most)).filter(|groups| !groups.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(pieces: &[&str]) -> Result<String, FormatError> {
        let mut picture = Picture::new(0, "png");
        for piece in pieces {
            picture.add(piece)?;
        }
        match picture.whole().unwrap().source {
            Source::Base64(data) => Ok(data.into_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pieces_are_one_text_wherever_it_is_cut_or_texts_of_their_own() {
        for pieces in
            [&["aGVsbG8gd29ybGQ="][..], &["aGV", "sbG", "8gd29ybGQ", "="], &["aA==", "ZWxsbw==", "IHdvcmxk"]]
        {
            assert_eq!(gathered(pieces).unwrap(), "aGVsbG8gd29ybGQ=", "{pieces:?}");
        }
    }

    #[test]
    fn what_is_no_base64_or_too_large_is_refused() {
        assert!(gathered(&["a=bc"]).is_err());
        assert!(gathered(&["a\u{e9}\u{e9}\u{e9}"]).is_err());
        let large = "A".repeat(4 << 20);
        assert!(gathered(&[large.as_str(); 9]).is_err());
        assert!(gathered(&[large.as_str(); 7]).is_ok());
    }
}
