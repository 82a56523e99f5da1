//! `contents` as turns.
//!
//! Clients keep an answer as it came, so a streamed one comes back in many pieces: texts and thoughts of the model
//! that follow each other are one again. Results name the function and need no id: they are matched with the calls
//! that are still open, in their order.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::body::{Blob, Content, FileData, FunctionCall, FunctionResponse, Part as PartIn};
use super::others::{extend, note_hints, take_hints};
use super::result::result;
use crate::error::FormatError;
use crate::exchange::{Extra, Image, Media, Part, Source, Text, ToolCall, Turn, TurnRole};
use crate::gemini::client::proof;
use crate::json::Str;
use crate::media::PART_LEFT_OUT;
use crate::view::text_of;

/// What is said about a part and does not change what it means.
const HINTS: [&str; 4] = ["partMetadata", "part_metadata", "mediaResolution", "media_resolution"];
/// Where Google's own files are.
const OWN_FILES: &str = "generativelanguage.googleapis.com";
/// Where videos are that need no type: what anybody else would fetch there is a page.
const VIDEO_PAGES: [&str; 2] = ["youtube.com/", "youtu.be/"];

/// The conversation so far.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub(super) turns: Vec<Turn<'a>>,
    pub(super) extras: Vec<Extra<'a>>,
    pub(super) hints: Vec<Text<'a>>,
    /// Calls without a result: id and name.
    open: Vec<(Text<'a>, Text<'a>)>,
    calls: usize,
}

