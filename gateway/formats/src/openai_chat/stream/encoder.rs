//! From events into a client's chunks, in the order that OpenAI's own servers keep: the role first, then what is
//! added, then the reason to stop, then usage where it was asked for, then `[DONE]`.

use std::sync::Arc;

use super::super::answer::{finish_reason, write_block, write_image};
use crate::custom_text::CustomInput;
use crate::exchange::{AnswerHead, Delta, PartStart, Stop, StreamEncoder, StreamEvent, ToolNames, Usage};
use crate::json::{Array, Object, write};
use crate::openai::error::encode_event;
use crate::openai::usage;

/// Writes a stream of chunks.
#[derive(Debug)]
pub struct Encoder {
    /// What every chunk begins with, up to its choices.
    head: Vec<u8>,
    legacy_functions: bool,
    include_usage: bool,
    usage: Option<Usage>,
    calls: u32,
    /// Whether the open call has arguments.
    has_arguments: bool,
    in_call: bool,
    /// Which calls the client knows as those of tools that take free text.
    tool_names: Option<Arc<ToolNames>>,
    /// Reads the text out of the arguments of the open call of such a tool.
    custom: Option<CustomInput>,
    refused: bool,
}

impl Encoder {
    /// A stream as `shown`; usage at its end only where the client asked.
    #[must_use]
    pub fn new(shown: AnswerHead, include_usage: bool) -> Self {
        let mut head = b"data: ".to_vec();
        let mut chunk = Object::new(&mut head);
        chunk
            .put("id", &shown.id)
            .put("object", "chat.completion.chunk")
            .put("created", &shown.created_s)
            .put("model", &shown.model);
        chunk.key("choices");
        Self {
            head,
            legacy_functions: shown.legacy_functions,
            include_usage,
            usage: None,
            calls: 0,
            has_arguments: false,
            in_call: false,
            tool_names: shown.tool_names,
            custom: None,
            refused: false,
        }
    }

    /// A chunk whose choice has this delta, already JSON or to be written by `fill`.
    fn chunk(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        self.choice(out, fill, |choice| {
            choice.raw("logprobs", "null").raw("finish_reason", "null");
        });
    }

