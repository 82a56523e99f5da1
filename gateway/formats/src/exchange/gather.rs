//! Between the two ways to give an answer: a stream gathered into a whole one, and a whole one told as a stream. Some
//! servers give the one when they are asked for the other.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::answer::{Answer, Stop};
use super::content::{Image, Part, Source, ToolCall};
use super::stream::{Delta, PartStart, StreamEncoder, StreamEvent};
use super::usage::Usage;
use crate::error::{FormatError, ProviderError};

/// The events of one stream, gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    id: String,
    model: String,
    parts: Vec<Part<'static>>,
    stop: Option<Stop>,
    stop_sequence: Option<String>,
    usage: Option<Usage>,
    failed: Option<ProviderError>,
}

impl Gathered {
    /// Takes the next event.
    pub fn take(&mut self, event: &StreamEvent<'_>) {
        match event {
            StreamEvent::Start { id, model } => {
                self.id.push_str(id);
                self.model.push_str(model);
            }
            StreamEvent::PartStart { part, .. } => self.parts.push(begun(part)),
            StreamEvent::Delta { delta, .. } => {
                if let Some(part) = self.parts.last_mut() {
                    add(part, delta);
                }
            }
            StreamEvent::Usage(report) => self.usage.get_or_insert_default().update(report),
            StreamEvent::Stop { reason, stop_sequence } => {
                self.stop = Some(*reason);
                self.stop_sequence = stop_sequence.as_deref().map(str::to_owned);
            }
            StreamEvent::Failed(error) => self.failed = Some(error.clone()),
            StreamEvent::PartEnd { .. } | StreamEvent::Logprobs(_) | StreamEvent::End => {}
        }
    }

    /// The answer.
    ///
    /// # Errors
    /// [`FormatError::Provider`] when the stream ended with an error.
    pub fn into_answer(self) -> Result<Answer<'static>, FormatError> {
        if let Some(error) = self.failed {
            return Err(FormatError::Provider(Box::new(error)));
        }
        Ok(Answer {
            id: self.id.into(),
            model: self.model.into(),
            created_s: None,
            parts: self.parts,
            stop: self.stop.unwrap_or(Stop::Other),
            stop_sequence: self.stop_sequence.map(Cow::Owned),
            usage: self.usage,
            logprobs: None,
            service_tier: None,
        })
    }
}

