//! How each agent is told where its models are, and to do one task without asking anybody.

use std::fs;
use std::path::Path;

use serde_json::json;
use tokio::process::Command;

use super::more;
use super::said::{self, Tokens};

/// An agent.
pub(super) struct Agent {
    pub(super) name: &'static str,
    /// Its program below the folder where agents are installed.
    pub(super) program: &'static str,
    pub(super) prepare: fn(&mut Command, &Asked<'_>),
    /// What it says that it has used.
    pub(super) tokens: fn(&str) -> Option<Tokens>,
    /// Whether it says them, exactly.
    pub(super) says_sums: bool,
    /// Calls of a model that the task is at least.
    pub(super) calls: usize,
    /// Whether it is one of those that every run of the tests has.
    pub(super) is_usual: bool,
}

/// What it is to do, and where.
pub(super) struct Asked<'a> {
    /// Address of the gateway, without a path.
    pub(super) url: &'a str,
    pub(super) key: &'a str,
    pub(super) alias: &'a str,
    pub(super) task: &'a str,
    pub(super) home: &'a Path,
}

const USUAL: Agent = Agent {
    name: "codex",
    program: "node/node_modules/.bin/codex",
    prepare: codex,
    tokens: said::codex,
    says_sums: true,
    calls: 4,
    is_usual: true,
};
const OTHER: Agent = Agent { is_usual: false, ..USUAL };

/// All of them.
pub(super) const AGENTS: [Agent; 9] = [
    USUAL,
    Agent {
        name: "claude",
        program: "node/node_modules/.bin/claude",
        prepare: claude,
        tokens: said::claude,
        ..USUAL
    },
    Agent {
        name: "opencode",
        program: "node/node_modules/.bin/opencode",
        prepare: opencode,
        tokens: said::opencode,
        ..USUAL
    },
    Agent {
        name: "qwen",
        program: "node/node_modules/.bin/qwen",
        prepare: qwen,
        tokens: said::qwen,
        ..USUAL
    },
    Agent {
        name: "gemini",
        program: "more/node_modules/.bin/gemini",
        prepare: more::gemini,
        tokens: said::gemini,
        ..OTHER
    },
    Agent { name: "pi", program: "more/node_modules/.bin/pi", prepare: more::pi, tokens: said::pi, ..OTHER },
    Agent {
        name: "cline",
        program: "more/node_modules/.bin/cline",
        prepare: more::cline,
        tokens: said::cline,
        ..OTHER
    },
    Agent {
        name: "continue",
        program: "more/node_modules/.bin/cn",
        prepare: more::continues,
        tokens: said::nothing,
        says_sums: false,
        ..OTHER
    },
    // It has no tools: it writes the file from one answer.
    Agent {
        name: "aider",
        program: "python/bin/aider",
        prepare: more::aider,
        tokens: said::nothing,
        says_sums: false,
        calls: 1,
        ..OTHER
    },
];

/// The Responses API.
fn codex(command: &mut Command, asked: &Asked<'_>) {
    let folder = asked.home.join(".codex");
    let config = format!(
        "model = \"{}\"\nmodel_provider = \"tollgate\"\n[analytics]\nenabled = false\n[model_providers.tollgate]\n\
         name = \"Tollgate\"\nbase_url = \"{}/v1\"\nenv_key = \"GATEWAY_KEY\"\nwire_api = \"responses\"\n",
        asked.alias, asked.url
    );
    write(&folder.join("config.toml"), &config);
    command.env("CODEX_HOME", folder).env("GATEWAY_KEY", asked.key);
    command.args(["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]);
    command.arg(asked.task);
}

/// The Messages API.
fn claude(command: &mut Command, asked: &Asked<'_>) {
    command.env("CLAUDE_CONFIG_DIR", asked.home.join(".claude"));
    command.env("ANTHROPIC_BASE_URL", asked.url).env("ANTHROPIC_AUTH_TOKEN", asked.key);
    command.env("ANTHROPIC_MODEL", asked.alias).env("ANTHROPIC_DEFAULT_HAIKU_MODEL", asked.alias);
    command.env("ANTHROPIC_SMALL_FAST_MODEL", asked.alias).env("IS_SANDBOX", "1");
    for quiet in ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER"] {
        command.env(quiet, "1");
    }
    command.args(["--print", "--output-format", "json", "--dangerously-skip-permissions", asked.task]);
}

/// Chat Completions.
fn opencode(command: &mut Command, asked: &Asked<'_>) {
    let provider = json!({
        "npm": "@ai-sdk/openai-compatible",
        "name": "Tollgate",
        "options": { "baseURL": format!("{}/v1", asked.url), "apiKey": asked.key },
        "models": { asked.alias: { "name": asked.alias, "limit": { "context": 128_000, "output": 8_192 } } },
    });
    let model = format!("tollgate/{}", asked.alias);
    let config = json!({
        "provider": { "tollgate": provider },
        "model": model,
        "small_model": model,
        "autoupdate": false,
        "share": "disabled",
        "permission": { "bash": "allow", "edit": "allow", "webfetch": "deny" },
    });
    write(&asked.home.join(".config/opencode/opencode.json"), &config.to_string());
    command.env("OPENCODE_DISABLE_MODELS_FETCH", "1").env("OPENCODE_DISABLE_AUTOUPDATE", "1");
    // A task with a title needs no call of a model for one, which its sums would not have.
    command.args(["run", "--format", "json", "--title", "task", "--model", &model, asked.task]);
}

/// Chat Completions.
fn qwen(command: &mut Command, asked: &Asked<'_>) {
    let settings = json!({
        "privacy": { "usageStatisticsEnabled": false },
        "telemetry": { "enabled": false },
        "general": { "disableAutoUpdate": true },
    });
    write(&asked.home.join(".qwen/settings.json"), &settings.to_string());
    command.env("OPENAI_BASE_URL", format!("{}/v1", asked.url)).env("OPENAI_API_KEY", asked.key);
    command.env("OPENAI_MODEL", asked.alias);
    command.args(["--auth-type", "openai", "--yolo", "--output-format", "json", "--prompt", asked.task]);
}

pub(super) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
