//! Writes a client's stream, in the order that the official SDK's accumulator accepts.

use crate::anthropic::answer::{Blocks, ImageOut, MessageOut, stop_name};
use crate::anthropic::error;
use crate::anthropic::usage::UsageOut;
use crate::calls::CallId;
use crate::exchange::{AnswerHead, Delta, PartStart, Stop, StreamEncoder, StreamEvent, Usage};
use crate::json;

/// Writes the events of one answer. Usage and stop reason are said at its end, together.
#[derive(Debug)]
pub struct Encoder {
    shown: AnswerHead,
    usage: Usage,
    stop: Stop,
    stop_sequence: Option<String>,
    calls_a_tool: bool,
    /// Whether the stream has begun and its first event is still to be written.
    starts: bool,
}

impl Encoder {
    /// For one answer.
    #[must_use]
    pub fn new(shown: AnswerHead) -> Self {
        let usage = Usage::default();
        Self { shown, usage, stop: Stop::Other, stop_sequence: None, calls_a_tool: false, starts: false }
    }

    /// What begins the stream, once it is known whether the provider says how long the prompt is. Programs show the
    /// tokens that stand here; where nobody has said them, they are the gateway's count.
    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.starts) {
            return;
        }
        let counted = Usage { input: self.shown.prompt_tokens.unwrap_or(0), ..Usage::default() };
        let unknown = Usage::default();
        let usage = match self.usage.lacks_input() {
            true => counted,
            false => Usage {
                output: unknown.output,
                reasoning: unknown.reasoning,
                output_audio: unknown.output_audio,
                ..self.usage
            },
        };
        let message = MessageOut {
            id: &self.shown.id,
            kind: "message",
            role: "assistant",
            model: &self.shown.model,
            content: Blocks(&[]),
            stop_reason: None,
            stop_sequence: None,
            usage: UsageOut(&usage, None),
        };
        out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
        json::write(out, &message);
        out.extend_from_slice(b"}\n\n");
    }

    fn part_start(&mut self, index: u32, part: &PartStart<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":",
        );
        json::write(out, &index);
        out.extend_from_slice(b",\"content_block\":");
        match part {
            PartStart::Text | PartStart::Refusal => out.extend_from_slice(br#"{"type":"text","text":""}"#),
            PartStart::Reasoning => {
                out.extend_from_slice(br#"{"type":"thinking","thinking":"","signature":""}"#);
            }
            PartStart::RedactedReasoning(data) => {
                out.extend_from_slice(br#"{"type":"redacted_thinking","data":"#);
                json::write(out, data);
                out.push(b'}');
            }
            PartStart::Image(image) => json::write(out, &ImageOut(image)),
            PartStart::ToolCall { id, name } => {
                self.calls_a_tool = true;
                out.extend_from_slice(br#"{"type":"tool_use","id":"#);
                json::write(out, &CallId(id));
                out.extend_from_slice(br#","name":"#);
                json::write(out, name);
                out.extend_from_slice(br#","input":{}}"#);
            }
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":",
        );
        json::write(out, stop_name(self.stop, self.calls_a_tool));
        out.extend_from_slice(b",\"stop_sequence\":");
        json::write(out, &self.stop_sequence);
        out.extend_from_slice(b"},\"usage\":");
        json::write(out, &UsageOut(&self.usage, None));
        out.extend_from_slice(b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }
}

impl StreamEncoder for Encoder {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        if !matches!(event, StreamEvent::Usage(_)) {
            self.start(out);
        }
        match event {
            StreamEvent::Start { .. } => self.starts = true,
            StreamEvent::PartStart { index, part } => self.part_start(*index, part, out),
            StreamEvent::Delta { index, delta } => write_delta(*index, delta, out),
            StreamEvent::PartEnd { index } => {
                out.extend_from_slice(
                    b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":",
                );
                json::write(out, index);
                out.extend_from_slice(b"}\n\n");
            }
            StreamEvent::Usage(report) => {
                self.usage.update(report);
                self.start(out);
            }
            // This format has none.
            StreamEvent::Logprobs(_) => {}
            StreamEvent::Stop { reason, stop_sequence } => {
                self.stop = *reason;
                self.stop_sequence = stop_sequence.as_deref().map(str::to_owned);
            }
            StreamEvent::Failed(failure) => {
                out.extend_from_slice(b"event: error\ndata: ");
                error::write(&failure.shown(None), out);
                out.extend_from_slice(b"\n\n");
            }
            StreamEvent::End => self.end(out),
        }
    }
}

fn write_delta(index: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
    let (fields, text): (&[u8], &str) = match delta {
        Delta::Text(text) | Delta::Refusal(text) => (br#"{"type":"text_delta","text":"#, text),
        Delta::Reasoning(text) => (br#"{"type":"thinking_delta","thinking":"#, text),
        Delta::Signature(text) => (br#"{"type":"signature_delta","signature":"#, text),
        Delta::Arguments(text) => (br#"{"type":"input_json_delta","partial_json":"#, text),
    };
    out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    json::write(out, &index);
    out.extend_from_slice(b",\"delta\":");
    out.extend_from_slice(fields);
    json::write(out, text);
    out.extend_from_slice(b"}}\n\n");
}