fn begun(part: &PartStart<'_>) -> Part<'static> {
    let thoughts = |redacted: Option<String>| Part::Reasoning {
        text: Cow::Borrowed(""),
        signature: None,
        redacted: redacted.map(Cow::Owned),
    };
    match part {
        PartStart::Text => Part::text(""),
        PartStart::Reasoning => thoughts(None),
        PartStart::RedactedReasoning(data) => thoughts(Some(data.to_string())),
        PartStart::Refusal => Part::Refusal(Cow::Borrowed("")),
        PartStart::Image(image) => Part::Image(owned(image)),
        PartStart::ToolCall { id, name } => Part::ToolCall(ToolCall {
            id: id.to_string().into(),
            name: name.to_string().into(),
            arguments: Cow::Borrowed(""),
        }),
    }
}

fn owned(image: &Image<'_>) -> Image<'static> {
    let text = |text: &str| Cow::Owned(text.to_owned());
    let source = match &image.source {
        Source::Base64(data) => Source::Base64(text(data)),
        Source::Url(url) => Source::Url(text(url)),
        Source::File(id) => Source::File(text(id)),
    };
    let detail = image.detail.as_deref().map(text);
    Image { media_type: text(&image.media_type), source, detail, cache: image.cache }
}

fn add(part: &mut Part<'static>, delta: &Delta<'_>) {
    match (part, delta) {
        (Part::Text { text, .. }, Delta::Text(more))
        | (Part::Reasoning { text, .. }, Delta::Reasoning(more))
        | (Part::Refusal(text), Delta::Refusal(more)) => text.to_mut().push_str(more),
        (Part::ToolCall(call), Delta::Arguments(more)) => call.arguments.to_mut().push_str(more),
        (Part::Reasoning { signature, .. }, Delta::Signature(proof)) => {
            *signature = Some(proof.to_string().into());
        }
        _ => {}
    }
}

/// Writes a whole answer as a client's stream. Parts that no stream has are left out.
pub fn retell(answer: &Answer<'_>, encoder: &mut dyn StreamEncoder, out: &mut Vec<u8>) {
    let (id, model) = (Cow::Borrowed(&*answer.id), Cow::Borrowed(&*answer.model));
    encoder.write(&StreamEvent::Start { id, model }, out);
    let mut index = 0;
    for part in &answer.parts {
        let Some((start, deltas)) = told(part) else { continue };
        encoder.write(&StreamEvent::PartStart { index, part: start }, out);
        for delta in deltas.into_iter().flatten() {
            encoder.write(&StreamEvent::Delta { index, delta }, out);
        }
        encoder.write(&StreamEvent::PartEnd { index }, out);
        index += 1;
    }
    if let Some(logprobs) = answer.logprobs.as_deref() {
        encoder.write(&StreamEvent::Logprobs(logprobs as &RawValue), out);
    }
    let stop_sequence = answer.stop_sequence.as_deref().map(Cow::Borrowed);
    encoder.write(&StreamEvent::Stop { reason: answer.stop, stop_sequence }, out);
    if let Some(usage) = answer.usage {
        encoder.write(&StreamEvent::Usage(usage), out);
    }
    encoder.write(&StreamEvent::End, out);
}

/// A part as its beginning and what is added to it.
fn told<'a>(part: &'a Part<'_>) -> Option<(PartStart<'a>, [Option<Delta<'a>>; 2])> {
    let text = |text: &'a str| Some(Cow::Borrowed(text)).filter(|text| !text.is_empty());
    Some(match part {
        Part::Text { text: said, .. } => (PartStart::Text, [text(said).map(Delta::Text), None]),
        Part::Refusal(said) => (PartStart::Refusal, [text(said).map(Delta::Refusal), None]),
        Part::Reasoning { redacted: Some(data), .. } => {
            (PartStart::RedactedReasoning(Cow::Borrowed(data)), [None, None])
        }
        Part::Reasoning { text: said, signature, .. } => {
            let proof = signature.as_deref().and_then(text).map(Delta::Signature);
            (PartStart::Reasoning, [text(said).map(Delta::Reasoning), proof])
        }
        Part::ToolCall(call) => {
            let (id, name) = (Cow::Borrowed(&*call.id), Cow::Borrowed(&*call.name));
            (PartStart::ToolCall { id, name }, [text(&call.arguments).map(Delta::Arguments), None])
        }
        Part::Image(image) => (PartStart::Image(image.clone()), [None, None]),
        Part::Audio(_) | Part::Document { .. } | Part::ToolResult(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what it is told.
    #[derive(Default)]
    struct Keeps(Gathered);

    impl StreamEncoder for Keeps {
        fn write(&mut self, event: &StreamEvent<'_>, _: &mut Vec<u8>) {
            self.0.take(event);
        }
    }

    #[test]
    fn a_whole_answer_that_is_told_as_a_stream_and_gathered_again_is_the_same() {
        let signed = Part::Reasoning { text: "hm".into(), signature: Some("sig".into()), redacted: None };
        let hidden = Part::Reasoning { text: "".into(), signature: None, redacted: Some("xx".into()) };
        let call = ToolCall { id: "c1".into(), name: "f".into(), arguments: "{\"a\":1}".into() };
        let answer = Answer {
            id: "a".into(),
            model: "m".into(),
            created_s: None,
            parts: vec![
                signed,
                hidden,
                Part::text("hello"),
                Part::ToolCall(call),
                Part::Refusal("no".into()),
            ],
            stop: Stop::ToolUse,
            stop_sequence: Some("x".into()),
            usage: Some(Usage { input: 3, output: 4, ..Usage::reported() }),
            logprobs: None,
            service_tier: None,
        };
        let mut keeps = Keeps::default();
        retell(&answer, &mut keeps, &mut Vec::new());
        let again = keeps.0.into_answer().unwrap();
        assert_eq!(format!("{again:?}"), format!("{answer:?}"));
    }

    #[test]
    fn a_stream_that_ends_with_an_error_is_no_answer() {
        let mut gathered = Gathered::default();
        let error = crate::openai_chat::error::decode(429, br#"{"error":{"message":"busy"}}"#);
        gathered.take(&StreamEvent::Failed(error));
        assert!(
            matches!(gathered.into_answer(), Err(FormatError::Provider(error)) if error.message == "busy")
        );
    }
}
