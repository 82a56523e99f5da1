//! Pictures, sounds and documents: their bytes in the request, or in the caller's S3.

use serde::Serialize;
use tollgate_families::Traits;

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
    // The model sees more of it than was asked for, at another price.
    if image.detail.as_deref() == Some("low") {
        unmapped.hint("messages[].content[].image_url.detail");
    }
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

/// Names of a request's documents: each must be another one.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

/// A document; `None` if it was left out.
pub(super) fn document<'r>(
    document: &'r Media<'_>,
    name: Option<&str>,
    traits: &Traits,
    names: &mut Names,
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
            "text/markdown" => "md",
            kind if kind.starts_with("text/") => "txt",
            _ => return None,
        })
    };
    let media = &traits.media;
    let has_room = media.documents_most.is_none_or(|most| names.0.len() < most as usize);
    let is_taken =
        |block: &MediaBlock<'_>| if block.format == "pdf" { media.pdf } else { media.text_documents };
    let block = block(&document.media_type, media::locate(&document.source), format);
    match block.filter(|block| has_room && is_taken(block)) {
        Some(block) => Ok(Some(MediaBlock { name: Some(names.add(name)), ..block })),
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
    Some(MediaBlock { format: format(kind)?, name: None, source })
}

impl Names {
    /// The name of the next document, in the letters that the API allows: letters, digits, single spaces, hyphens,
    /// parentheses, brackets. It depends on the documents before it alone, so that a prompt begins as it did a turn ago.
    fn add(&mut self, name: Option<&str>) -> String {
        let clean = clean_name(name.unwrap_or_default());
        let mut nth = self.0.len();
        let mut unique = if nth == 0 { clean.clone() } else { format!("{clean} {}", nth + 1) };
        while self.0.contains(&unique) {
            nth += 1;
            unique = format!("{clean} {}", nth + 1);
        }
        self.0.push(unique.clone());
        unique
    }
}

fn clean_name(name: &str) -> String {
    let mut clean = String::new();
    for letter in name.chars() {
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
    (if clean.is_empty() { UNNAMED } else { clean }).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_documents_are_brought_into_the_allowed_letters_and_differ() {
        let mut names = Names::default();
        assert_eq!(names.add(Some("Q3_report  (final).pdf")), "Q3-report (final)-pdf");
        assert_eq!(names.add(Some("Q3_report  (final).pdf")), "Q3-report (final)-pdf 2");
        assert_eq!(names.add(None), "document 3");
        assert_eq!(names.add(Some("日本 5")), "5 4");
        assert_eq!(Names::default().add(Some("日本")), "document");
        let mut twins = Names(vec!["a".to_owned(), "a 3".to_owned()]);
        assert_eq!(twins.add(Some("a")), "a 4");
        let mut many = Names(vec![String::new(); 123_456]);
        assert!(many.add(Some(&"x".repeat(500))).len() <= MAX_NAME_BYTES);
    }
}
