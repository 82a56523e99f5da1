//! Pictures, sounds and documents: their bytes in the request, or in the caller's S3.

use serde::Serialize;

use crate::error::FormatError;
use crate::exchange::{Image, Media};
use crate::media::{self, Location};
use crate::unmapped::Unmapped;

/// Name of a document without a name; the API demands one.
const UNNAMED: &str = "document";
/// Longest name of a document, bytes.
const MAX_NAME_BYTES: usize = 200;

/// A medium in one of the API's formats.
#[derive(Debug, Serialize)]
pub(super) struct MediaBlock<'r> {
    format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    source: MediaSource<'r>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum MediaSource<'r> {
    /// Base64 on the wire.
    Bytes(&'r str),
    S3Location(S3Location<'r>),
}

#[derive(Debug, Serialize)]
struct S3Location<'r> {
    uri: &'r str,
}

/// A picture; `None` if it was left out: others than png, jpeg, gif and webp, and those at addresses, which the
/// API does not fetch.
pub(super) fn image<'r>(
    image: &'r Image<'_>,
    unmapped: &mut Unmapped,
) -> Result<Option<MediaBlock<'r>>, FormatError> {
    let is_coarse = image.detail.as_deref() == Some("low");
    unmapped.given("messages[].content[].image_url.detail", is_coarse.then_some(&()))?;
    let format = |kind: &str| {
        Some(match kind {
            "image/png" => "png",
            "image/jpeg" => "jpeg",
            "image/gif" => "gif",
            "image/webp" => "webp",
            _ => return None,
        })
    };
    let block = block(&image.media_type, media::locate(&image.source), format);
    if block.is_none() {
        unmapped.param("messages[].content[].image_url")?;
    }
    Ok(block)
}

/// A sound; `None` if it was left out.
pub(super) fn audio<'r>(
    audio: &'r Media<'_>,
    unmapped: &mut Unmapped,
) -> Result<Option<MediaBlock<'r>>, FormatError> {
    let format = |kind: &str| {
        Some(match kind {
            "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
            "audio/mp3" | "audio/mpeg" => "mp3",
            "audio/opus" => "opus",
            "audio/aac" => "aac",
            "audio/flac" => "flac",
            "audio/ogg" => "ogg",
            "audio/mp4" | "audio/m4a" => "m4a",
            "audio/webm" => "webm",
            "audio/pcm" => "pcm",
            _ => return None,
        })
    };
    let block = block(&audio.media_type, media::locate(&audio.source), format);
    if block.is_none() {
        unmapped.param("messages[].content[].input_audio")?;
    }
    Ok(block)
}

/// A document; `None` if it was left out. `nth` tells apart documents of one request: names must differ.
pub(super) fn document<'r>(
    document: &'r Media<'_>,
    name: Option<&str>,
    nth: usize,
    unmapped: &mut Unmapped,
) -> Result<Option<MediaBlock<'r>>, FormatError> {
    let format = |kind: &str| {
        Some(match kind {
            "application/pdf" => "pdf",
            "text/csv" => "csv",
            "application/msword" => "doc",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
            "application/vnd.ms-excel" => "xls",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
            "text/html" => "html",
            "text/plain" => "txt",
            "text/markdown" => "md",
            _ => return None,
        })
    };
    match block(&document.media_type, media::locate(&document.source), format) {
        Some(block) => Ok(Some(MediaBlock { name: Some(document_name(name, nth)), ..block })),
        None => unmapped.param("messages[].content[].file").map(|()| None),
    }
}

fn block<'r>(
    said: &'r str,
    location: Location<'r>,
    format: impl Fn(&str) -> Option<&'static str>,
) -> Option<MediaBlock<'r>> {
    let (kind, source) = match location {
        Location::Inline { media_type, data } => {
            (media::media_type(said, media_type, data)?, MediaSource::Bytes(data))
        }
        Location::Address(uri) | Location::File(uri) if uri.starts_with("s3://") => (
            media::media_type(said, "", "").or_else(|| media::by_ending(uri))?,
            MediaSource::S3Location(S3Location { uri }),
        ),
        Location::Address(_) | Location::File(_) => return None,
    };
    let plain = kind.split(';').next().unwrap_or(kind).trim_ascii();
    Some(MediaBlock { format: format(plain)?, name: None, source })
}

/// In the letters that the API allows: letters, digits, single spaces, hyphens, parentheses, brackets.
fn document_name(name: Option<&str>, nth: usize) -> String {
    let mut clean = String::new();
    for letter in name.unwrap_or_default().chars() {
        let letter = match letter {
            letter if letter.is_ascii_alphanumeric() => letter,
            '-' | '(' | ')' | '[' | ']' => letter,
            '_' | '.' => '-',
            _ => ' ',
        };
        if clean.len() < MAX_NAME_BYTES - 8 && !(letter == ' ' && (clean.is_empty() || clean.ends_with(' ')))
        {
            clean.push(letter);
        }
    }
    let clean = clean.trim_ascii_end();
    let clean = if clean.is_empty() { UNNAMED } else { clean };
    if nth == 0 { clean.to_owned() } else { format!("{clean} {}", nth + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_documents_are_brought_into_the_allowed_letters_and_differ() {
        assert_eq!(document_name(Some("Q3_report  (final).pdf"), 0), "Q3-report (final)-pdf");
        assert_eq!(document_name(Some("Q3_report  (final).pdf"), 1), "Q3-report (final)-pdf 2");
        assert_eq!(document_name(Some("日本"), 0), "document");
        assert_eq!(document_name(None, 2), "document 3");
        assert!(document_name(Some(&"x".repeat(500)), 123_456).len() <= MAX_NAME_BYTES);
    }
}
