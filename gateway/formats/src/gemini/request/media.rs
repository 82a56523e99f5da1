//! Pictures, sounds and documents.

use serde::Serialize;
use tollgate_families::{Media, Traits};

use crate::error::FormatError;
use crate::exchange::{self, Part, Source};
use crate::media::{self, Location};
use crate::unmapped::Unmapped;

/// Bytes in the request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InlineData<'r> {
    mime_type: &'r str,
    data: &'r str,
}

/// Bytes at an address.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileData<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'r str>,
    file_uri: &'r str,
}

pub(super) type Medium<'r> = (Option<InlineData<'r>>, Option<FileData<'r>>);

/// A picture, sound or document. Names of documents have no place: `displayName` is of Vertex AI's API alone.
pub(super) fn medium<'r>(
    part: &'r Part<'_>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<Option<Medium<'r>>, FormatError> {
    let Some((said, source, param)) = told(part, unmapped) else { return Ok(None) };
    match media::locate(source) {
        Location::Inline { media_type, data } => match media::media_type(said, media_type, data) {
            Some(mime_type) => Ok(Some((Some(InlineData { mime_type, data }), None))),
            None => Err(FormatError::invalid("the type of a picture, sound or file is not said", param)),
        },
        Location::Address(address) if !takes_address(part, address, &traits.media) => {
            unmapped.param(param).map(|()| None)
        }
        Location::Address(file_uri) => {
            let mime_type = media::media_type(said, "", "").or_else(|| media::by_ending(file_uri));
            Ok(Some((None, Some(FileData { mime_type, file_uri }))))
        }
        Location::File(id) if id.starts_with("https://") || id.starts_with("gs://") => {
            let mime_type = media::media_type(said, "", "");
            Ok(Some((None, Some(FileData { mime_type, file_uri: id }))))
        }
        Location::File(_) => unmapped.param(param).map(|()| None),
    }
}

/// The type of a medium, where it is, and the parameter that holds it.
type Told<'r> = (&'r str, &'r Source<'r>, &'static str);

/// `None` if a part is no medium.
fn told<'r>(part: &'r Part<'_>, unmapped: &mut Unmapped) -> Option<Told<'r>> {
    Some(match part {
        Part::Image(image) => {
            if image.detail.as_deref() == Some("low") {
                unmapped.hint("messages[].content[].image_url.detail");
            }
            (&*image.media_type, &image.source, "messages[].content[].image_url")
        }
        Part::Audio(media) => typed(media, "messages[].content[].input_audio"),
        Part::Document { media, name } => {
            if name.is_some() {
                unmapped.hint("messages[].content[].file.filename");
            }
            typed(media, "messages[].content[].file")
        }
        _ => return None,
    })
}

/// Models that fetch nothing from the web still take what Google keeps itself.
fn takes_address(part: &Part<'_>, address: &str, takes: &Media) -> bool {
    const OWN: [&str; 4] = [
        "gs://",
        "https://generativelanguage.googleapis.com/",
        "https://www.youtube.com/",
        "https://youtu.be/",
    ];
    let is_any = if matches!(part, Part::Image(_)) { takes.image_urls } else { takes.document_urls };
    is_any || OWN.iter().any(|start| address.starts_with(start))
}

fn typed<'r>(media: &'r exchange::Media<'_>, param: &'static str) -> Told<'r> {
    (&media.media_type, &media.source, param)
}
