//! A whole answer of generateContent.

use std::borrow::Cow;

use super::logprobs::in_chat_form;
use super::wire::{self, InlineData, PartIn, Response};
use crate::error::FormatError;
use crate::exchange::{Answer, Image, Media, Part, Source, Stop, Usage};
use crate::json::{self, Str};

/// Reads an answer. A refused prompt is an answer without parts that a filter stopped.
///
/// # Errors
/// When the body is not what Gemini answers, or holds neither an answer nor a reason for its absence.
pub fn decode(body: &[u8]) -> Result<Answer<'_>, FormatError> {
    let mut response: Response<'_> = serde_json::from_str(json::answer_text(body)?)?;
    let is_blocked = response.is_blocked();
    let id = response.response_id.take().map(Str::into_text).unwrap_or_default();
    let candidate = response.candidates.into_iter().next();
    if candidate.is_none() && !is_blocked {
        return Err(FormatError::invalid("the model's answer holds no candidate", None));
    }
    let (content, finish_reason, logprobs) = match candidate {
        Some(candidate) => (candidate.content, candidate.finish_reason, candidate.logprobs_result),
        None => (None, None, None),
    };
    let mut parts = Parts { read: Vec::new(), calls: 0 };
    for part in content.into_iter().flat_map(|content| content.parts) {
        parts.add(part, &id);
    }
    let has_calls = parts.calls > 0;
    Ok(Answer {
        id,
        model: response.model_version.map(Str::into_text).unwrap_or_default(),
        created_s: None,
        parts: parts.read,
        stop: match finish_reason {
            Some(reason) => wire::stop(&reason, has_calls),
            None if is_blocked => Stop::ContentFilter,
            None => Stop::Other,
        },
        stop_sequence: None,
        usage: response.usage_metadata.as_ref().map(Usage::from),
        logprobs: logprobs.as_ref().and_then(in_chat_form).map(Cow::Owned),
        service_tier: None,
    })
}

struct Parts<'a> {
    read: Vec<Part<'a>>,
    calls: u32,
}

impl<'a> Parts<'a> {
    fn add(&mut self, part: PartIn<'a>, response_id: &str) {
        if part.thought {
            self.read.push(Part::Reasoning {
                text: part.text.map(Str::into_text).unwrap_or_default(),
                signature: part.thought_signature.map(Str::into_text),
                redacted: None,
            });
            return;
        }
        if let Some(signature) = part.thought_signature {
            self.sign(&signature);
        }
        self.read.extend(part.text.filter(|text| !text.is_empty()).map(|text| Part::text(text.into_text())));
        if let Some(call) = part.function_call {
            self.read.push(Part::ToolCall(call.into_call(response_id, self.calls)));
            self.calls += 1;
        }
        self.read.extend(part.inline_data.map(medium));
    }

    /// A proof belongs to the thoughts right before its part; where they are not shown, they are empty.
    fn sign(&mut self, proof: &str) {
        match self.read.last_mut() {
            Some(Part::Reasoning { signature: signature @ None, .. }) => {
                *signature = Some(proof.to_owned().into())
            }
            _ => self.read.push(Part::Reasoning {
                text: Cow::Borrowed(""),
                signature: Some(proof.to_owned().into()),
                redacted: None,
            }),
        }
    }
}

fn medium<'a>(data: InlineData<'a>) -> Part<'a> {
    let media_type = data.mime_type.map(Str::into_text).unwrap_or_default();
    let source = Source::Base64(data.data.into_text());
    if media_type.starts_with("image/") {
        return Part::Image(Image { media_type, source, detail: None, cache: None });
    }
    let is_audio = media_type.starts_with("audio/");
    let media = Media { media_type, source, cache: None };
    if is_audio { Part::Audio(media) } else { Part::Document { media, name: None } }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(json: &str) -> Answer<'_> {
        decode(json.as_bytes()).unwrap()
    }

    #[test]
    fn thoughts_are_proved_by_the_part_after_them() {
        let answer = decoded(
            r#"{"responseId":"r1","modelVersion":"gemini-3-pro","candidates":[{"finishReason":"STOP","content":{
            "role":"model","parts":[{"text":"hm","thought":true},
            {"functionCall":{"name":"a","args":{"x": 1}},"thoughtSignature":"c2ln"},
            {"functionCall":{"id":"own","name":"b"}}]}}]}"#,
        );
        assert_eq!((&*answer.id, &*answer.model, answer.stop), ("r1", "gemini-3-pro", Stop::ToolUse));
        let [Part::Reasoning { text, signature, .. }, Part::ToolCall(a), Part::ToolCall(b)] =
            &answer.parts[..]
        else {
            panic!("{:?}", answer.parts)
        };
        assert_eq!((&**text, signature.as_deref()), ("hm", Some("c2ln")));
        assert_eq!((&*a.name, &*a.arguments), ("a", r#"{"x": 1}"#));
        assert_eq!((&*b.id, &*b.arguments), ("own", "{}"));
    }

    #[test]
    fn ids_are_made_where_the_provider_gives_none() {
        let calls = |response_id: &str| -> Vec<String> {
            let json = format!(
                r#"{{"responseId":"{response_id}","candidates":[{{"content":{{"parts":[
                {{"functionCall":{{"name":"a","args":{{}}}}}},{{"functionCall":{{"name":"a","args":{{}}}}}}]}}}}]}}"#
            );
            let answer = decoded(&json);
            answer
                .parts
                .iter()
                .map(|part| match part {
                    Part::ToolCall(call) => call.id.clone().into_owned(),
                    other => panic!("{other:?}"),
                })
                .collect()
        };
        let ids = calls("r1");
        assert_eq!(ids, calls("r1"), "the same answer has the same ids");
        assert_ne!(ids[0], ids[1]);
        assert_ne!(ids[0], calls("r2")[0]);
        assert!(ids[0].starts_with("call_") && ids[0].len() == 21);
    }

    #[test]
    fn a_refused_prompt_is_an_answer_that_a_filter_stopped() {
        let answer = decoded(
            r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":9}}"#,
        );
        assert_eq!((answer.stop, answer.parts.len()), (Stop::ContentFilter, 0));
        assert_eq!(answer.usage.unwrap().input, 9);
        assert!(decode(b"{}").is_err());
        assert!(decode(br#"{"promptFeedback":{}}"#).is_err());
    }

    #[test]
    fn every_reason_to_stop_has_a_meaning() {
        for (reason, stop) in [
            ("STOP", Stop::End),
            ("MAX_TOKENS", Stop::Length),
            ("SAFETY", Stop::ContentFilter),
            ("RECITATION", Stop::ContentFilter),
            ("SPII", Stop::ContentFilter),
            ("MALFORMED_FUNCTION_CALL", Stop::Other),
            ("NEW_REASON", Stop::Other),
        ] {
            let json = format!(r#"{{"candidates":[{{"finishReason":"{reason}"}}]}}"#);
            assert_eq!(decoded(&json).stop, stop, "{reason}");
        }
    }

    #[test]
    fn a_picture_is_an_image() {
        let answer = decoded(
            r#"{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}]}"#,
        );
        assert!(matches!(&answer.parts[..], [Part::Image(image)] if image.media_type == "image/png"));
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&body);
        }
    }
}
