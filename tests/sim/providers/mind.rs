//! What the simulated models say: a function of the request, so that tests know what must arrive.
//!
//! | the request | the answer |
//! |---|---|
//! | its last turn has results of tools | `The tool says: …`, the results as they came |
//! | holds an agent's task | its steps, one after the other: [`super::agent`] |
//! | demands a tool, or says "use the tool" | a call of the first tool, with arguments that match its schema |
//! | says "both" besides | two calls at a time |
//! | says "repeat everything" | instructions and conversation, line by line |
//! | has pictures or files | how many, and how many bytes each |
//! | wants JSON | JSON that matches the schema |
//! | anything else | sentences about its topic |

use serde_json::{Map, Value, json};

use super::agent;
use super::ask::{Ask, Choice, Part, Role};
use crate::sim::answer;
use crate::sim::models::Model;
use crate::sim::tokens::TokenMode;

/// An answer before it has a form.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// What was thought first.
    pub(super) thought: Option<String>,
    /// Whether that is not shown.
    pub(super) hides_thought: bool,
    /// What is said.
    pub(super) text: String,
    /// Tools that are called.
    pub(super) calls: Vec<Call>,
    /// Why it ended.
    pub(super) end: End,
    /// What it cost.
    pub(super) used: Used,
}

/// A tool call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Value,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Length,
    Calls,
    /// At this text.
    Stop(String),
}

/// Tokens, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Of the prompt, not from the prompt cache.
    pub(super) fresh: u64,
    /// Of the prompt, from the prompt cache.
    pub(super) cached: u64,
    /// Of the prompt, put into the prompt cache.
    pub(super) kept: u64,
    /// Of the answer.
    pub(super) said: u64,
    /// Of what was thought.
    pub(super) thought: u64,
}

impl Used {
    /// The whole prompt.
    pub(super) fn prompt(self) -> u64 {
        self.fresh + self.cached + self.kept
    }

    /// The whole answer.
    pub(super) fn answer(self) -> u64 {
        self.said + self.thought
    }
}

/// Texts in arguments and JSON answers, the second one for the second of two parallel calls.
const PLACES: [&str; 2] = ["Lisbon", "Oslo"];
/// Tokens that a picture is counted as.
const IMAGE_TOKENS: u64 = 85;

/// Answers. `call_id` makes ids in the provider's manner.
pub(super) fn answer(ask: &Ask, model: &Model, tokens: TokenMode, call_id: fn() -> String) -> Said {
    let task = agent::next(ask, call_id);
    let is_done = task.as_ref().is_some_and(Vec::is_empty);
    let calls = task.unwrap_or_else(|| calls(ask, call_id));
    let mut text = match calls.is_empty() {
        true if is_done => agent::last_words(ask).to_owned(),
        true => text(ask, model),
        false => String::new(),
    };
    if !calls.is_empty() && ask.talks_first {
        "Let me look that up.".clone_into(&mut text);
    }
    let mut end = if calls.is_empty() { End::Done } else { End::Calls };
    let thought = ask.thinks.then(|| format!("The user asks {:?}. I know this.", ask.question()));
    let thought_tokens = thought.as_ref().map_or(0, |thought| tokens.count(thought));
    let stops = ask.stop.iter().filter_map(|stop| text.find(stop.as_str()).map(|at| (at, stop)));
    if let Some((at, stop)) = stops.min() {
        end = End::Stop(stop.clone());
        text.truncate(at);
    }
    let room = ask.max_tokens.map(|most| most.saturating_sub(thought_tokens));
    if let Some(most) = room.filter(|most| *most < tokens.count(&text)) {
        end = End::Length;
        while tokens.count(&text) > most {
            text.truncate(text.rfind(' ').unwrap_or(0));
        }
    }
    let written: u64 =
        calls.iter().map(|call| tokens.count(&call.name) + tokens.count(&call.arguments.to_string())).sum();
    let images = ask.turns.iter().flat_map(|turn| &turn.parts).filter(|part| matches!(part, Part::Image(_)));
    let fresh =
        tokens.count(&ask.prompt()) + 3 * ask.turns.len() as u64 + IMAGE_TOKENS * images.count() as u64;
    let used =
        Used { fresh, said: tokens.count(&text) + written, thought: thought_tokens, ..Used::default() };
    Said { thought, hides_thought: ask.hides_thoughts, text, calls, end, used }
}

fn calls(ask: &Ask, call_id: fn() -> String) -> Vec<Call> {
    let answered = ask.last().iter().any(|part| matches!(part, Part::Result { .. }));
    let question = ask.question().to_lowercase();
    let wanted = match &ask.choice {
        Choice::None => false,
        Choice::Auto => question.contains("use the tool") && !answered,
        Choice::Any | Choice::Named(_) => !answered,
    };
    if !wanted {
        return Vec::new();
    }
    let usable = ask.tools.iter().filter(|tool| match &ask.choice {
        Choice::Named(name) => tool.name == *name,
        _ => true,
    });
    let usable: Vec<_> = usable.collect();
    let count = if question.contains("both") && !ask.one_call { 2 } else { 1 };
    let picked = usable.iter().cycle().take(if usable.is_empty() { 0 } else { count });
    picked
        .enumerate()
        .map(|(at, tool)| Call {
            id: call_id(),
            name: tool.name.clone(),
            arguments: sample(&tool.schema, at),
        })
        .collect()
}

