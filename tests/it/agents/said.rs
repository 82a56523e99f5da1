//! What agents say that they have used.

use std::fmt;

use serde_json::Value;

/// Tokens of a whole task: the prompt's with those of the cache, and the answer's with those of thoughts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.input, self.output))
    }
}

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

/// `turn.completed` has the sums of the turn; what came from the cache is part of the input.
pub(super) fn codex(text: &str) -> Option<Tokens> {
    let ended = lines(text).filter(|event| event["type"] == "turn.completed").last()?;
    Some(Tokens {
        input: number(&ended, "/usage/input_tokens"),
        output: number(&ended, "/usage/output_tokens"),
    })
}

/// `modelUsage` has the sums of all models, with the cache apart.
pub(super) fn claude(text: &str) -> Option<Tokens> {
    let result: Value = lines(text).last()?;
    let models = result["modelUsage"].as_object()?;
    let mut sum = Tokens::default();
    for used in models.values() {
        let cached = number(used, "/cacheReadInputTokens") + number(used, "/cacheCreationInputTokens");
        sum.input += number(used, "/inputTokens") + cached;
        sum.output += number(used, "/outputTokens");
    }
    Some(sum)
}

/// One `step_finish` for each call of a model, with the cache and the thoughts apart.
pub(super) fn opencode(text: &str) -> Option<Tokens> {
    let mut sum = None;
    for event in lines(text).filter(|event| event["type"] == "step_finish") {
        let used = &event["part"]["tokens"];
        let sum: &mut Tokens = sum.get_or_insert_default();
        sum.input += number(used, "/input") + number(used, "/cache/read") + number(used, "/cache/write");
        sum.output += number(used, "/output") + number(used, "/reasoning");
    }
    sum
}

/// The result has the sums of the main conversation.
pub(super) fn qwen(text: &str) -> Option<Tokens> {
    let all: Value = serde_json::from_str(text).ok()?;
    let result = all.as_array()?.iter().find(|event| event["type"] == "result")?.clone();
    let usage = result.get("usage")?;
    Some(Tokens { input: number(usage, "/input_tokens"), output: number(usage, "/output_tokens") })
}

/// `stats` has the sums of each model, with the cache as a part of the prompt and the thoughts apart.
pub(super) fn gemini(text: &str) -> Option<Tokens> {
    let all: Value = serde_json::from_str(text.get(text.find('{')?..)?).ok()?;
    let mut sum = Tokens::default();
    for used in all.pointer("/stats/models")?.as_object()?.values() {
        sum.input += number(used, "/tokens/prompt");
        sum.output += number(used, "/tokens/candidates") + number(used, "/tokens/thoughts");
    }
    Some(sum)
}

/// Every message of the model ends with its usage, with the cache apart.
pub(super) fn pi(text: &str) -> Option<Tokens> {
    let mut sum = None;
    let ended = |event: &Value| event["type"] == "message_end" && event["message"]["role"] == "assistant";
    for event in lines(text).filter(ended) {
        let used = &event["message"]["usage"];
        let sum: &mut Tokens = sum.get_or_insert_default();
        sum.input += number(used, "/input") + number(used, "/cacheRead") + number(used, "/cacheWrite");
        sum.output += number(used, "/output");
    }
    sum
}

/// The result of a run has its sums.
pub(super) fn cline(text: &str) -> Option<Tokens> {
    let ended = lines(text).filter(|event| event["type"] == "run_result").last()?;
    Some(Tokens {
        input: number(&ended, "/usage/inputTokens"),
        output: number(&ended, "/usage/outputTokens"),
    })
}

/// An agent that says nothing, or only rounded numbers.
pub(super) fn nothing(_: &str) -> Option<Tokens> {
    None
}
