//! Log probabilities, from the form of OpenAI's chat completions into `logprobsResult`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{Array, Object, Str};

#[derive(Deserialize)]
struct Logprobs<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<Token<'a>>>,
}

#[derive(Deserialize)]
struct Token<'a> {
    #[serde(borrow)]
    token: Str<'a>,
    /// Kept as written: digits are not rounded.
    #[serde(borrow)]
    logprob: &'a RawValue,
    #[serde(borrow, default)]
    top_logprobs: Option<Vec<Token<'a>>>,
}

impl Token<'_> {
    fn write(&self, list: &mut Array<'_>) {
        list.object(|item| {
            item.put("token", &self.token).raw("logProbability", self.logprob.get());
        });
    }
}

/// Writes the probabilities as a member of a candidate; nothing when they are in no form that is known.
pub(super) fn write(candidate: &mut Object<'_>, logprobs: &RawValue) {
    let Ok(Logprobs { content: Some(tokens) }) = serde_json::from_str(logprobs.get()) else { return };
    candidate.object("logprobsResult", |result| {
        let mut top = Array::new(result.key("topCandidates"));
        for token in &tokens {
            top.object(|step| {
                let mut candidates = Array::new(step.key("candidates"));
                token.top_logprobs.iter().flatten().for_each(|token| token.write(&mut candidates));
                candidates.end();
            });
        }
        top.end();
        let mut chosen = Array::new(result.key("chosenCandidates"));
        tokens.iter().for_each(|token| token.write(&mut chosen));
        chosen.end();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_their_digits_and_alternatives() {
        let chat: Box<RawValue> = serde_json::from_str(
            r#"{"content":[{"token":"a","logprob":-0.00012345678901,"bytes":[97],
            "top_logprobs":[{"token":"b","logprob":-2}]}],"refusal":null}"#,
        )
        .unwrap();
        let mut out = Vec::new();
        let mut candidate = Object::new(&mut out);
        write(&mut candidate, &chat);
        candidate.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"logprobsResult":{"topCandidates":[{"candidates":[{"token":"b","logProbability":-2}]}],"#,
                r#""chosenCandidates":[{"token":"a","logProbability":-0.00012345678901}]}}"#
            )
        );
    }
}
