//! How much an attempt used, from the best source there is. Pure.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_crossing::{ClientFormat, prompt};
use tollgate_formats::Usage;
use tollgate_limits::Consumed;
use tollgate_schemas::tokens::{TokenClass, UsageLine, input_tokens, output_tokens};
use tollgate_schemas::usage::UsageSource;
use tollgate_tokens::{Budget, Count, count_text_within};

use super::traffic::Traffic;

/// Prompts up to this size are kept until the provider has reported, so that they can be counted exactly
/// if it never does; longer ones are estimated from their size.
const KEEP_PROMPT_BYTES: usize = 16 << 10;
/// Bytes of JSON per prompt token in an estimate: English text in chat messages comes to about 4.5.
const BYTES_PER_TOKEN: u64 = 4;

/// What is remembered of a prompt for the case that nobody reports its size.
#[derive(Debug)]
pub struct Prompt {
    client: ClientFormat,
    body: Option<Bytes>,
    estimate: u64,
    /// In place of both where a request is passed through.
    traffic: Option<Arc<Traffic>>,
}

/// What an attempt produced, as far as it is known.
#[derive(Debug, Default, Clone, Copy)]
pub struct Produced<'a> {
    /// The provider's last usage report.
    pub usage: Option<Usage>,
    /// Whether the answer came to its end, so that the report is final.
    pub complete: bool,
    /// Generated text that reached the gateway.
    pub text: &'a str,
    /// Bytes of generated text beyond what `text` holds.
    pub text_beyond: u64,
    /// Whether the model can have read the prompt.
    pub prompt_sent: bool,
}

/// Quantities and where they come from.
#[derive(Debug, PartialEq, Eq)]
pub struct Measure {
    /// Disjoint lines.
    pub lines: Vec<UsageLine>,
    /// Where they come from.
    pub source: UsageSource,
}

impl Measure {
    /// What limits are charged.
    #[must_use]
    pub fn consumed(&self) -> Consumed {
        Consumed { input: input_tokens(&self.lines), output: output_tokens(&self.lines) }
    }
}

impl Prompt {
    /// Remembers a request's body.
    #[must_use]
    pub fn of(client: ClientFormat, body: &Bytes) -> Self {
        if matches!(client, ClientFormat::Media(_)) {
            return Self { client, body: None, estimate: 1, traffic: None };
        }
        let estimate = (body.len() as u64).div_ceil(BYTES_PER_TOKEN);
        let body = (body.len() <= KEEP_PROMPT_BYTES).then(|| body.clone());
        Self { client, body, estimate, traffic: None }
    }

    /// A request that nobody can count the tokens of: what goes to and fro is counted instead.
    #[must_use]
    pub fn passed(traffic: Arc<Traffic>) -> Self {
        Self { client: ClientFormat::Chat, body: None, estimate: 0, traffic: Some(traffic) }
    }

    /// Tokens by size alone; of a request about media the request itself.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        self.estimate
    }

    /// Forgets the body once the provider has reported.
    pub fn release(&mut self) {
        self.body = None;
    }

    /// What is counted in place of tokens; none where those are.
    fn in_place_of_tokens(&self) -> Option<Vec<UsageLine>> {
        let request = || vec![UsageLine { class: TokenClass::Request, qty: 1 }];
        match &self.traffic {
            Some(traffic) => Some(traffic.lines()),
            None => matches!(self.client, ClientFormat::Media(_)).then(request),
        }
    }

    fn count(&self, model: &str) -> Count {
        let counted =
            self.body.as_ref().and_then(|body| prompt::count(self.client, model, body, Budget::inline()));
        counted.unwrap_or(Count { tokens: self.estimate, exact: false })
    }
}

