//! How much an attempt used, from the best source there is. Pure.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_crossing::{ClientFormat, prompt};
use tollgate_formats::{Reported, Usage};
use tollgate_limits::Consumed;
use tollgate_schemas::tokens::{TokenClass, UsageLine, input_tokens, output_tokens};
use tollgate_schemas::usage::UsageSource;
use tollgate_tokens::{Budget, Count, Family, count_text_within};

use super::traffic::Traffic;

/// Prompts up to this size are kept until the provider has reported, so that they can be counted exactly
/// if it never does; longer ones are estimated from their size.
const KEEP_PROMPT_BYTES: usize = 16 << 10;
/// Bytes of JSON per prompt token in an estimate: English text in chat messages comes to about 4.5.
const BYTES_PER_TOKEN: u64 = 4;
/// Most tokens of one call whatever its bytes: models' windows go up to 10 million.
const LARGEST_WINDOW: u64 = 1 << 24;
/// A token is a byte at least; twice that leaves room for what templates and tools add.
const MOST_TOKENS_PER_BYTE: u64 = 2;

/// What a call is measured by where its provider does not report.
#[derive(Debug)]
pub enum Basis {
    /// Tokens, counted by the gateway.
    Tokens(Prompt),
    /// The request itself: what media come to in tokens only their models know.
    Request,
    /// Tokens, estimated from what passes through: of a call that is not understood as a whole, but known to use some.
    Passed(Passed),
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

/// What is remembered of a call that is passed through.
#[derive(Debug)]
pub struct Passed {
    class: TokenClass,
    traffic: Arc<Traffic>,
    /// Bytes of its body as its head says them.
    announced: u64,
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
    /// Bytes of a whole answer whose text was not kept, because its provider reports.
    pub body: u64,
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
    /// The tokens of a report that no call can have used, and that nobody is charged for.
    pub disbelieved: Option<u64>,
}

impl Measure {
    fn new(lines: Vec<UsageLine>, source: UsageSource) -> Self {
        Self { lines, source, disbelieved: None }
    }

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

    /// Of a request in this format whose prompt has so many tokens and is not kept.
    #[must_use]
    pub const fn counted(client: ClientFormat, tokens: u64) -> Self {
        Self::Tokens(Prompt { client, body: None, estimate: tokens })
    }

    /// Of a call that is passed through, whose prompt is charged as `class` where it is known to have one; `announced`
    /// is what its head says of the length of its body.
    #[must_use]
    pub fn passed(class: Option<TokenClass>, traffic: Arc<Traffic>, announced: u64) -> Self {
        match class {
            Some(class) => Self::Passed(Passed { class, traffic, announced }),
            None => Self::Traffic(traffic),
        }
    }

    /// What the call uses at least, as far as that is known before it is made.
    #[must_use]
    pub fn at_least(&self) -> Option<UsageLine> {
        match self {
            Self::Tokens(prompt) => {
                Some(UsageLine { class: prompt.client.prompt_class(), qty: prompt.estimate })
            }
            Self::Passed(passed) => match passed.traffic.sent().max(passed.announced) {
                0 => Some(ONE_REQUEST),
                bytes => Some(UsageLine { class: passed.class, qty: tokens_of(bytes) }),
            },
            Self::Request | Self::Traffic(_) => Some(ONE_REQUEST),
            Self::Free => None,
        }
    }

    /// The class and the tokens of its prompt; `None` if it is not measured by tokens.
    pub(super) fn prompt(&self, model: &str) -> Option<(TokenClass, Count)> {
        match self {
            Self::Tokens(prompt) => Some((prompt.client.prompt_class(), prompt.count(model))),
            Self::Passed(passed) => {
                let tokens = tokens_of(passed.traffic.sent());
                Some((passed.class, Count { tokens, exact: false }))
            }
            Self::Request | Self::Traffic(_) | Self::Free => None,
        }
    }

    /// The tokens of an answer; `None` if it is not measured by tokens.
    fn answer(&self, model: &str, produced: &Produced<'_>) -> Option<Count> {
        match self {
            // What has come of an answer without text is vectors.
            Self::Tokens(Prompt { client, .. }) if client.prompt_class() == TokenClass::Embedding => None,
            Self::Passed(Passed { class: TokenClass::Embedding, .. }) => None,
            Self::Tokens(_) | Self::Passed(_) => Some(produced.count(model)),
            Self::Request | Self::Traffic(_) | Self::Free => None,
        }
    }

    /// Bytes that went to and fro, as far as they are known.
    fn bytes(&self, produced: &Produced<'_>) -> u64 {
        let text =
            (produced.text.len() as u64).saturating_add(produced.text_beyond).saturating_add(produced.body);
        let passed = match self {
            Self::Tokens(prompt) => prompt.estimate.saturating_mul(BYTES_PER_TOKEN),
            Self::Passed(Passed { traffic, .. }) | Self::Traffic(traffic) => {
                traffic.sent().saturating_add(traffic.came())
            }
            Self::Request | Self::Free => 0,
        };
        passed.saturating_add(text)
    }