fn text(ask: &Ask, model: &Model) -> String {
    let results = ask.last().iter().filter_map(|part| match part {
        Part::Result { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let results: Vec<_> = results.collect();
    if !results.is_empty() {
        return format!("The tool says: {}.", results.join("; "));
    }
    let question = ask.question();
    if question.contains("repeat everything") {
        return transcript(ask);
    }
    let media = ask.last().iter().filter_map(|part| match part {
        Part::Image(bytes) => Some(format!("an image of {bytes} bytes")),
        Part::File(bytes) => Some(format!("a file of {bytes} bytes")),
        _ => None,
    });
    let media: Vec<_> = media.collect();
    if !media.is_empty() {
        return format!("I got {}: {}.", media.len(), media.join(", "));
    }
    match &ask.schema {
        Some(schema) if schema.get("properties").is_none() && schema.get("$ref").is_none() => {
            json!({ "answer": question }).to_string()
        }
        Some(schema) => sample(schema, 0).to_string(),
        None => answer::compose(&question, model),
    }
}

fn transcript(ask: &Ask) -> String {
    let mut lines: Vec<String> = ask.system.iter().map(|text| format!("system: {text}")).collect();
    for turn in &ask.turns {
        let name = if turn.role == Role::User { "user" } else { "assistant" };
        lines.extend(turn.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(format!("{name}: {text}")),
            Part::Call { name: tool, .. } => Some(format!("{name} calls {tool}")),
            Part::Result { text, .. } => Some(format!("tool: {text}")),
            Part::Image(_) | Part::File(_) | Part::Thought => None,
        }));
    }
    lines.join("\n")
}

/// A value that matches a JSON schema.
pub(super) fn sample(schema: &Value, at: usize) -> Value {
    sample_in(schema, schema, at, 0)
}

fn sample_in(root: &Value, schema: &Value, at: usize, depth: usize) -> Value {
    if depth > 16 {
        return Value::Null;
    }
    let inner = |schema| sample_in(root, schema, at, depth + 1);
    if let Some(target) = schema["$ref"].as_str().and_then(|path| root.pointer(path.strip_prefix('#')?)) {
        return inner(target);
    }
    if let Some(fixed) = schema.get("const").or(schema["enum"].get(0)) {
        return fixed.clone();
    }
    for union in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) =
            schema[union].as_array().and_then(|list| list.iter().find(|one| one["type"] != "null"))
        {
            return inner(first);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null").and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") | None => {
            let fields = schema["properties"].as_object();
            let fields = fields.into_iter().flatten().map(|(name, schema)| (name.clone(), inner(schema)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Some("array") => json!([inner(&schema["items"])]),
        Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(7)),
        Some("number") => json!(schema["minimum"].as_f64().unwrap_or(1.5)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some(_) => json!(PLACES[at % PLACES.len()]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::Tool;
    use super::*;
    use crate::sim::models::find;

    fn said(ask: &Ask) -> Said {
        answer(ask, find("sim-small").unwrap(), TokenMode::Estimate, || "id".to_owned())
    }

    fn asking(text: &str) -> Ask {
        let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
        let mut ask = Ask { tools: vec![Tool { name: "weather".into(), schema }], ..Ask::default() };
        ask.push(Role::User, vec![Part::Text(text.into())]);
        ask
    }

    #[test]
    fn tools_are_called_when_the_question_or_the_choice_says_so() {
        assert!(said(&asking("How are you?")).calls.is_empty());
        let both = said(&asking("Please use the tool for both cities"));
        assert_eq!(both.end, End::Calls);
        let places = both.calls.iter().map(|call| call.arguments["city"].clone()).collect::<Vec<_>>();
        assert_eq!(places, ["Lisbon", "Oslo"]);
        let forced = Ask { choice: Choice::Named("weather".into()), ..asking("Hello") };
        assert_eq!(said(&forced).calls.len(), 1);
        let forbidden = Ask { choice: Choice::None, ..asking("use the tool") };
        assert!(said(&forbidden).calls.is_empty());
    }

    #[test]
    fn results_and_pictures_are_told() {
        let mut ask = asking("use the tool");
        ask.push(Role::Model, vec![Part::Call { id: "1".into(), name: "weather".into() }]);
        ask.push(Role::User, vec![Part::Result { id: "1".into(), text: "rain".into() }]);
        assert_eq!(said(&ask).text, "The tool says: rain.");
        let mut ask = Ask::default();
        ask.push(Role::User, vec![Part::Image(68), Part::File(5)]);
        assert_eq!(said(&ask).text, "I got 2: an image of 68 bytes, a file of 5 bytes.");
    }

    #[test]
    fn bounds_and_stop_texts_end_answers() {
        let short = said(&Ask { max_tokens: Some(5), ..asking("What is a ledger?") });
        assert_eq!(short.end, End::Length);
        assert!(short.used.said <= 5 && !short.text.is_empty());
        let stopped = said(&Ask { stop: vec!["ledger".into()], ..asking("What is a ledger?") });
        assert_eq!(stopped.end, End::Stop("ledger".into()));
        assert!(!stopped.text.contains("ledger"));
    }

    #[test]
    fn samples_match_their_schema() {
        let schema = json!({ "type": "object", "properties": {
            "city": { "$ref": "#/$defs/city" }, "days": { "type": ["null", "integer"] },
            "kind": { "enum": ["a", "b"] }, "list": { "type": "array", "items": { "type": "number" } } },
            "$defs": { "city": { "type": "string" } } });
        let expected = json!({ "city": "Lisbon", "days": 7, "kind": "a", "list": [1.5] });
        assert_eq!(sample(&schema, 0), expected);
    }
}
