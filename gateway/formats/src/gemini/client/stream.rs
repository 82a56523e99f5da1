//! A client's stream as server-sent events: each is a whole response with what is new. Calls of tools go out whole,
//! usage and the reason to stop in the last event.

use super::answer::{content, finish_reason, tail};
use super::part::{PartOut, Proofs};
use super::{error, logprobs, proof};
use crate::error::{ProviderError, ProviderErrorKind};
use crate::exchange::{AnswerHead, Delta, Image, PartStart, Source, Stop, StreamEncoder, StreamEvent, Usage};
use crate::json::{Array, Object};

/// Most bytes of one call's arguments, which are kept until they are whole.
const MOST_ARGUMENTS: usize = 8 << 20;

/// A call whose arguments are still coming.
#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

/// Writes the events of one answer.
#[derive(Debug)]
pub struct Encoder {
    shown: AnswerHead,
    usage: Option<Usage>,
    stop: Stop,
    call: Option<Call>,
    proofs: Proofs,
    /// Whether the thoughts that are being written have a text.
    thinks_aloud: bool,
    failed: bool,
}

impl Encoder {
    /// For one answer.
    #[must_use]
    pub fn new(shown: AnswerHead) -> Self {
        Self {
            shown,
            usage: None,
            stop: Stop::Other,
            call: None,
            proofs: Proofs::default(),
            thinks_aloud: false,
            failed: false,
        }
    }

    /// An event whose candidate is filled.
    fn event(&self, usage: Option<&Usage>, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        out.extend_from_slice(b"data: ");
        let mut response = Object::new(out);
        let mut candidates = Array::new(response.key("candidates"));
        candidates.object(|candidate| {
            fill(candidate);
            candidate.put("index", &0);
        });
        candidates.end();
        tail(&mut response, usage, &self.shown);
        response.end();
        out.extend_from_slice(b"\n\n");
    }

    fn write_part(&self, part: PartOut<'_>, proof: Option<&str>, out: &mut Vec<u8>) {
        self.event(None, out, |candidate| content(candidate, |parts| part.write(parts.item(), proof)));
    }

    /// A part with the proof that waits for it.
    fn part(&mut self, part: PartOut<'_>, out: &mut Vec<u8>) {
        let proof = self.proofs.take();
        self.write_part(part, proof.as_deref(), out);
    }

    fn wait(&mut self, proof: String, out: &mut Vec<u8>) {
        if let Some(earlier) = self.proofs.wait(proof) {
            self.write_part(PartOut::Thought(""), Some(&earlier), out);
        }
    }

    fn start(&mut self, part: &PartStart<'_>, out: &mut Vec<u8>) {
        self.thinks_aloud = false;
        match part {
            PartStart::RedactedReasoning(data) => self.wait(proof::shown_redacted(data), out),
            PartStart::ToolCall { id, name } => {
                let (id, name) = (id.clone().into_owned(), name.clone().into_owned());
                self.call = Some(Call { id, name, arguments: String::new() });
            }
            PartStart::Image(Image { media_type, source: Source::Base64(data), .. }) => {
                self.part(PartOut::Data { media_type, data }, out);
            }
            PartStart::Image(_) | PartStart::Text | PartStart::Reasoning | PartStart::Refusal => {}
        }
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) | Delta::Refusal(text) if !text.is_empty() => {
                self.part(PartOut::Text(text), out);
            }
            Delta::Reasoning(text) if !text.is_empty() => {
                self.thinks_aloud = true;
                if let Some(earlier) = self.proofs.take() {
                    self.write_part(PartOut::Thought(""), Some(&earlier), out);
                }
                self.write_part(PartOut::Thought(text), None, out);
            }
            Delta::Signature(signature) => {
                let proof = proof::shown(signature).into_owned();
                if self.thinks_aloud {
                    self.write_part(PartOut::Thought(""), Some(&proof), out);
                } else {
                    self.wait(proof, out);
                }
            }
            Delta::Arguments(piece) => self.arguments(piece, out),
            Delta::Text(_) | Delta::Refusal(_) | Delta::Reasoning(_) => {}
        }
    }

    fn arguments(&mut self, piece: &str, out: &mut Vec<u8>) {
        let Some(call) = &mut self.call else { return };
        if call.arguments.len().saturating_add(piece.len()) <= MOST_ARGUMENTS {
            call.arguments.push_str(piece);
            return;
        }
        let failure = ProviderError {
            kind: ProviderErrorKind::Server,
            message: format!("the arguments of a call are longer than {MOST_ARGUMENTS} bytes"),
            status: None,
            code: Some("backend_broken_answer".to_owned()),
            param: None,
            retry_after: None,
        };
        self.fail(&failure, out);
    }

    fn fail(&mut self, failure: &ProviderError, out: &mut Vec<u8>) {
        self.failed = true;
        out.extend_from_slice(b"data: ");
        error::write(failure.kind.status(), &failure.shown(None), out);
        out.extend_from_slice(b"\n\n");
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let proof = self.proofs.take();
        let (usage, reason) = (self.usage.take(), finish_reason(self.stop));
        self.event(usage.as_ref(), out, |candidate| {
            let part = if proof.is_some() { PartOut::Thought("") } else { PartOut::Text("") };
            content(candidate, |parts| part.write(parts.item(), proof.as_deref()));
            candidate.put("finishReason", reason);
        });
    }
}

