//! How the agents are told that only `tests/agents --all` runs.

use serde_json::json;
use tokio::process::Command;

use super::program::{Asked, write};

/// Gemini's API.
pub(super) fn gemini(command: &mut Command, asked: &Asked<'_>) {
    let settings = json!({
        "security": { "auth": { "selectedType": "gemini-api-key" } },
        "privacy": { "usageStatisticsEnabled": false },
        "telemetry": { "enabled": false },
        "general": { "enableAutoUpdate": false },
    });
    write(&asked.home.join(".gemini/settings.json"), &settings.to_string());
    command.env("GOOGLE_GEMINI_BASE_URL", asked.url).env("GEMINI_API_KEY", asked.key);
    command.env("GEMINI_CLI_TRUST_WORKSPACE", "true");
    command.args(["--model", asked.alias, "--yolo", "--output-format", "json", "--prompt", asked.task]);
}

/// Chat Completions.
pub(super) fn pi(command: &mut Command, asked: &Asked<'_>) {
    let models = json!({ "providers": { "tollgate": {
        "baseUrl": format!("{}/v1", asked.url),
        "api": "openai-completions",
        "apiKey": asked.key,
        "models": [{ "id": asked.alias }],
    } } });
    write(&asked.home.join(".pi/agent/models.json"), &models.to_string());
    command.env("PI_OFFLINE", "1").env("PI_TELEMETRY", "0");
    command.args(["--print", "--mode", "json", "--offline", "--no-session", "--provider", "tollgate"]);
    command.args(["--model", asked.alias, asked.task]);
}

/// Chat Completions.
pub(super) fn cline(command: &mut Command, asked: &Asked<'_>) {
    let program = command.as_std().get_program().to_owned();
    // Where a model is, only its own login can say.
    let script = r#"
        "$CLINE" auth --provider openai-compatible --apikey "$KEY" --modelid "$MODEL" --baseurl "$URL" >&2 &&
        exec "$CLINE" --json --provider openai-compatible --model "$MODEL" "$TASK""#;
    let mut shell = Command::new("sh");
    for (name, value) in command.as_std().get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    if let Some(folder) = command.as_std().get_current_dir() {
        shell.current_dir(folder);
    }
    shell.env("CLINE", program).env("KEY", asked.key).env("MODEL", asked.alias);
    shell.env("URL", format!("{}/v1", asked.url)).env("TASK", asked.task);
    shell.env("CLINE_TELEMETRY_DISABLED", "1").env("CLINE_NO_AUTO_UPDATE", "1");
    shell.args(["-c", script]);
    *command = shell;
}

/// Chat Completions.
pub(super) fn continues(command: &mut Command, asked: &Asked<'_>) {
    // A file of YAML may be written in JSON.
    let config = json!({
        "name": "tollgate",
        "version": "1.0.0",
        "schema": "v1",
        "models": [{
            "name": "tollgate",
            "provider": "openai",
            "model": asked.alias,
            "apiBase": format!("{}/v1", asked.url),
            "apiKey": asked.key,
            "roles": ["chat"],
            "capabilities": ["tool_use"],
        }],
    });
    let path = asked.home.join("config.yaml");
    write(&path, &config.to_string());
    command.env("CONTINUE_TELEMETRY_ENABLED", "0").env("CONTINUE_CLI_ENABLE_TELEMETRY", "0");
    command.arg("--config").arg(path).args(["--auto", "--print", asked.task]);
}

/// Chat Completions. It sends `temperature: 0` to every model whose name it does not know; its settings are where a user
/// says that the model behind an alias takes none.
pub(super) fn aider(command: &mut Command, asked: &Asked<'_>) {
    let settings = asked.home.join(".aider.model.settings.yml");
    write(&settings, &format!("- name: openai/{}\n  use_temperature: false\n", asked.alias));
    command.env("OPENAI_API_BASE", format!("{}/v1", asked.url)).env("OPENAI_API_KEY", asked.key);
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    let quiet =
        ["--analytics-disable", "--no-check-update", "--no-show-model-warnings", "--no-show-release-notes"];
    command.args(quiet).args([
        "--no-git",
        "--no-suggest-shell-commands",
        "--yes-always",
        "--edit-format",
        "whole",
    ]);
    command.arg("--model").arg(format!("openai/{}", asked.alias));
    command.args(["--message", asked.task, "notes.txt"]);
}
