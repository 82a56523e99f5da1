//! How each agent is told where its models are, and to do one task without asking anybody.

use std::fs;
use std::path::Path;

use serde_json::json;
use tokio::process::Command;

/// What it is to do, and where.
pub(super) struct Asked<'a> {
    /// Address of the gateway, without a path.
    pub(super) url: &'a str,
    pub(super) key: &'a str,
    pub(super) alias: &'a str,
    pub(super) task: &'a str,
    pub(super) home: &'a Path,
}

/// The Responses API.
pub(super) fn codex(command: &mut Command, asked: &Asked<'_>) {
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
pub(super) fn claude(command: &mut Command, asked: &Asked<'_>) {
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
pub(super) fn opencode(command: &mut Command, asked: &Asked<'_>) {
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
pub(super) fn qwen(command: &mut Command, asked: &Asked<'_>) {
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