impl StreamEncoder for Encoder {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        match event {
            StreamEvent::Start { .. } => {}
            StreamEvent::PartStart { part, .. } => self.start(part, out),
            StreamEvent::Delta { delta, .. } => self.delta(delta, out),
            StreamEvent::PartEnd { .. } => {
                if let Some(Call { id, name, arguments }) = self.call.take() {
                    self.part(PartOut::Call { id: &id, name: &name, arguments: &arguments }, out);
                }
            }
            StreamEvent::Usage(report) => self.usage.get_or_insert_default().update(report),
            StreamEvent::Logprobs(logprobs) => {
                self.event(None, out, |candidate| logprobs::write(candidate, logprobs));
            }
            StreamEvent::Stop { reason, .. } => self.stop = *reason,
            StreamEvent::Failed(failure) => self.fail(failure, out),
            StreamEvent::End => self.end(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::StreamDecoder;
    use crate::gemini::stream::Decoder;

    /// What Google's own events become: read, and written again.
    fn again(events: &[&str]) -> Vec<String> {
        let shown = AnswerHead { id: "a".into(), model: "alias".into(), ..AnswerHead::default() };
        let (mut decoder, mut encoder, mut out) = (Decoder::new(), Encoder::new(shown), Vec::new());
        for event in events {
            decoder.read(None, event, &mut |event| encoder.write(&event, &mut out)).unwrap();
        }
        decoder.finish(&mut |event| encoder.write(&event, &mut out)).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).map(str::to_owned).collect()
    }

    #[test]
    fn thoughts_texts_and_whole_calls_go_out_with_their_proofs() {
        let events = again(&[
            r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}]}}],"responseId":"r"}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"id":"c","name":"f","args":{"a":1}},"thoughtSignature":"c2ln"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}"#,
        ]);
        let part = |place: usize| {
            let event: serde_json::Value = serde_json::from_str(&events[place]).unwrap();
            assert_eq!((&event["modelVersion"], &event["responseId"]), (&"alias".into(), &"a".into()));
            event["candidates"][0]["content"]["parts"][0].to_string()
        };
        assert_eq!(part(0), r#"{"text":"hm","thought":true}"#);
        assert_eq!(part(1), r#"{"text":"","thought":true,"thoughtSignature":"c2ln"}"#);
        assert_eq!(part(2), r#"{"functionCall":{"args":{"a":1},"id":"c","name":"f"}}"#);
        assert_eq!(part(3), r#"{"text":"b"}"#);
        assert!(
            events[4].contains(r#""finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"#)
        );
        assert_eq!(events.len(), 5);
    }

    #[test]
    fn a_failure_is_the_last_event() {
        let events = again(&[
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#,
            r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#,
        ]);
        assert_eq!(events.len(), 2);
        assert!(
            events[1].starts_with(r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE""#),
            "{events:?}"
        );
    }

    #[test]
    fn arguments_that_never_end_break_the_stream() {
        let mut encoder = Encoder::new(AnswerHead::default());
        let mut out = Vec::new();
        let call = PartStart::ToolCall { id: "c".into(), name: "f".into() };
        encoder.write(&StreamEvent::PartStart { index: 0, part: call }, &mut out);
        let piece = "x".repeat(MOST_ARGUMENTS / 2 + 1);
        for _ in 0..3 {
            let delta = Delta::Arguments(piece.as_str().into());
            encoder.write(&StreamEvent::Delta { index: 0, delta }, &mut out);
        }
        encoder.write(&StreamEvent::End, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("data: {\"error\"") && text.matches("data: ").count() == 1, "{text}");
    }
}