    /// Forgets a prompt that cannot be counted yet: to load the tables of its encoding takes long, and a row that is
    /// replaced is not worth it.
    pub fn release_uncountable(&mut self, model: &str) {
        if !Family::of(model).encoding().is_loaded() {
            self.release();
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
    tokens_of(bytes as u64)
}

fn tokens_of(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

impl Prompt {
    fn count(&self, model: &str) -> Count {
        let counted =
            self.body.as_ref().and_then(|body| prompt::count(self.client, model, body, Budget::inline()));
        counted.unwrap_or(Count { tokens: self.estimate, exact: false })
    }
}

/// The provider's report as far as it goes, completed by a count of what went through the gateway, else nothing. A
/// report of more than any call can use is as good as none.
#[must_use]
pub fn measure(basis: &Basis, model: &str, produced: Produced<'_>) -> Measure {
    match produced.usage {
        // What it says was used by another call.
        _ if matches!(basis, Basis::Free) => Measure::new(Vec::new(), UsageSource::None),
        Some(usage) if is_plausible(&usage, basis.bytes(&produced)) => {
            reported(basis, model, usage, produced)
        }
        Some(usage) => {
            let unkept = if produced.text.is_empty() { produced.body } else { 0 };
            let text_beyond = produced.text_beyond.saturating_add(unkept);
            let measure = unreported(basis, model, Produced { text_beyond, ..produced });
            Measure { source: UsageSource::Estimated, disbelieved: Some(most(&usage)), ..measure }
        }
        None if produced.prompt_sent => unreported(basis, model, produced),
        None => Measure::new(Vec::new(), UsageSource::None),
    }
}

/// Whether one call can have used so much. What a backend counts beside the bytes that it was sent (an earlier
/// conversation, files that it keeps) fits its model's window.
fn is_plausible(usage: &Usage, bytes: u64) -> bool {
    most(usage) <= LARGEST_WINDOW.max(bytes.saturating_mul(MOST_TOKENS_PER_BYTE))
}

fn most(usage: &Usage) -> u64 {
    usage.total().max(usage.images)
}

/// A report that is final is believed, also where it says zero. What it leaves open is counted: a provider that says
/// how long an answer is with its last event has said nothing yet of one that was cut.
fn reported(basis: &Basis, model: &str, mut usage: Usage, produced: Produced<'_>) -> Measure {
    let mut counted: Option<Count> = None;
    if usage.lacks_input()
        && let Some((class, input)) = basis.prompt(model)
        && usage.complete_input(UsageLine { class, qty: input.tokens })
    {
        counted = Some(input);
    }
    if usage.output_reported != Reported::Final
        && let Some(output) = basis.answer(model, &produced)
        && usage.complete_output(output.tokens)
    {
        counted = Some(counted.map_or(output, |input| input + output));
    }
    let source = match counted {
        Some(count) if count.exact => UsageSource::Counted,
        Some(_) => UsageSource::Estimated,
        None if produced.complete => UsageSource::ProviderFinal,
        None => UsageSource::ProviderPartial,
    };
    Measure::new(usage.lines().to_vec(), source)
}

fn unreported(basis: &Basis, model: &str, produced: Produced<'_>) -> Measure {
    let Some((class, input)) = basis.prompt(model) else {
        return match basis {
            Basis::Traffic(traffic) => Measure::new(traffic.lines(), UsageSource::Counted),
            Basis::Request => Measure::new(vec![ONE_REQUEST], UsageSource::Counted),
            Basis::Tokens(_) | Basis::Passed(_) | Basis::Free => Measure::new(Vec::new(), UsageSource::None),
        };
    };
    let output = basis.answer(model, &produced).unwrap_or(Count { tokens: 0, exact: true });
    let lines = [(class, input.tokens), (TokenClass::Output, output.tokens)];
    let lines = lines.into_iter().filter(|(_, qty)| *qty > 0).map(|(class, qty)| UsageLine { class, qty });
    let exact = (input + output).exact;
    Measure::new(lines.collect(), if exact { UsageSource::Counted } else { UsageSource::Estimated })
}

impl Produced<'_> {
    /// Tokens of the text that was generated.
    fn count(&self, model: &str) -> Count {
        // To count nothing is no reason to load the tables of an encoding.
        let kept = match self.text {
            "" => Count::ZERO,
            text => count_text_within(model, text, Budget::inline()),
        };
        match self.text_beyond {
            0 => kept,
            beyond => Count { tokens: kept.tokens.saturating_add(tokens_of(beyond)), exact: false },
        }
    }
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