impl<'a> Conversation<'a> {
    pub(super) fn add(&mut self, content: Content<'a>, index: usize) -> Result<(), FormatError> {
        let role = match content.role.as_deref() {
            None | Some("" | "user" | "function" | "tool") => TurnRole::User,
            Some("model") => TurnRole::Assistant,
            Some(_) => {
                let param = format!("contents[{index}].role");
                let message = format!("`{param}` must be `user` or `model`");
                return Err(FormatError::Invalid { message, param: Some(param.into()) });
            }
        };
        let mut parts = match self.turns.last() {
            Some(last) if last.role == TurnRole::Assistant && role == last.role => {
                self.turns.pop().map(|last| last.parts).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let kept = self.extras.len();
        for (at, part) in content.parts.into_iter().flatten().enumerate() {
            self.part(part, role, &mut parts, &|| format!("contents[{index}].parts[{at}]"))?;
        }
        if parts.is_empty() && role == TurnRole::User && self.extras.len() > kept {
            parts.push(Part::text(PART_LEFT_OUT));
        }
        if !parts.is_empty() {
            self.turns.push(Turn { role, name: None, parts });
        }
        Ok(())
    }

    fn part(
        &mut self,
        part: PartIn<'a>,
        role: TurnRole,
        parts: &mut Vec<Part<'a>>,
        place: &dyn Fn() -> String,
    ) -> Result<(), FormatError> {
        let others = take_hints(&mut self.hints, part.others, &HINTS, place);
        extend(&mut self.extras, others, place);
        let text = part.text.map(Str::into_text).unwrap_or_default();
        if part.thought == Some(true) {
            add_thought(parts, text, part.thought_signature.as_deref());
            return Ok(());
        }
        if let Some(proof) = part.thought_signature.as_deref() {
            parts.push(proof::read(proof, Cow::Borrowed("")));
        }
        if !text.is_empty() {
            add_text(parts, text, role);
        }
        if let Some(blob) = part.inline_data {
            parts.extend(self.inline(blob, place));
        }
        if let Some(file) = part.file_data {
            parts.extend(self.file(file, place));
        }
        if let Some(call) = part.function_call {
            parts.push(self.call(call, place)?);
        }
        if let Some(response) = part.function_response {
            parts.push(self.result(response, place)?);
        }
        Ok(())
    }

    fn call(&mut self, call: FunctionCall<'a>, place: &dyn Fn() -> String) -> Result<Part<'a>, FormatError> {
        note_hints(&mut self.hints, call.others, Some("contents[].parts[].functionCall"));
        self.calls += 1;
        let id = match call.id.filter(|id| !id.is_empty()) {
            Some(id) => id.into_text(),
            None => Cow::Owned(format!("call_{}", self.calls)),
        };
        let name = call.name.ok_or_else(|| nameless(place, "functionCall"))?.into_text();
        self.open.push((id.clone(), name.clone()));
        let arguments = Cow::Borrowed(call.args.map_or("", |args| args.get()));
        Ok(Part::ToolCall(ToolCall { id, name, arguments }))
    }

    /// A result with the id of its call: its own, else that of the first open call of the function.
    fn result(
        &mut self,
        response: FunctionResponse<'a>,
        place: &dyn Fn() -> String,
    ) -> Result<Part<'a>, FormatError> {
        note_hints(&mut self.hints, response.others, Some("contents[].parts[].functionResponse"));
        let called = response.name.ok_or_else(|| nameless(place, "functionResponse"))?;
        let given = response.id.filter(|id| !id.is_empty()).map(Str::into_text);
        let at = match &given {
            Some(id) => self.open.iter().position(|(open, _)| open == id),
            None => self.open.iter().position(|(_, name)| *name == *called),
        };
        let open = at.map(|at| self.open.remove(at).0);
        let Some(id) = given.or(open) else {
            let param = format!("{}.functionResponse", place());
            let message = format!("`{param}` names no function that was called and has no result yet");
            return Err(FormatError::Invalid { message, param: Some(param.into()) });
        };
        let mut media = Vec::new();
        for (at, part) in response.parts.into_iter().flatten().enumerate() {
            let place = || format!("{}.functionResponse.parts[{at}]", place());
            media.extend(part.inline_data.and_then(|blob| self.inline(blob, &place)));
            media.extend(part.file_data.and_then(|file| self.file(file, &place)));
            extend(&mut self.extras, part.others, place);
        }
        Ok(Part::ToolResult(result(id, response.response, media)))
    }

    /// What is in the request. Videos, which no other format has a place for, are kept by their place.
    fn inline(&mut self, blob: Blob<'a>, place: &dyn Fn() -> String) -> Option<Part<'a>> {
        if blob.mime_type.as_deref().is_some_and(|media_type| is_video(media_type, "")) {
            let name = format!("{}.inlineData", place()).into();
            self.extras.push(Extra { name, value: RawValue::NULL });
            return None;
        }
        Some(inline(blob))
    }

    /// What is at an address that anybody can fetch. Google's own files and videos are kept by their place.
    fn file(&mut self, file: FileData<'a>, place: &dyn Fn() -> String) -> Option<Part<'a>> {
        let media_type = file.mime_type.map(Str::into_text).unwrap_or_default();
        let address = text_of(file.file_uri).unwrap_or_default();
        let is_open = address.starts_with("https://") || address.starts_with("http://");
        if !is_open || address.contains(OWN_FILES) || is_video(&media_type, &address) {
            self.extras.push(Extra { name: format!("{}.fileData", place()).into(), value: file.file_uri });
            return None;
        }
        Some(medium(media_type, Source::Url(address), file.display_name.map(Str::into_text)))
    }
}

fn nameless(place: &dyn Fn() -> String, kind: &str) -> FormatError {
    let param = format!("{}.{kind}.name", place());
    FormatError::Invalid { message: format!("`{param}` is missing"), param: Some(param.into()) }
}

/// Thoughts go on with thoughts as long as nothing proves those before.
fn add_thought<'a>(parts: &mut Vec<Part<'a>>, text: Text<'a>, proof: Option<&str>) {
    let proved = proof.map(|proof| proof::read(proof, Cow::Borrowed("")));
    match (parts.last_mut(), proved) {
        (
            Some(Part::Reasoning { text: before, signature: own @ None, redacted: None }),
            proved @ (None | Some(Part::Reasoning { signature: Some(_), .. })),
        ) => {
            join(before, text);
            if let Some(Part::Reasoning { signature, .. }) = proved {
                *own = signature;
            }
        }
        (_, Some(Part::Reasoning { signature, redacted, .. })) => {
            parts.push(Part::Reasoning { text, signature, redacted });
        }
        _ => parts.push(Part::Reasoning { text, signature: None, redacted: None }),
    }
}

fn add_text<'a>(parts: &mut Vec<Part<'a>>, text: Text<'a>, role: TurnRole) {
    match parts.last_mut() {
        Some(Part::Text { text: before, .. }) if role == TurnRole::Assistant => join(before, text),
        _ => parts.push(Part::text(text)),
    }
}

fn join<'a>(before: &mut Text<'a>, text: Text<'a>) {
    if before.is_empty() {
        *before = text;
    } else if !text.is_empty() {
        before.to_mut().push_str(&text);
    }
}

fn is_video(media_type: &str, address: &str) -> bool {
    media_type.starts_with("video/") || VIDEO_PAGES.iter().any(|page| address.contains(page))
}

fn inline(blob: Blob<'_>) -> Part<'_> {
    let data = match blob.data.into_text() {
        Cow::Borrowed(data) => proof::plain_alphabet(data),
        Cow::Owned(data) => Cow::Owned(proof::plain_alphabet(&data).into_owned()),
    };
    let media_type = blob.mime_type.map(Str::into_text).unwrap_or_default();
    medium(media_type, Source::Base64(data), blob.display_name.map(Str::into_text))
}

fn medium<'a>(media_type: Text<'a>, source: Source<'a>, name: Option<Text<'a>>) -> Part<'a> {
    if media_type.starts_with("image/") {
        return Part::Image(Image { media_type, source, detail: None, cache: None });
    }
    let is_audio = media_type.starts_with("audio/");
    let media = Media { media_type, source, cache: None };
    if is_audio { Part::Audio(media) } else { Part::Document { media, name } }
}
