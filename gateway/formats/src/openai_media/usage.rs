//! What an answer about media says it used.
//!
//! | answer | classes |
//! |---|---|
//! | images with `usage` (GPT Image) | tokens; the images are in them |
//! | images without it (DALL·E) | images |
//! | transcriptions with `usage` in tokens, speech streams | tokens |
//! | transcriptions with `usage` in seconds, everything else | none: the request counts |

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::MediaKind;
use crate::exchange::{Reported, Usage};

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    usage: Option<Report>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    usage: Option<Report>,
}

/// `usage`, under the names of both of its forms.
#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default, alias = "input_token_details")]
    input_tokens_details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    image_tokens: Option<u64>,
    #[serde(default)]
    audio_tokens: Option<u64>,
    #[serde(default)]
    cached_tokens: Option<u64>,
}

impl Report {
    /// Disjoint classes: details are taken out of their total. `None` if it counts no tokens.
    fn usage(&self) -> Option<Usage> {
        let input = self.input_tokens?;
        let details = self.input_tokens_details.as_ref();
        let mut rest = input;
        let mut take = |detail: Option<u64>| {
            let taken = detail.unwrap_or(0).min(rest);
            rest -= taken;
            taken
        };
        let cache_read = take(details.and_then(|details| details.cached_tokens));
        let input_image = take(details.and_then(|details| details.image_tokens));
        let input_audio = take(details.and_then(|details| details.audio_tokens));
        let output = self.output_tokens.unwrap_or(0);
        let output_reported = Reported::of(self.output_tokens);
        let usage = Usage { input: rest, cache_read, input_image, input_audio, output, ..Usage::reported() };
        Some(Usage { output_reported, ..usage })
    }
}

fn images(count: usize) -> Option<Usage> {
    (count > 0).then(|| Usage { images: count as u64, ..Usage::reported() })
}

/// What a whole answer used; `None` if it does not say, or is not JSON.
#[must_use]
pub fn of_answer(kind: MediaKind, body: &[u8]) -> Option<Usage> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let reported = answer.usage.as_ref().and_then(Report::usage);
    let made = || answer.data.filter(|_| kind.makes_images()).and_then(|data| images(data.len()));
    reported.or_else(made)
}

/// Reads the events of a stream along.
#[derive(Debug)]
pub struct Along {
    kind: MediaKind,
    reported: Option<Usage>,
    images: usize,
}

impl Along {
    /// Before the first event.
    #[must_use]
    pub fn new(kind: MediaKind) -> Self {
        Self { kind, reported: None, images: 0 }
    }

    /// Reads the data of one event; what is no JSON is passed over.
    pub fn read(&mut self, data: &str) {
        let Ok(event) = serde_json::from_str::<Event>(data) else { return };
        if let Some(usage) = event.usage.as_ref().and_then(Report::usage) {
            self.reported.get_or_insert_default().update(&usage);
        }
        // `image_generation.completed`, `image_edit.completed`: one for each image.
        let completed = event.kind.is_some_and(|kind| kind.ends_with(".completed"));
        self.images += usize::from(completed && self.kind.makes_images());
    }

    /// What was used so far.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.reported.or_else(|| images(self.images))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: MediaKind, body: &str, expected: Option<Usage>) {
        assert_eq!(of_answer(kind, body.as_bytes()), expected, "{body}");
    }

    #[test]
    fn tokens_are_taken_apart_and_images_are_counted_only_where_there_are_none() {
        let usage = r#"{"data":[{},{}],"usage":{"input_tokens":50,"output_tokens":4160,"total_tokens":4210,
            "input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#;
        let tokens = Usage { input: 10, input_image: 40, output: 4160, ..Usage::reported() };
        check(MediaKind::ImageEdit, usage, Some(tokens));
        let two = Usage { images: 2, ..Usage::reported() };
        check(
            MediaKind::ImageGeneration,
            r#"{"created":1,"data":[{"url":"u"},{"b64_json":"AA"}]}"#,
            Some(two),
        );
        check(MediaKind::Moderation, r#"{"data":[{}]}"#, None);
    }

    #[test]
    fn transcriptions_report_tokens_or_seconds() {
        let tokens = r#"{"text":"a","usage":{"type":"tokens","input_tokens":14,"output_tokens":5,
            "input_token_details":{"text_tokens":4,"audio_tokens":10}}}"#;
        let expected = Usage { input: 4, input_audio: 10, output: 5, ..Usage::reported() };
        check(MediaKind::Transcription, tokens, Some(expected));
        let seconds = r#"{"text":"a","usage":{"type":"duration","seconds":9}}"#;
        check(MediaKind::Transcription, seconds, None);
        check(MediaKind::Transcription, "WEBVTT", None);
    }

    #[test]
    fn details_larger_than_their_total_make_no_tokens_from_nothing() {
        let body =
            r#"{"usage":{"input_tokens":5,"input_tokens_details":{"image_tokens":9,"audio_tokens":9}}}"#;
        check(
            MediaKind::ImageEdit,
            body,
            Some(Usage { input_image: 5, input_reported: Reported::Final, ..Usage::default() }),
        );
    }

    #[test]
    fn streams_are_read_event_by_event() {
        let mut along = Along::new(MediaKind::ImageGeneration);
        along.read(r#"{"type":"image_generation.partial_image","b64_json":"AA"}"#);
        assert_eq!(along.usage(), None);
        along.read("[DONE]");
        along.read(r#"{"type":"image_generation.completed"}"#);
        assert_eq!(along.usage().unwrap().images, 1);
        along.read(r#"{"type":"image_generation.completed","usage":{"input_tokens":3,"output_tokens":7}}"#);
        assert_eq!(along.usage(), Some(Usage { input: 3, output: 7, ..Usage::reported() }));
    }
}
