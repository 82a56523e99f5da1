//! A model that does an agent's task: looks at a file, makes two calls at a time, changes the file, says so.

use serde_json::{Value, json};

use super::ask::{Ask, Part, Role, Tool};
use super::mind::{Call, sample};

/// What the prompt of such a task holds.
const TASK: &str = "AGENT TASK";
/// What is said when everything is done.
const DONE: &str = "I have changed notes.txt.";
/// Commands of each step.
const STEPS: [&[&str]; 3] =
    [&["cat notes.txt"], &["wc -c notes.txt", "ls"], &["printf 'changed by an agent' > notes.txt"]];
/// What agents call the tool that runs commands.
const SHELLS: [&str; 7] = [
    "exec_command",
    "shell_command",
    "shell",
    "bash",
    "run_shell_command",
    "execute_command",
    "run_commands",
];
/// What the prompt of an agent holds that has no tools and reads whole files out of an answer.
const LISTING: &str = "*file listing*";
/// The file in such an answer.
const LISTED: &str = "notes.txt\n```\nchanged by an agent\n```\n";

/// What is said where no tool is called any more.
pub(super) fn last_words(ask: &Ask) -> &'static str {
    if ask.tools.is_empty() && ask.prompt().contains(LISTING) { LISTED } else { DONE }
}

/// What the model does next; `None` if it was given no such task, or has no tool for it.
pub(super) fn next(ask: &Ask, call_id: fn() -> String) -> Option<Vec<Call>> {
    let is_task = |part: &Part| matches!(part, Part::Text(text) if text.contains(TASK));
    let asked = |turn: &super::ask::Turn| turn.role == Role::User && turn.parts.iter().any(is_task);
    let began = ask.turns.iter().position(asked)?;
    let calls = |turn: &&super::ask::Turn| turn.parts.iter().any(|part| matches!(part, Part::Call { .. }));
    let done = ask.turns[began..].iter().filter(calls).count();
    if ask.tools.is_empty() && ask.prompt().contains(LISTING) {
        return Some(Vec::new());
    }
    let shell = SHELLS.iter().find_map(|name| {
        ask.tools
            .iter()
            .find(|tool| tool.name.eq_ignore_ascii_case(name) || tool.name.ends_with(&format!("__{name}")))
    })?;
    let Some(commands) = STEPS.get(done) else { return Some(Vec::new()) };
    let call = |command: &&str| Call {
        id: call_id(),
        name: shell.name.clone(),
        arguments: arguments(shell, command),
    };
    Some(commands.iter().map(call).collect())
}

/// What the schema requires, and the command where it belongs. What is optional stays away: an invented folder is none
/// that a command could run in.
fn arguments(shell: &Tool, command: &str) -> Value {
    let mut arguments = sample(&shell.schema, 0);
    let required = shell.schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(fields) = arguments.as_object_mut() {
        fields.retain(|name, _| required.iter().any(|required| required == name.as_str()));
    }
    let properties = &shell.schema["properties"];
    let field =
        ["cmd", "commands"].into_iter().find(|field| properties.get(field).is_some()).unwrap_or("command");
    arguments[field] = match properties[field]["type"].as_str() {
        Some("array" | "ARRAY") if field == "commands" => json!([command]),
        Some("array" | "ARRAY") => json!(["bash", "-lc", command]),
        _ => json!(command),
    };
    for optional in ["is_background", "run_in_background", "tty"] {
        if arguments.get(optional).is_some() {
            arguments[optional] = json!(false);
        }
    }
    for number in ["timeout", "timeout_ms", "yield_time_ms"] {
        if arguments.get(number).is_some() {
            arguments[number] = json!(10_000);
        }
    }
    arguments
}
