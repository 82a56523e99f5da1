//! How much an attempt used, from the best source there is. Pure.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_schemas::tokens::{TokenClass, UsageLine};
use tollgate_schemas::usage::UsageSource;

use crate::formats::openai::usage::Usage;
use crate::tokens::{self, Budget, Count};

/// Prompts up to this size are kept until the provider has reported, so that they can be counted exactly
/// if it never does; longer ones are estimated from their size.
const KEEP_PROMPT_BYTES: usize = 16 << 10;
/// Bytes of text per token in an estimate: English comes to about 4.5.
const BYTES_PER_TOKEN: u64 = 4;

/// What is remembered of a prompt for the case that nobody reports its size.
#[derive(Debug)]
pub struct Prompt {
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
    /// What a token limit is charged.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.lines.iter().map(|line| line.qty).sum()
    }
}

impl Prompt {
    /// Remembers a request's body.
    #[must_use]
    pub fn of(body: &Bytes) -> Self {
        let estimate = tokens::by_json_size(body);
        Self { body: (body.len() <= KEEP_PROMPT_BYTES).then(|| body.clone()), estimate }
    }

    /// Tokens by size alone.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        self.estimate
    }

    /// Forgets the body once the provider has reported.
    pub fn release(&mut self) {
        self.body = None;
    }

    fn count(&self, model: &str) -> Count {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            messages: Option<&'a RawValue>,
            #[serde(borrow)]
            tools: Option<&'a RawValue>,
            #[serde(borrow)]
            input: Option<&'a RawValue>,
        }
        let counted = self.body.as_ref().and_then(|body| {
            let body: Body<'_> = serde_json::from_slice(body).ok()?;
            match (body.messages, body.input) {
                (Some(messages), _) => {
                    Some(tokens::count_chat(model, messages, body.tools, Budget::inline()))
                }
                (None, Some(input)) => Some(tokens::count_input(model, input, Budget::inline())),
                (None, None) => None,
            }
        });
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
    let input = prompt.count(model);
    let mut output = tokens::count_text(model, produced.text);
    if produced.text_beyond > 0 {
        output = Count { tokens: output.tokens + produced.text_beyond / BYTES_PER_TOKEN, exact: false };
    }
    let lines = [(TokenClass::Input, input.tokens), (TokenClass::Output, output.tokens)];
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
        Prompt::of(&Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Say hi"}]}"#))
    }

    fn reported() -> Usage {
        serde_json::from_str(r#"{"prompt_tokens":9,"completion_tokens":0}"#).unwrap()
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
        assert_eq!(measure.total(), 9);
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
    fn tools_and_inputs_of_embeddings_are_counted_too() {
        let count = |body: &'static str| Prompt::of(&Bytes::from_static(body.as_bytes())).count("gpt-4o");
        let plain = count(r#"{"messages":[{"role":"user","content":"Say hi"}]}"#);
        let tool =
            count(r#"{"messages":[{"role":"user","content":"Say hi"}],"tools":[{"function":{"name":"f"}}]}"#);
        assert!(plain.exact && !tool.exact && tool.tokens > plain.tokens, "{tool:?}");
        assert_eq!(count(r#"{"input":["Say hi","Say hi"]}"#), Count::exactly(4));
    }

    #[test]
    fn an_unknown_tokenizer_makes_an_estimate() {
        let produced = Produced { text: "Hello", prompt_sent: true, ..Produced::default() };
        assert_eq!(measure(&prompt(), "sim-small", produced).source, UsageSource::Estimated);
    }

    #[test]
    fn a_prompt_that_was_never_sent_costs_nothing() {
        let measure = measure(&prompt(), "gpt-4o", Produced::default());
        assert_eq!((measure.total(), measure.source), (0, UsageSource::None));
    }
}
