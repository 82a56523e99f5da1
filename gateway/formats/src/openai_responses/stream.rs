//! Streamed responses, written: the events in the order that OpenAI's own stream has them (API reference,
//! "Streaming events").
//!
//! The last event repeats the whole answer, so what was sent is kept until then, up to [`KEEP_BYTES`].

use serde_json::value::RawValue;

use super::answer::{Status, head, tail};
use super::custom::{self, CustomInput};
use super::logprobs::Tokens;
use super::output::{Form, Output, Tool, image_data};
pub use super::stream_decoder::Decoder;
use crate::error::ProviderError;
use crate::exchange::{AnswerHead, Delta, PartStart, Stop, StreamEncoder, StreamEvent, Usage};
use crate::json::{Array, Object};

/// Most bytes of an answer that are kept to be repeated; of a longer one the rest is missing there.
pub const KEEP_BYTES: usize = 16 << 20;

/// Writes one stream.
#[derive(Debug)]
pub struct Encoder {
    shown: AnswerHead,
    sequence: u64,
    items: Vec<Item>,
    kept_bytes: usize,
    /// Reads the text out of the arguments of the open call of a custom tool.
    input: CustomInput,
    usage: Option<Usage>,
    stop: Stop,
}

/// One item of the output so far.
#[derive(Debug)]
struct Item {
    kind: Kind,
    text: String,
    logprobs: Tokens,
}

#[derive(Debug)]
enum Kind {
    Text,
    Refusal,
    /// Thoughts, whose seal comes last; those that only a provider can read have no text.
    Reasoning {
        sealed: Option<String>,
        is_shown: bool,
    },
    Call {
        id: String,
        name: String,
    },
    Picture {
        media_type: String,
        data: String,
    },
}

impl Item {
    fn output<'a>(&'a self, shown: &'a AnswerHead) -> Output<'a> {
        match &self.kind {
            Kind::Text => Output::Text { text: &self.text, logprobs: self.logprobs.as_str() },
            Kind::Refusal => Output::Refusal(&self.text),
            Kind::Reasoning { sealed, is_shown } => {
                Output::Reasoning { text: &self.text, sealed: sealed.as_deref(), is_redacted: !is_shown }
            }
            Kind::Call { id, name } => {
                Output::Call { id, tool: Tool::of(shown, name), arguments: &self.text }
            }
            Kind::Picture { media_type, data } => Output::Picture { media_type, data },
        }
    }
}

impl Encoder {
    /// For a client that is shown this.
    #[must_use]
    pub fn new(shown: AnswerHead) -> Self {
        Self {
            shown,
            sequence: 0,
            items: Vec::new(),
            kept_bytes: 0,
            input: CustomInput::default(),
            usage: None,
            stop: Stop::End,
        }
    }

    /// One event; `fill` adds what it has beside its type and number.
    fn event(&mut self, name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&Self, &mut Object<'_>)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let mut object = Object::new(out);
        object.put("type", name).put("sequence_number", &self.sequence);
        fill(self, &mut object);
        object.end();
        out.extend_from_slice(b"\n\n");
        self.sequence += 1;
    }

    /// An event that carries the response as it stands.
    fn response(&mut self, name: &str, status: Status, error: Option<&ProviderError>, out: &mut Vec<u8>) {
        self.event(name, out, |me, object| {
            let mut response = Object::new(object.key("response"));
            head(&mut response, &me.shown, status, error);
            let mut list = Array::new(response.key("output"));
            if status != Status::InProgress {
                for (index, item) in me.items.iter().enumerate() {
                    item.output(&me.shown).write(list.item(), &me.shown.id, index, true);
                }
            }
            list.end();
            tail(&mut response, me.usage.as_ref().filter(|_| status != Status::InProgress));
            response.end();
        });
    }

