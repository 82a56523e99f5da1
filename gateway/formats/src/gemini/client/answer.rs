//! Whole answers, and what steps of a stream have in common with them.

use super::logprobs;
use super::part::{PartOut, Proofs};
use crate::exchange::{Answer, AnswerHead, Stop, Usage};
use crate::json::{Array, Object};

/// Writes an answer.
#[must_use]
pub fn encode(answer: &Answer<'_>, shown: &AnswerHead) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut object = Object::new(&mut out);
    let mut candidates = Array::new(object.key("candidates"));
    candidates.object(|candidate| {
        content(candidate, |parts| {
            let mut proofs = Proofs::default();
            let mut write = |part: PartOut<'_>, proof: Option<&str>| part.write(parts.item(), proof);
            answer.parts.iter().for_each(|part| proofs.part(part, &mut write));
            proofs.end(&mut write);
        });
        candidate.put("finishReason", finish_reason(answer.stop)).put("index", &0);
        if let Some(logprobs) = answer.logprobs.as_deref() {
            logprobs::write(candidate, logprobs);
        }
    });
    candidates.end();
    tail(&mut object, answer.usage.as_ref(), shown);
    object.end();
    out
}

/// The content of a candidate.
pub(super) fn content(candidate: &mut Object<'_>, fill: impl FnOnce(&mut Array<'_>)) {
    candidate.object("content", |content| {
        let mut parts = Array::new(content.key("parts"));
        fill(&mut parts);
        parts.end();
        content.put("role", "model");
    });
}

/// What stands behind the candidates.
pub(super) fn tail(object: &mut Object<'_>, usage: Option<&Usage>, shown: &AnswerHead) {
    if let Some(usage) = usage {
        object.object("usageMetadata", |report| write_usage(report, usage));
    }
    object.put("modelVersion", &shown.model).put("responseId", &shown.id);
}

/// Thoughts stand beside the candidates' tokens, cached tokens within the prompt's.
fn write_usage(report: &mut Object<'_>, usage: &Usage) {
    let given = |count: u64| (count > 0).then_some(count);
    report.put("promptTokenCount", &usage.input_total());
    report.given("cachedContentTokenCount", given(usage.cache_read));
    report.put("candidatesTokenCount", &usage.output.saturating_add(usage.output_audio));
    report.given("thoughtsTokenCount", given(usage.reasoning));
    report.put("totalTokenCount", &usage.total());
}

/// Calls of tools end an answer like any other end.
pub(super) const fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::End | Stop::StopSequence | Stop::ToolUse | Stop::Pause => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::ContentFilter | Stop::Refusal => "SAFETY",
        Stop::Other => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::exchange::{Image, Part, Source, ToolCall};
    use crate::gemini::answer::decode;

    fn written(parts: Vec<Part<'static>>, stop: Stop) -> String {
        let usage = Usage { input: 3, cache_read: 2, output: 4, reasoning: 5, ..Usage::reported() };
        let answer = Answer {
            id: "x".into(),
            model: "m".into(),
            created_s: None,
            parts,
            stop,
            stop_sequence: None,
            usage: Some(usage),
            logprobs: None,
            service_tier: None,
        };
        let shown = AnswerHead { id: "a1".into(), model: "alias".into(), ..AnswerHead::default() };
        String::from_utf8(encode(&answer, &shown)).unwrap()
    }

    fn thought(text: &'static str, signature: Option<&'static str>) -> Part<'static> {
        Part::Reasoning { text: text.into(), signature: signature.map(Cow::Borrowed), redacted: None }
    }

    fn call() -> Part<'static> {
        Part::ToolCall(ToolCall { id: "c1".into(), name: "f".into(), arguments: r#"{"a":1}"#.into() })
    }

    #[test]
    fn an_answer_has_the_alias_as_its_model_and_every_count_in_its_place() {
        assert_eq!(
            written(vec![Part::text("hi")], Stop::End),
            concat!(
                r#"{"candidates":[{"content":{"parts":[{"text":"hi"}],"role":"model"},"finishReason":"STOP","index":0}],"#,
                r#""usageMetadata":{"promptTokenCount":5,"cachedContentTokenCount":2,"candidatesTokenCount":4,"#,
                r#""thoughtsTokenCount":5,"totalTokenCount":14},"modelVersion":"alias","responseId":"a1"}"#
            )
        );
    }

    #[test]
    fn a_proof_stands_at_its_thoughts_or_at_the_part_after_them() {
        let own = written(vec![thought("hm", Some("c2ln")), call()], Stop::ToolUse);
        assert!(own.contains(r#"{"text":"hm","thought":true,"thoughtSignature":"c2ln"},{"functionCall":{"id":"c1","name":"f","args":{"a":1}}}"#), "{own}");
        let hidden = written(vec![thought("", Some("c2ln")), call()], Stop::ToolUse);
        assert!(hidden.contains(r#""args":{"a":1}},"thoughtSignature":"c2ln"}"#), "{hidden}");
        let alone = written(vec![Part::text("a"), thought("", Some("c2ln"))], Stop::End);
        assert!(alone.contains(r#"{"text":"","thought":true,"thoughtSignature":"c2ln"}"#), "{alone}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let image = Part::Image(Image {
            media_type: "image/png".into(),
            source: Source::Base64("AA==".into()),
            detail: None,
            cache: None,
        });
        let parts = vec![thought("hm", None), Part::text("b"), call(), image];
        let bytes = written(parts, Stop::ToolUse);
        let read = decode(bytes.as_bytes()).unwrap();
        assert_eq!((read.stop, &*read.model, read.usage.unwrap().total()), (Stop::ToolUse, "alias", 14));
        assert!(
            matches!(&read.parts[..], [Part::Reasoning { text, .. }, Part::Text { .. }, Part::ToolCall(call), Part::Image(_)]
            if text == "hm" && call.id == "c1")
        );
        for (stop, again) in [
            (Stop::Length, Stop::Length),
            (Stop::ContentFilter, Stop::ContentFilter),
            (Stop::Refusal, Stop::ContentFilter),
            (Stop::StopSequence, Stop::End),
            (Stop::Other, Stop::Other),
        ] {
            assert_eq!(decode(written(vec![Part::text("x")], stop).as_bytes()).unwrap().stop, again);
        }
    }
}
