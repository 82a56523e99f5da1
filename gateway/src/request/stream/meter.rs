//! What is read along a stream: usage, text, why the model stopped, whether it came to its end.

use tollgate_formats::exchange::{Delta, PartStart, Stop, StreamEvent};
use tollgate_formats::{ProviderError, Usage};

use crate::books::measure::Produced;

/// Generated text kept for counting, bytes; what goes beyond is estimated.
const KEEP_TEXT_BYTES: usize = 64 << 10;

/// Reads a stream along.
#[derive(Debug, Default)]
pub struct Meter {
    usage: Option<Usage>,
    text: String,
    text_beyond: u64,
    stop: Option<Stop>,
    begun: bool,
    spoken: bool,
    done: bool,
    failure: Option<ProviderError>,
    /// What the provider calls the answer; empty while it has not said so.
    answer_id: String,
    /// Steps since [`Meter::begin_event`], and whether all of them were usage reports.
    steps: u32,
    only_usage: bool,
}

impl Meter {
    /// The next event of the backend begins.
    pub fn begin_event(&mut self) {
        self.steps = 0;
        self.only_usage = true;
    }

    /// Whether the event said nothing but what was used.
    #[must_use]
    pub fn was_only_usage(&self) -> bool {
        self.steps > 0 && self.only_usage
    }

    /// Reads one step.
    pub fn read(&mut self, event: &StreamEvent<'_>) {
        self.steps += 1;
        self.begun = true;
        self.only_usage &= matches!(event, StreamEvent::Usage(_));
        self.spoken |= is_word(event);
        match event {
            StreamEvent::Delta { delta, .. } => match delta {
                Delta::Text(text)
                | Delta::Reasoning(text)
                | Delta::Refusal(text)
                | Delta::Arguments(text) => self.keep_text(text),
                Delta::Signature(_) => {}
            },
            StreamEvent::PartStart { part: PartStart::ToolCall { name, .. }, .. } => self.keep_text(name),
            StreamEvent::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            StreamEvent::Stop { reason, .. } => self.stop = Some(*reason),
            StreamEvent::Failed(error) => {
                self.failure = Some(error.clone());
                self.done = true;
            }
            StreamEvent::End => self.done = true,
            StreamEvent::Start { id, .. } => id.as_ref().clone_into(&mut self.answer_id),
            StreamEvent::PartStart { .. } | StreamEvent::PartEnd { .. } | StreamEvent::Logprobs(_) => {}
        }
    }

    /// Whether the backend has said something that is no failure.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.begun && self.failure.is_none()
    }

    /// What the provider calls the answer; `None` while it has not said so.
    #[must_use]
    pub fn answer_id(&self) -> Option<&str> {
        Some(&*self.answer_id).filter(|id| !id.is_empty())
    }

    /// Whether the model has said something that a client could use.
    #[must_use]
    pub fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// Whether the stream has said its last word.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The error that the backend ended the stream with.
    #[must_use]
    pub fn failure(&self) -> Option<&ProviderError> {
        self.failure.as_ref()
    }

    /// Whether the provider has said how long the prompt is.
    #[must_use]
    pub fn knows_prompt(&self) -> bool {
        self.usage.is_some_and(|usage| !usage.lacks_input())
    }

    /// Why the model stopped, once it did.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// The text that was kept, and whether there was more.
    #[must_use]
    pub fn text(&self) -> (&str, bool) {
        (&self.text, self.text_beyond > 0)
    }

    /// What the attempt produced so far.
    #[must_use]
    pub fn produced(&self) -> Produced<'_> {
        Produced {
            usage: self.usage,
            complete: self.done && self.failure.is_none(),
            text: &self.text,
            text_beyond: self.text_beyond,
            body: 0,
            prompt_sent: true,
        }
    }

    fn keep_text(&mut self, text: &str) {
        if self.text.len() + text.len() <= KEEP_TEXT_BYTES {
            self.text.push_str(text);
        } else {
            self.text_beyond += text.len() as u64;
        }
    }
}

/// What a stream says before the model does is no word: its head, what the prompt used, an empty part.
fn is_word(event: &StreamEvent<'_>) -> bool {
    match event {
        StreamEvent::Start { .. }
        | StreamEvent::Usage(_)
        | StreamEvent::PartEnd { .. }
        | StreamEvent::Logprobs(_)
        | StreamEvent::Failed(_) => false,
        StreamEvent::PartStart { part, .. } => {
            !matches!(part, PartStart::Text | PartStart::Reasoning | PartStart::Refusal)
        }
        StreamEvent::Delta { .. } | StreamEvent::Stop { .. } | StreamEvent::End => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> StreamEvent<'_> {
        StreamEvent::Delta { index: 0, delta: Delta::Text(text.into()) }
    }

    #[test]
    fn an_event_of_usage_alone_is_told_from_one_that_says_more() {
        let mut meter = Meter::default();
        meter.begin_event();
        assert!(!meter.was_only_usage());
        meter.read(&StreamEvent::Usage(Usage { output: 2, ..Usage::default() }));
        assert!(meter.was_only_usage());
        meter.begin_event();
        meter.read(&text("x"));
        meter.read(&StreamEvent::Usage(Usage { output: 3, ..Usage::default() }));
        assert!(!meter.was_only_usage());
        assert_eq!(meter.produced().usage.unwrap().output, 3);
    }

    #[test]
    fn text_beyond_the_bound_is_measured_not_kept() {
        let mut meter = Meter::default();
        meter.read(&text(&"a".repeat(KEEP_TEXT_BYTES)));
        meter.read(&text("bcd"));
        assert_eq!((meter.text.len(), meter.text_beyond), (KEEP_TEXT_BYTES, 3));
    }

    #[test]
    fn the_head_of_a_stream_is_no_word_of_the_model() {
        let mut meter = Meter::default();
        meter.read(&StreamEvent::Start { id: "a".into(), model: "m".into() });
        meter.read(&StreamEvent::Usage(Usage { input: 2, ..Usage::default() }));
        meter.read(&StreamEvent::PartStart { index: 0, part: PartStart::Text });
        assert!(!meter.has_spoken() && meter.answers());
        meter.read(&text("x"));
        assert!(meter.has_spoken());
    }

    #[test]
    fn a_stream_that_failed_is_done_but_not_complete() {
        let mut meter = Meter::default();
        meter.read(&StreamEvent::Failed(ProviderError {
            kind: tollgate_formats::ProviderErrorKind::Overloaded,
            message: "overloaded".to_owned(),
            status: None,
            code: None,
            param: None,
            retry_after: None,
        }));
        assert!(
            meter.is_done() && !meter.produced().complete && meter.failure().is_some() && !meter.answers()
        );
    }
}
