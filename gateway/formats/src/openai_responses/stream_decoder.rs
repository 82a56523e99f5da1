//! Streamed responses, read.

use std::borrow::Cow;

use serde::Deserialize;

use super::answer::{self, Body};
use super::items::Item;
use crate::error::{FormatError, ProviderError, ProviderErrorKind};
use crate::exchange::{Delta, PartStart, Stop, StreamDecoder, StreamEvent};
use crate::json::Str;

/// Reads one stream.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    ended: bool,
    called: bool,
    /// The next part's place, and whether one is open.
    next: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Refusal,
    Reasoning,
    Call,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    delta: Option<Str<'a>>,
    #[serde(borrow, default)]
    item: Option<Item<'a>>,
    #[serde(borrow, default)]
    response: Option<Body<'a>>,
    #[serde(borrow, default)]
    code: Option<Str<'a>>,
    #[serde(borrow, default)]
    message: Option<Str<'a>>,
}

impl Decoder {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn start(&mut self, response: Option<&Body<'_>>, out: &mut dyn FnMut(StreamEvent<'_>)) {
        if !std::mem::replace(&mut self.started, true) {
            let text = |text: Option<&Str<'_>>| text.map_or("", |text| &**text).to_owned();
            let id = text(response.and_then(|response| response.id.as_ref()));
            let model = text(response.and_then(|response| response.model.as_ref()));
            out(StreamEvent::Start { id: id.into(), model: model.into() });
        }
    }

    fn delta(&mut self, kind: Open, delta: Delta<'_>, out: &mut dyn FnMut(StreamEvent<'_>)) {
        self.start(None, out);
        if self.open != Some(kind) {
            self.close(out);
            let part = match kind {
                Open::Text => PartStart::Text,
                Open::Refusal => PartStart::Refusal,
                Open::Reasoning => PartStart::Reasoning,
                Open::Call => PartStart::ToolCall { id: Cow::Borrowed(""), name: Cow::Borrowed("") },
            };
            self.open_part(kind, part, out);
        }
        out(StreamEvent::Delta { index: self.next - 1, delta });
    }

    fn open_part(&mut self, kind: Open, part: PartStart<'_>, out: &mut dyn FnMut(StreamEvent<'_>)) {
        out(StreamEvent::PartStart { index: self.next, part });
        self.next += 1;
        self.open = Some(kind);
    }

    fn close(&mut self, out: &mut dyn FnMut(StreamEvent<'_>)) {
        if self.open.take().is_some() {
            out(StreamEvent::PartEnd { index: self.next - 1 });
        }
    }

    fn item_added(&mut self, item: Item<'_>, out: &mut dyn FnMut(StreamEvent<'_>)) {
        self.start(None, out);
        self.close(out);
        if item.kind.as_deref() == Some("function_call") {
            self.called = true;
            let id = item.call_id.unwrap_or_default().into_text();
            let name = item.name.unwrap_or_default().into_text();
            self.open_part(Open::Call, PartStart::ToolCall { id, name }, out);
        }
    }

    fn end(&mut self, response: &Body<'_>, out: &mut dyn FnMut(StreamEvent<'_>)) {
        self.start(Some(response), out);
        self.close(out);
        if let Some(usage) = response.reported() {
            out(StreamEvent::Usage(usage));
        }
        self.ended = true;
        if response.status.as_deref() == Some("failed") {
            let error = response.error.as_ref();
            let text = |text: Option<&Str<'_>>| text.map(|text| (**text).to_owned());
            let code = text(error.and_then(|error| error.code.as_ref()));
            let message = text(error.and_then(|error| error.message.as_ref()));
            return out(StreamEvent::Failed(failure(code, message)));
        }
        let stop = match answer::stop_of(response) {
            Stop::End if self.called => Stop::ToolUse,
            stop => stop,
        };
        out(StreamEvent::Stop { reason: stop, stop_sequence: None });
        out(StreamEvent::End);
    }
}

fn failure(code: Option<String>, message: Option<String>) -> ProviderError {
    let kind = match code.as_deref() {
        Some("rate_limit_exceeded") => ProviderErrorKind::RateLimit,
        Some("invalid_prompt") => ProviderErrorKind::InvalidRequest,
        _ => ProviderErrorKind::Server,
    };
    let message = message.unwrap_or_else(|| "the provider failed".to_owned());
    ProviderError { kind, message, code, param: None, retry_after: None }
}

impl StreamDecoder for Decoder {
    fn read(
        &mut self,
        name: Option<&str>,
        data: &str,
        out: &mut dyn FnMut(StreamEvent<'_>),
    ) -> Result<(), FormatError> {
        if self.ended || data == "[DONE]" {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_str(data)?;
        let kind = event.kind.as_deref().or(name).unwrap_or_default();
        match (kind, event.delta, event.item, &event.response) {
            ("response.created" | "response.in_progress" | "response.queued", _, _, response) => {
                self.start(response.as_ref(), out);
            }
            ("response.output_text.delta", Some(delta), ..) => {
                self.delta(Open::Text, Delta::Text(delta.into_text()), out);
            }
            ("response.refusal.delta", Some(delta), ..) => {
                self.delta(Open::Refusal, Delta::Refusal(delta.into_text()), out);
            }
            ("response.reasoning_summary_text.delta" | "response.reasoning_text.delta", Some(delta), ..) => {
                self.delta(Open::Reasoning, Delta::Reasoning(delta.into_text()), out);
            }
            ("response.function_call_arguments.delta", Some(delta), ..) => {
                self.delta(Open::Call, Delta::Arguments(delta.into_text()), out);
            }
            ("response.output_item.added", _, Some(item), _) => self.item_added(item, out),
            ("response.output_item.done", ..) => self.close(out),
            ("response.completed" | "response.incomplete" | "response.failed", _, _, Some(response)) => {
                self.end(response, out);
            }
            ("error", ..) => {
                self.ended = true;
                let text = |text: Option<Str<'_>>| text.map(|text| text.into_text().into_owned());
                out(StreamEvent::Failed(failure(text(event.code), text(event.message))));
            }
            // Progress of tools that the provider runs itself, and whatever comes later.
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut dyn FnMut(StreamEvent<'_>)) -> Result<(), FormatError> {
        if self.ended { Ok(()) } else { Err(FormatError::CutShort) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stream_that_ends_without_its_last_event_was_cut() {
        let mut decoder = Decoder::new();
        decoder.read(None, r#"{"type":"response.output_text.delta","delta":"x"}"#, &mut |_| {}).unwrap();
        assert_eq!(decoder.finish(&mut |_| {}), Err(FormatError::CutShort));
    }

    #[test]
    fn an_error_event_is_a_failure() {
        let mut failed = None;
        let data = r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down"}"#;
        Decoder::new()
            .read(Some("error"), data, &mut |event| {
                if let StreamEvent::Failed(error) = event {
                    failed = Some(error);
                }
            })
            .unwrap();
        assert_eq!(failed.unwrap().kind, ProviderErrorKind::RateLimit);
    }

    proptest! {
        #[test]
        fn hostile_events_never_panic(name in "[a-z._]{0,40}", data in "[\\[\\]{}\":,a-z_0-9.]{0,120}") {
            let _ = Decoder::new().read(Some(&name), &data, &mut |_| {});
        }
    }
}