    fn part_start(&mut self, part: &PartStart<'_>, out: &mut Vec<u8>) {
        let kind = match part {
            PartStart::Text => Kind::Text,
            PartStart::Refusal => Kind::Refusal,
            PartStart::Reasoning => Kind::Reasoning { sealed: None, is_shown: true },
            PartStart::RedactedReasoning(data) => {
                Kind::Reasoning { sealed: Some(data.clone().into_owned()), is_shown: false }
            }
            PartStart::Image(image) => Kind::Picture {
                media_type: image.media_type.clone().into_owned(),
                data: image_data(image).to_owned(),
            },
            PartStart::ToolCall { id, name } => {
                Kind::Call { id: id.clone().into_owned(), name: name.clone().into_owned() }
            }
        };
        self.items.push(Item { kind, text: String::new(), logprobs: Tokens::default() });
        self.input = CustomInput::default();
        self.event("response.output_item.added", out, |me, object| {
            me.item(object, false);
        });
        match part {
            PartStart::Text | PartStart::Refusal => {
                self.event("response.content_part.added", out, |me, object| me.part(object, "content_index"));
            }
            PartStart::Reasoning => {
                self.event("response.reasoning_summary_part.added", out, |me, object| {
                    me.part(object, "summary_index");
                });
            }
            PartStart::RedactedReasoning(_) | PartStart::ToolCall { .. } | PartStart::Image(_) => {}
        }
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let (name, text) = match delta {
            Delta::Text(text) => ("response.output_text.delta", text),
            Delta::Refusal(text) => ("response.refusal.delta", text),
            Delta::Reasoning(text) => ("response.reasoning_summary_text.delta", text),
            Delta::Arguments(text) => ("response.function_call_arguments.delta", text),
            Delta::Signature(text) => {
                if let Some(Item { kind: Kind::Reasoning { sealed, .. }, .. }) = self.items.last_mut() {
                    sealed.get_or_insert_default().push_str(text);
                }
                return;
            }
        };
        match self.form() {
            // Its arguments are an object, and told whole.
            Some(Form::Search) => {}
            Some(Form::Custom) => {
                let input = self.input.read(text);
                self.custom_input(&input, out);
            }
            None | Some(Form::Function) => self.event(name, out, |me, object| {
                me.place(object);
                object.put("delta", &**text);
                if matches!(delta, Delta::Text(_)) {
                    object.raw("logprobs", "[]");
                }
            }),
        }
        if self.kept_bytes + text.len() <= KEEP_BYTES {
            self.kept_bytes += text.len();
            if let Some(item) = self.items.last_mut() {
                item.text.push_str(text);
            }
        }
    }

    /// They come behind their piece of the text, so they are told with the whole of it.
    fn logprobs(&mut self, logprobs: &RawValue) {
        if let Some(Item { kind: Kind::Text, logprobs: tokens, .. }) = self.items.last_mut() {
            self.kept_bytes += tokens.add(logprobs, KEEP_BYTES.saturating_sub(self.kept_bytes));
        }
    }

