//! What decoders promise of their events, checked on every golden stream.

use tollgate_formats::exchange::{Delta, PartStart, StreamEvent};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Redacted,
    Refusal,
    ToolCall,
    Image,
}

/// Follows the events of one stream.
#[derive(Debug, Default)]
pub(crate) struct Order {
    started: bool,
    open: Option<(u32, Kind)>,
    next: u32,
    over: bool,
}

impl Order {
    /// The next event; panics when it breaks a promise.
    pub(crate) fn check(&mut self, event: &StreamEvent<'_>) {
        assert!(!self.over, "after the end: {event:?}");
        match event {
            StreamEvent::Start { .. } => {
                assert!(!std::mem::replace(&mut self.started, true), "a second start")
            }
            StreamEvent::Failed(_) => self.over = true,
            _ => assert!(self.started, "before the start: {event:?}"),
        }
        match event {
            StreamEvent::PartStart { index, part } => {
                assert_eq!(self.open, None, "a part starts in another: {event:?}");
                assert_eq!(*index, self.next, "indexes count up");
                self.open = Some((*index, kind_of(part)));
                self.next += 1;
            }
            StreamEvent::Delta { index, delta } => {
                let (open, kind) = self.open.unwrap_or_else(|| panic!("no part is open: {event:?}"));
                assert_eq!(*index, open, "a delta of a part that is not open");
                assert_eq!(kind_of_delta(delta), kind, "a delta of another kind: {event:?}");
            }
            StreamEvent::PartEnd { index } => {
                assert_eq!(self.open.take().map(|(open, _)| open), Some(*index), "the open part ends");
            }
            StreamEvent::Stop { .. } => assert_eq!(self.open, None, "the model stopped within a part"),
            StreamEvent::End => self.over = true,
            StreamEvent::Start { .. }
            | StreamEvent::Usage(_)
            | StreamEvent::Logprobs(_)
            | StreamEvent::Failed(_) => {}
        }
    }
}

fn kind_of(part: &PartStart<'_>) -> Kind {
    match part {
        PartStart::Text => Kind::Text,
        PartStart::Reasoning => Kind::Reasoning,
        PartStart::RedactedReasoning(_) => Kind::Redacted,
        PartStart::Refusal => Kind::Refusal,
        PartStart::ToolCall { .. } => Kind::ToolCall,
        PartStart::Image(_) => Kind::Image,
    }
}

fn kind_of_delta(delta: &Delta<'_>) -> Kind {
    match delta {
        Delta::Text(_) => Kind::Text,
        Delta::Reasoning(_) | Delta::Signature(_) => Kind::Reasoning,
        Delta::Refusal(_) => Kind::Refusal,
        Delta::Arguments(_) => Kind::ToolCall,
    }
}