/// The provider's report where there is one, else a count of what went through the gateway, else nothing.
#[must_use]
pub fn measure(prompt: &Prompt, model: &str, produced: Produced<'_>) -> Measure {
    if let Some(usage) = produced.usage {
        let source =
            if produced.complete { UsageSource::ProviderFinal } else { UsageSource::ProviderPartial };
        return Measure { lines: usage.lines().to_vec(), source };
    }
    if !produced.prompt_sent {
        return Measure { lines: Vec::new(), source: UsageSource::None };
    }
    if let Some(lines) = prompt.in_place_of_tokens() {
        return Measure { lines, source: UsageSource::Counted };
    }
    let input = prompt.count(model);
    let mut output = count_text_within(model, produced.text, Budget::inline());
    if produced.text_beyond > 0 {
        output = Count { tokens: output.tokens + produced.text_beyond / BYTES_PER_TOKEN, exact: false };
    }
    let lines = [(prompt.client.prompt_class(), input.tokens), (TokenClass::Output, output.tokens)];
    Measure {
        lines: lines
            .into_iter()
            .filter(|(_, qty)| *qty > 0)
            .map(|(class, qty)| UsageLine { class, qty })
            .collect(),
        source: if (input + output).exact { UsageSource::Counted } else { UsageSource::Estimated },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt() -> Prompt {
        Prompt::of(
            ClientFormat::Chat,
            &Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Say hi"}]}"#),
        )
    }

    fn reported() -> Usage {
        Usage { input: 9, ..Usage::default() }
    }

    #[test]
    fn a_final_report_is_believed_even_where_it_says_zero() {
        let produced = Produced {
            usage: Some(reported()),
            complete: true,
            text: "hello",
            prompt_sent: true,
            ..Produced::default()
        };
        let measure = measure(&prompt(), "gpt-4o", produced);
        assert_eq!(measure.source, UsageSource::ProviderFinal);
        assert_eq!(measure.consumed().tokens(), 9);
    }

    #[test]
    fn an_absurd_report_is_charged_as_the_most_there_is() {
        let usage = Usage { input: 1 << 63, output: 1 << 63, ..Usage::default() };
        let produced = Produced { usage: Some(usage), complete: true, ..Produced::default() };
        let consumed = measure(&prompt(), "gpt-4o", produced).consumed();
        assert_eq!(consumed, Consumed { input: 1 << 63, output: 1 << 63 });
        assert_eq!(consumed.tokens(), u64::MAX);
    }

    #[test]
    fn a_report_before_the_end_is_partial() {
        let produced = Produced { usage: Some(reported()), prompt_sent: true, ..Produced::default() };
        assert_eq!(measure(&prompt(), "gpt-4o", produced).source, UsageSource::ProviderPartial);
    }

    #[test]
    fn without_a_report_both_sides_are_counted() {
        let produced = Produced { text: "Hello there", prompt_sent: true, ..Produced::default() };
        let measure = measure(&prompt(), "gpt-4o", produced);
        assert_eq!(measure.source, UsageSource::Counted);
        assert_eq!(measure.lines.iter().map(|line| line.qty).collect::<Vec<_>>(), [9, 2]);
    }

    #[test]
    fn inputs_of_embeddings_are_counted_in_their_own_class() {
        let body = Bytes::from_static(br#"{"model":"m","input":"Hello there"}"#);
        let prompt = Prompt::of(ClientFormat::Embeddings, &body);
        let produced = Produced { prompt_sent: true, ..Produced::default() };
        let measure = measure(&prompt, "text-embedding-3-small", produced);
        assert_eq!(measure.lines, [UsageLine { class: TokenClass::Embedding, qty: 2 }]);
    }

    #[test]
    fn an_unknown_tokenizer_makes_an_estimate() {
        let produced = Produced { text: "Hello", prompt_sent: true, ..Produced::default() };
        assert_eq!(measure(&prompt(), "sim-small", produced).source, UsageSource::Estimated);
    }

    #[test]
    fn a_request_about_media_counts_itself_and_charges_no_limit() {
        let kind = tollgate_formats::openai_media::MediaKind::Speech;
        let prompt = Prompt::of(ClientFormat::Media(kind), &Bytes::from_static(b"{}"));
        let measure = measure(&prompt, "tts-1", Produced { prompt_sent: true, ..Produced::default() });
        assert_eq!(measure.lines, [UsageLine { class: TokenClass::Request, qty: 1 }]);
        assert_eq!((measure.consumed().tokens(), measure.source), (0, UsageSource::Counted));
    }

    #[test]
    fn what_passes_is_counted_unless_the_provider_reports() {
        let traffic = Arc::new(Traffic::of_body(7));
        traffic.answered(11);
        let prompt = Prompt::passed(traffic);
        let sent = Produced { prompt_sent: true, ..Produced::default() };
        let counted = measure(&prompt, "", sent);
        assert_eq!(counted.lines.iter().map(|line| line.qty).collect::<Vec<_>>(), [1, 7, 11]);
        assert_eq!(counted.consumed().tokens(), 0);
        let reported = Produced { usage: Some(reported()), ..sent };
        assert_eq!(measure(&prompt, "", reported).consumed().tokens(), 9);
    }

    #[test]
    fn a_prompt_that_was_never_sent_costs_nothing() {
        let measure = measure(&prompt(), "gpt-4o", Produced::default());
        assert_eq!((measure.consumed().tokens(), measure.source), (0, UsageSource::None));
    }
}
