//! What agents say that they have used.

use serde_json::Value;

/// Tokens of a whole task: the prompt's with those of the cache, and the answer's with those of thoughts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
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

/// One `step_finish` for each call of a model. It does not speak of the calls that it makes for a title.
pub(super) fn opencode(_: &str) -> Option<Tokens> {
    None
}

/// The result has the sums of the main conversation.
pub(super) fn qwen(text: &str) -> Option<Tokens> {
    let all: Value = serde_json::from_str(text).ok()?;
    let result = all.as_array()?.iter().find(|event| event["type"] == "result")?.clone();
    let usage = result.get("usage")?;
    Some(Tokens { input: number(usage, "/input_tokens"), output: number(usage, "/output_tokens") })
}