    /// A piece of the text that a custom tool is called with.
    fn custom_input(&mut self, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.event("response.custom_tool_call_input.delta", out, |me, object| {
                me.place(object);
                object.put("delta", text);
            });
        }
    }

    /// What the call that is open looks like; `None` if none is.
    fn form(&self) -> Option<Form> {
        match self.items.last()?.output(&self.shown) {
            Output::Call { tool, .. } => Some(tool.form),
            _ => None,
        }
    }

    fn part_end(&mut self, out: &mut Vec<u8>) {
        let Some(item) = self.items.last() else { return };
        let (done, part_done) = match (&item.kind, self.form()) {
            (Kind::Text, _) => ("response.output_text.done", Some("response.content_part.done")),
            (Kind::Refusal, _) => ("response.refusal.done", Some("response.content_part.done")),
            (Kind::Reasoning { is_shown: true, .. }, _) => {
                ("response.reasoning_summary_text.done", Some("response.reasoning_summary_part.done"))
            }
            (Kind::Reasoning { is_shown: false, .. } | Kind::Picture { .. }, _)
            | (Kind::Call { .. }, Some(Form::Search)) => ("", None),
            (Kind::Call { .. }, Some(Form::Custom)) => {
                let rest = self.input.finish();
                self.custom_input(&rest, out);
                ("response.custom_tool_call_input.done", None)
            }
            (Kind::Call { .. }, _) => ("response.function_call_arguments.done", None),
        };
        if !done.is_empty() {
            self.event(done, out, |me, object| {
                me.place(object);
                me.whole_text(object);
            });
        }
        if let Some(name) = part_done {
            let index = if name.contains("summary") { "summary_index" } else { "content_index" };
            self.event(name, out, |me, object| me.part(object, index));
        }
        self.event("response.output_item.done", out, |me, object| me.item(object, true));
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let status = Status::of(self.stop);
        let name = match status {
            Status::Incomplete(_) => "response.incomplete",
            _ => "response.completed",
        };
        self.response(name, status, None, out);
    }

    fn last(&self) -> Option<(usize, &Item)> {
        self.items.len().checked_sub(1).and_then(|index| Some((index, self.items.get(index)?)))
    }

    /// `output_index` and `item`.
    fn item(&self, object: &mut Object<'_>, done: bool) {
        let Some((index, item)) = self.last() else { return };
        object.put("output_index", &index);
        item.output(&self.shown).write(object.key("item"), &self.shown.id, index, done);
    }

    /// Where the part that grows is.
    fn place(&self, object: &mut Object<'_>) {
        let Some((index, item)) = self.last() else { return };
        object.put("item_id", &item.output(&self.shown).id(&self.shown.id, index));
        object.put("output_index", &index);
        match item.kind {
            Kind::Text | Kind::Refusal => {
                object.put("content_index", &0);
            }
            Kind::Reasoning { .. } => {
                object.put("summary_index", &0);
            }
            Kind::Call { .. } | Kind::Picture { .. } => {}
        }
    }

    fn part(&self, object: &mut Object<'_>, index_name: &str) {
        let Some((index, item)) = self.last() else { return };
        object.put("item_id", &item.output(&self.shown).id(&self.shown.id, index));
        object.put("output_index", &index).put(index_name, &0);
        item.output(&self.shown).write_content(object.key("part"));
    }

    fn whole_text(&self, object: &mut Object<'_>) {
        match self.last().map(|(_, item)| item.output(&self.shown)) {
            Some(Output::Text { text, logprobs }) => {
                object.put("text", text).raw("logprobs", logprobs);
            }
            Some(Output::Reasoning { text, .. }) => {
                object.put("text", text);
            }
            Some(Output::Refusal(text)) => {
                object.put("refusal", text);
            }
            Some(Output::Call { tool: Tool { form: Form::Custom, .. }, arguments, .. }) => {
                object.put("input", &custom::input(arguments));
            }
            Some(Output::Call { tool, arguments, .. }) => {
                object.put("name", tool.name).put("arguments", custom::written(arguments));
            }
            Some(Output::Picture { .. }) | None => {}
        }
    }
}

impl StreamEncoder for Encoder {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { .. } => {
                self.response("response.created", Status::InProgress, None, out);
                self.response("response.in_progress", Status::InProgress, None, out);
            }
            StreamEvent::PartStart { part, .. } => self.part_start(part, out),
            StreamEvent::Delta { delta, .. } => self.delta(delta, out),
            StreamEvent::PartEnd { .. } => self.part_end(out),
            StreamEvent::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            StreamEvent::Logprobs(logprobs) => self.logprobs(logprobs),
            StreamEvent::Stop { reason, .. } => self.stop = *reason,
            StreamEvent::Failed(error) => self.response("response.failed", Status::Failed, Some(error), out),
            StreamEvent::End => self.end(out),
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
