//! What messages and results of tools consist of in a Responses request.

use std::borrow::Cow;

use tollgate_families::{Media as Takes, Traits};

use crate::error::FormatError;
use crate::exchange::{Image, Media, Part};
use crate::json::{Array, write};
use crate::media::{Location, left_out, locate, media_type};
use crate::unmapped::Unmapped;

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    User,
    Model,
}

impl Side {
    pub(super) const fn role(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Model => "assistant",
        }
    }
}

/// A text of no letters: the API's own answers hold none.
pub(super) fn is_empty_text(part: &Part<'_>) -> bool {
    matches!(part, Part::Text { text, .. } if text.is_empty())
}

/// The JSON of a content: one text of the user as it is, anything else as a list; `None` if nothing is left of it.
pub(super) fn of(
    parts: &[&Part<'_>],
    side: Side,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<Option<Vec<u8>>, FormatError> {
    let mut out = Vec::new();
    if let ([Part::Text { text, .. }], Side::User) = (parts, side) {
        write(&mut out, text);
        return Ok(Some(out));
    }
    let mut list = Array::new(&mut out);
    let mut count = 0;
    for part in parts {
        let written = match side {
            Side::User => heard(&mut list, part, &traits.media),
            Side::Model => said(&mut list, part),
        };
        match written {
            Ok(()) => count += 1,
            Err(param) => unmapped.param(param)?,
        }
    }
    if let (0, Side::User, Some(text)) = (count, side, left_out(parts.iter().copied())) {
        list.object(|part| _ = part.put("type", "input_text").put("text", text));
        count += 1;
    }
    list.end();
    Ok((count > 0).then_some(out))
}

/// A part of what the model said; otherwise the parameter that has no place.
fn said(list: &mut Array<'_>, part: &Part<'_>) -> Result<(), &'static str> {
    match part {
        Part::Text { text, .. } => list.object(|part| {
            part.put("type", "output_text").put("text", text);
        }),
        Part::Refusal(text) => list.object(|part| {
            part.put("type", "refusal").put("refusal", text);
        }),
        _ => return Err("messages.content"),
    }
    Ok(())
}

/// A part of what the model is told; otherwise the parameter that has no place.
fn heard(list: &mut Array<'_>, part: &Part<'_>, takes: &Takes) -> Result<(), &'static str> {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => list.object(|part| {
            part.put("type", "input_text").put("text", text);
        }),
        Part::Image(_) if !takes.images => return Err("messages.content.image"),
        Part::Image(image) => picture(list, image),
        Part::Audio(_) if !takes.audio => return Err("messages.content.audio"),
        Part::Audio(media) => return sound(list, media),
        Part::Document { media, .. } if !takes.pdf && is_pdf(media) => return Err("messages.content.file"),
        Part::Document { media, name } => file(list, media, name.as_deref()),
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning { .. } => return Err("messages.content"),
    }
    Ok(())
}

fn is_pdf(media: &Media<'_>) -> bool {
    match locate(&media.source) {
        Location::Inline { media_type: in_address, data } => {
            media_type(&media.media_type, in_address, data).is_none_or(|kind| kind == "application/pdf")
        }
        Location::Address(_) | Location::File(_) => false,
    }
}

fn picture(list: &mut Array<'_>, image: &Image<'_>) {
    list.object(|part| {
        part.put("type", "input_image");
        match locate(&image.source) {
            Location::Inline { media_type: in_address, data } => {
                let kind = media_type(&image.media_type, in_address, data).unwrap_or("image/png");
                part.put("image_url", &format!("data:{kind};base64,{data}"));
            }
            Location::Address(url) => {
                part.put("image_url", url);
            }
            Location::File(id) => {
                part.put("file_id", id);
            }
        }
        part.given("detail", image.detail.as_ref());
    });
}

fn sound(list: &mut Array<'_>, media: &Media<'_>) -> Result<(), &'static str> {
    let format = match &*media.media_type {
        "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
        "audio/mp3" | "audio/mpeg" => "mp3",
        _ => return Err("messages.content.audio"),
    };
    let Location::Inline { data, .. } = locate(&media.source) else { return Err("messages.content.audio") };
    list.object(|part| {
        part.put("type", "input_audio").object("input_audio", |audio| {
            audio.put("data", data).put("format", format);
        });
    });
    Ok(())
}

fn file(list: &mut Array<'_>, media: &Media<'_>, name: Option<&str>) {
    list.object(|part| {
        part.put("type", "input_file");
        match locate(&media.source) {
            Location::Inline { media_type: in_address, data } => {
                let kind = media_type(&media.media_type, in_address, data).unwrap_or("application/pdf");
                part.put("filename", &file_name(name, kind));
                part.put("file_data", &format!("data:{kind};base64,{data}"));
            }
            Location::Address(url) => {
                part.put("file_url", url);
            }
            Location::File(id) => {
                part.put("file_id", id);
            }
        }
    });
}

/// The API tells types of files apart by the ending of their names.
fn file_name<'r>(name: Option<&'r str>, kind: &str) -> Cow<'r, str> {
    const ENDINGS: [(&str, &str); 6] = [
        ("text/plain", "txt"),
        ("text/markdown", "md"),
        ("text/csv", "csv"),
        ("text/html", "html"),
        ("application/json", "json"),
        ("application/xml", "xml"),
    ];
    let name = name.unwrap_or("document");
    if name.rsplit_once('.').is_some_and(|(_, ending)| (1..=5).contains(&ending.len())) {
        return Cow::Borrowed(name);
    }
    let ending = ENDINGS.iter().find(|(known, _)| *known == kind).map_or("pdf", |(_, ending)| ending);
    format!("{name}.{ending}").into()
}
