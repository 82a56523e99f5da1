//! How much an attempt used, from the best source there is. Pure.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_crossing::{ClientFormat, prompt};
use tollgate_formats::{Reported, Usage};
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

/// What a call is measured by where its provider does not report.
#[derive(Debug)]
pub enum Basis {
    /// Tokens, counted by the gateway.
    Tokens(Prompt),
    /// The request itself: what media come to in tokens only their models know.
    Request,
    /// The request and its bytes: what is passed through without being understood.
    Traffic(Arc<Traffic>),
    /// Nothing: the call uses no model.
    Free,
}

/// What is remembered of a prompt.
#[derive(Debug)]
pub struct Prompt {
    client: ClientFormat,
    body: Option<Bytes>,
    estimate: u64,
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

impl Basis {
    /// Of a request in this format.
    #[must_use]
    pub fn of(client: ClientFormat, body: &Bytes) -> Self {
        if client.is_media() {
            return Self::Request;
        }
        let body_kept = (body.len() <= KEEP_PROMPT_BYTES).then(|| body.clone());
        Self::Tokens(Prompt { client, body: body_kept, estimate: estimated_tokens(body.len()) })
    }

    /// What the call uses at least, as far as that is known before it is made.
    #[must_use]
    pub fn at_least(&self) -> Option<UsageLine> {
        match self {
            Self::Tokens(prompt) => {
                Some(UsageLine { class: prompt.client.prompt_class(), qty: prompt.estimate })
            }
            Self::Request | Self::Traffic(_) => Some(ONE_REQUEST),
            Self::Free => None,
        }
    }

    /// Forgets the prompt once the provider has reported it.
    pub fn release(&mut self) {
        if let Self::Tokens(prompt) = self {
            prompt.body = None;
        }
    }
}

const ONE_REQUEST: UsageLine = UsageLine { class: TokenClass::Request, qty: 1 };

/// Tokens of a body of JSON by its size alone.
#[must_use]
pub fn estimated_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

impl Prompt {
    fn count(&self, model: &str) -> Count {
        let counted =
            self.body.as_ref().and_then(|body| prompt::count(self.client, model, body, Budget::inline()));
        counted.unwrap_or(Count { tokens: self.estimate, exact: false })
    }
}

/// The provider's report as far as it goes, completed by a count of what went through the gateway, else nothing.
#[must_use]
pub fn measure(basis: &Basis, model: &str, produced: Produced<'_>) -> Measure {
    match produced.usage {
        Some(usage) => reported(basis, model, usage, produced),
        None if produced.prompt_sent => unreported(basis, model, produced),
        None => Measure { lines: Vec::new(), source: UsageSource::None },
    }
}

/// A report that is final is believed, also where it says zero. What it leaves open is counted: a provider that says
/// how long an answer is with its last event has said nothing yet of one that was cut.
fn reported(basis: &Basis, model: &str, mut usage: Usage, produced: Produced<'_>) -> Measure {
    let mut counted: Option<Count> = None;
    if let Basis::Tokens(prompt) = basis {
        if usage.lacks_input() {
            let input = prompt.count(model);
            let line = UsageLine { class: prompt.client.prompt_class(), qty: input.tokens };
            if usage.complete_input(line) {
                counted = Some(input);
            }
        }
        if usage.output_reported != Reported::Final {
            let output = produced.count(model);
            if usage.complete_output(output.tokens) {
                counted = Some(counted.map_or(output, |input| input + output));
            }
        }
    }
    let source = match counted {
        Some(count) if count.exact => UsageSource::Counted,
        Some(_) => UsageSource::Estimated,
        None if produced.complete => UsageSource::ProviderFinal,
        None => UsageSource::ProviderPartial,
    };
    Measure { lines: usage.lines().to_vec(), source }
}

fn unreported(basis: &Basis, model: &str, produced: Produced<'_>) -> Measure {
    let prompt = match basis {
        Basis::Tokens(prompt) => prompt,
        Basis::Request => return Measure { lines: vec![ONE_REQUEST], source: UsageSource::Counted },
        Basis::Traffic(traffic) => {
            return Measure { lines: traffic.lines(), source: UsageSource::Counted };
        }
        Basis::Free => return Measure { lines: Vec::new(), source: UsageSource::None },
    };
    let (input, output) = (prompt.count(model), produced.count(model));
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

impl Produced<'_> {
    /// Tokens of the text that was generated.
    fn count(&self, model: &str) -> Count {
        let kept = count_text_within(model, self.text, Budget::inline());
        match self.text_beyond {
            0 => kept,
            beyond => Count { tokens: kept.tokens + beyond / BYTES_PER_TOKEN, exact: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt() -> Basis {
        Basis::of(
            ClientFormat::Chat,
            &Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Say hi"}]}"#),
        )
    }

    fn reported() -> Usage {
        Usage { input: 9, ..Usage::reported() }
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
    fn an_answer_that_was_cut_before_its_report_is_counted_beside_the_reported_prompt() {
        let usage = Usage { input: 7, input_reported: Reported::Running, ..Usage::default() };
        let produced =
            Produced { usage: Some(usage), text: "Hello there", prompt_sent: true, ..Produced::default() };
        let measure = measure(&prompt(), "gpt-4o", produced);
        let lines: Vec<_> = measure.lines.iter().map(|line| (line.class, line.qty)).collect();
        assert_eq!(lines, [(TokenClass::Input, 7), (TokenClass::Output, 2)]);
        assert_eq!(measure.source, UsageSource::Counted);
    }

    #[test]
    fn a_running_report_that_says_more_than_was_relayed_is_kept() {
        let usage = Usage { output: 40, ..reported() }.running();
        let produced = Produced { usage: Some(usage), text: "Hi", prompt_sent: true, ..Produced::default() };
        let measure = measure(&prompt(), "gpt-4o", produced);
        assert_eq!((measure.consumed().tokens(), measure.source), (49, UsageSource::ProviderPartial));
    }

    #[test]
    fn a_call_that_uses_no_model_has_no_lines() {
        let measure = measure(&Basis::Free, "", Produced { prompt_sent: true, ..Produced::default() });
        assert_eq!((measure.lines.len(), measure.source), (0, UsageSource::None));
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
        let prompt = Basis::of(ClientFormat::Embeddings, &body);
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
        let prompt = Basis::of(ClientFormat::Media(kind), &Bytes::from_static(b"{}"));
        let measure = measure(&prompt, "tts-1", Produced { prompt_sent: true, ..Produced::default() });
        assert_eq!(measure.lines, [UsageLine { class: TokenClass::Request, qty: 1 }]);
        assert_eq!((measure.consumed().tokens(), measure.source), (0, UsageSource::Counted));
    }

    #[test]
    fn what_passes_is_counted_unless_the_provider_reports() {
        let traffic = Arc::new(Traffic::of_body(7));
        traffic.answered(11);
        let prompt = Basis::Traffic(traffic);
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