    fn choice(
        &self,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Object<'_>),
        rest: impl FnOnce(&mut Object<'_>),
    ) {
        out.extend_from_slice(&self.head);
        out.push(b'[');
        let mut choice = Object::new(out);
        choice.raw("index", "0").object("delta", delta);
        rest(&mut choice);
        choice.end();
        out.push(b']');
        self.tail(out, None);
    }

    /// Where usage was asked for, every chunk has the field.
    fn tail(&self, out: &mut Vec<u8>, usage: Option<&Usage>) {
        match usage {
            Some(usage) => {
                out.extend_from_slice(b",\"usage\":");
                usage::write(out, usage);
            }
            None if self.include_usage => out.extend_from_slice(b",\"usage\":null"),
            None => {}
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn part(&mut self, part: &PartStart<'_>, out: &mut Vec<u8>) {
        match part {
            PartStart::Text | PartStart::Reasoning => {}
            PartStart::Refusal => self.refused = true,
            PartStart::RedactedReasoning(data) => {
                self.thinking(out, |block| write_block(block, "", None, Some(data)));
            }
            PartStart::Image(image) => self.chunk(out, |delta| {
                let mut images = Array::new(delta.key("images"));
                write_image(&mut images, image);
                images.end();
            }),
            PartStart::ToolCall { id, name } => self.call_start(id, name, out),
        }
    }

    fn call_start(&mut self, id: &str, name: &str, out: &mut Vec<u8>) {
        self.in_call = true;
        self.has_arguments = false;
        self.calls += 1;
        if self.legacy_functions {
            // The old form has room for one call.
            if self.calls > 1 {
                return;
            }
            self.chunk(out, |delta| {
                delta.object("function_call", |call| {
                    call.put("name", name).put("arguments", "");
                });
            });
            return;
        }
        let is_custom = self.tool_names.as_ref().is_some_and(|names| names.is_custom(name));
        self.custom = is_custom.then(CustomInput::default);
        let (kind, said) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
        self.call(out, |call| {
            call.put("id", id).put("type", kind).object(kind, |call| {
                call.put("name", name).put(said, "");
            });
        });
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.chunk(out, |delta| {
                delta.put("content", text);
            }),
            Delta::Reasoning(text) => self.chunk(out, |delta| {
                delta.put("reasoning_content", text);
            }),
            Delta::Refusal(text) => self.chunk(out, |delta| {
                delta.put("refusal", text);
            }),
            Delta::Signature(proof) => self.thinking(out, |block| write_block(block, "", Some(proof), None)),
            Delta::Arguments(json) if json.is_empty() => {}
            Delta::Arguments(json) => self.arguments(json, out),
        }
    }

    fn arguments(&mut self, json: &str, out: &mut Vec<u8>) {
        self.has_arguments = true;
        if let Some(custom) = &mut self.custom {
            let input = custom.read(json);
            return self.input(&input, out);
        }
        if self.legacy_functions {
            if self.calls > 1 {
                return;
            }
            self.chunk(out, |delta| {
                delta.object("function_call", |call| {
                    call.put("arguments", json);
                });
            });
            return;
        }
        self.call(out, |call| {
            call.object("function", |function| {
                function.put("arguments", json);
            });
        });
    }

    /// A piece of the text of the open call.
    fn input(&self, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.call(out, |call| {
                call.object("custom", |custom| {
                    custom.put("input", text);
                });
            });
        }
    }

    /// A piece of the open call.
    fn call(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        self.chunk(out, |delta| {
            let list = delta.key("tool_calls");
            list.push(b'[');
            let mut call = Object::new(list);
            write(call.key("index"), &self.calls.saturating_sub(1));
            fill(&mut call);
            call.end();
            list.push(b']');
        });
    }

    fn thinking(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        self.chunk(out, |delta| {
            let list = delta.key("thinking_blocks");
            list.push(b'[');
            let mut block = Object::new(list);
            fill(&mut block);
            block.end();
            list.push(b']');
        });
    }

    fn part_end(&mut self, out: &mut Vec<u8>) {
        if let Some(mut custom) = self.custom.take() {
            self.in_call = false;
            self.input(&custom.finish(), out);
        }
        // Clients parse the arguments; an empty text is no JSON.
        if std::mem::take(&mut self.in_call) && !self.has_arguments {
            self.arguments("{}", out);
        }
    }

    fn stop(&self, reason: Stop, out: &mut Vec<u8>) {
        let reason = finish_reason(reason, self.refused, self.legacy_functions);
        self.choice(
            out,
            |_| {},
            |choice| {
                choice.raw("logprobs", "null").put("finish_reason", reason);
            },
        );
    }

    fn end(&self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.as_ref().filter(|_| self.include_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"[]");
            self.tail(out, Some(usage));
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl StreamEncoder for Encoder {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { .. } => self.chunk(out, |delta| {
                delta.put("role", "assistant").put("content", "").raw("refusal", "null");
            }),
            StreamEvent::PartStart { part, .. } => self.part(part, out),
            StreamEvent::Delta { delta, .. } => self.delta(delta, out),
            StreamEvent::PartEnd { .. } => self.part_end(out),
            StreamEvent::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            StreamEvent::Logprobs(logprobs) => self.choice(
                out,
                |_| {},
                |choice| {
                    write_on_one_line(choice.key("logprobs"), logprobs.get());
                    choice.raw("finish_reason", "null");
                },
            ),
            StreamEvent::Stop { reason, .. } => self.stop(*reason, out),
            StreamEvent::Failed(error) => encode_event(&error.shown(None), out),
            StreamEvent::End => self.end(out),
        }
    }
}

/// Appends JSON that came from outside. Line ends in it can only be white space, but they would end the data's line.
fn write_on_one_line(out: &mut Vec<u8>, json: &str) {
    out.extend(json.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}
