//! Log probabilities, from `logprobsResult` into the form of OpenAI's chat completions.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::Str;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogprobsResult<'a> {
    #[serde(borrow, default)]
    chosen_candidates: Vec<TokenIn<'a>>,
    #[serde(borrow, default)]
    top_candidates: Vec<TopCandidates<'a>>,
}

#[derive(Deserialize)]
struct TopCandidates<'a> {
    #[serde(borrow, default)]
    candidates: Vec<TokenIn<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenIn<'a> {
    #[serde(borrow, default)]
    token: Option<Str<'a>>,
    /// Kept as written: digits are not rounded. Zero is left out by the provider.
    #[serde(borrow, default)]
    log_probability: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Logprobs<'r, 'a> {
    content: Vec<TokenOut<'r, 'a>>,
    refusal: Option<()>,
}

#[derive(Serialize)]
struct TokenOut<'r, 'a> {
    token: &'r str,
    logprob: Number<'a>,
    bytes: &'r [u8],
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<Vec<TokenOut<'r, 'a>>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Number<'a> {
    Reported(&'a RawValue),
    Zero(f64),
}

fn token<'r, 'a>(token: &'r TokenIn<'a>, top_logprobs: Option<Vec<TokenOut<'r, 'a>>>) -> TokenOut<'r, 'a> {
    let text = token.token.as_deref().unwrap_or_default();
    let logprob = token.log_probability.map_or(Number::Zero(0.0), Number::Reported);
    TokenOut { token: text, logprob, bytes: text.as_bytes(), top_logprobs }
}

/// In OpenAI's form; `None` if the model reported no probabilities.
pub(super) fn in_chat_form(result: &LogprobsResult<'_>) -> Option<Box<RawValue>> {
    if result.chosen_candidates.is_empty() {
        return None;
    }
    let content = result.chosen_candidates.iter().enumerate().map(|(place, chosen)| {
        let top = result.top_candidates.get(place).map_or(&[][..], |top| &top.candidates);
        token(chosen, Some(top.iter().map(|candidate| token(candidate, None)).collect()))
    });
    let logprobs = Logprobs { content: content.collect(), refusal: None };
    serde_json::value::to_raw_value(&logprobs).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_their_digits_bytes_and_alternatives() {
        let result: LogprobsResult<'_> = serde_json::from_str(
            r#"{"chosenCandidates":[{"token":"é","tokenId":5,"logProbability":-0.00012345678901},{"token":"."}],
            "topCandidates":[{"candidates":[{"token":"é","logProbability":-0.1},{"token":"e","logProbability":-2}]}]}"#,
        )
        .unwrap();
        assert_eq!(
            in_chat_form(&result).unwrap().get(),
            concat!(
                r#"{"content":[{"token":"é","logprob":-0.00012345678901,"bytes":[195,169],"top_logprobs":["#,
                r#"{"token":"é","logprob":-0.1,"bytes":[195,169]},{"token":"e","logprob":-2,"bytes":[101]}]},"#,
                r#"{"token":".","logprob":0.0,"bytes":[46],"top_logprobs":[]}],"refusal":null}"#
            )
        );
    }

    #[test]
    fn nothing_reported_is_nothing() {
        assert!(in_chat_form(&serde_json::from_str("{}").unwrap()).is_none());
    }
}
