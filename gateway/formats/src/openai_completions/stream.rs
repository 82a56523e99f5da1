//! Streamed answers (chunks of `text_completion`).

use super::answer::finish_reason;
use crate::exchange::{AnswerHead, Delta, StreamEncoder, StreamEvent, Usage};
use crate::json::Object;
use crate::openai::error::encode_event;
use crate::openai::usage;

/// Writes a stream of chunks.
#[derive(Debug)]
pub struct Encoder {
    /// What every chunk begins with, up to its choices.
    head: Vec<u8>,
    include_usage: bool,
    usage: Option<Usage>,
}

impl Encoder {
    /// A stream as `shown`; usage at its end only where the client asked.
    #[must_use]
    pub fn new(shown: AnswerHead, include_usage: bool) -> Self {
        let mut head = b"data: ".to_vec();
        let mut chunk = Object::new(&mut head);
        chunk
            .put("id", &shown.id)
            .put("object", "text_completion")
            .put("created", &shown.created_s)
            .put("model", &shown.model);
        chunk.key("choices");
        Self { head, include_usage, usage: None }
    }

    fn chunk(&self, text: &str, finish_reason: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.push(b'[');
        let mut choice = Object::new(out);
        choice.put("text", text).raw("index", "0").raw("logprobs", "null");
        choice.put("finish_reason", &finish_reason);
        choice.end();
        out.push(b']');
        if self.include_usage {
            out.extend_from_slice(b",\"usage\":null");
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn end(&self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.as_ref().filter(|_| self.include_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"[],\"usage\":");
            usage::write(out, usage);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl StreamEncoder for Encoder {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Delta { delta: Delta::Text(text) | Delta::Refusal(text), .. } => {
                self.chunk(text, None, out);
            }
            StreamEvent::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            StreamEvent::Stop { reason, .. } => self.chunk("", Some(finish_reason(*reason)), out),
            StreamEvent::Failed(error) => encode_event(&error.shown(None), out),
            StreamEvent::End => self.end(out),
            StreamEvent::Start { .. }
            | StreamEvent::PartStart { .. }
            | StreamEvent::Delta { .. }
            | StreamEvent::PartEnd { .. }
            | StreamEvent::Logprobs(_) => {}
        }
    }
}
