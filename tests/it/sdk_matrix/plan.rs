//! Backends of the matrix, and what of it makes no sense.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tollgate_tests::harness::gateway::{BACKEND_KEY_ENV, GatewayConfig, Subscriber};
use tollgate_tests::sim::faults::{Faults, StatusFault};
use tollgate_tests::sim::providers::ACCESS_KEY_ID;

/// A backend by the models that its aliases stand for.
pub(super) struct Backend {
    /// Its name in the table.
    pub(super) name: &'static str,
    chat: &'static str,
    /// A model that thinks first.
    thinker: Option<&'static str>,
    /// A model of legacy completions; elsewhere they are asked of the chat model.
    completions: Option<&'static str>,
    embeddings: Option<&'static str>,
}

const CLAUDE: &str = "claude-sonnet-4-5";
const CLAUDE_ON_BEDROCK: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const GPT: Backend = Backend {
    name: "openai",
    chat: "gpt-4.1-mini",
    thinker: Some("gpt-5-mini"),
    completions: Some("gpt-3.5-turbo-instruct"),
    embeddings: Some("text-embedding-3-small"),
};
const GEMINI: Backend = Backend {
    name: "gemini",
    chat: "gemini-2.5-flash-lite",
    thinker: Some("gemini-2.5-flash"),
    completions: None,
    embeddings: Some("gemini-embedding-001"),
};

/// Every backend.
pub(super) const BACKENDS: [Backend; 9] = [
    GPT,
    // Any server that is compatible: it has no Responses API.
    Backend { name: "compatible", ..GPT },
    Backend { name: "azure-dated", ..GPT },
    Backend { name: "azure-v1", ..GPT },
    Backend { name: "anthropic", chat: CLAUDE, thinker: Some(CLAUDE), completions: None, embeddings: None },
    Backend {
        name: "bedrock",
        chat: CLAUDE_ON_BEDROCK,
        thinker: Some(CLAUDE_ON_BEDROCK),
        completions: None,
        embeddings: Some("cohere.embed-multilingual-v3"),
    },
    Backend {
        name: "bedrock-nova",
        chat: "amazon.nova-pro-v1:0",
        thinker: None,
        completions: None,
        embeddings: Some("amazon.titan-embed-text-v2:0"),
    },
    GEMINI,
    Backend { name: "gemini-compat", ..GEMINI },
];

const NO_KEPT: &str = "only a backend with the Responses API keeps responses";
const NO_THOUGHTS: &str = "Chat Completions shows no thoughts";
const NO_STOP_TEXT: &str = "the backend does not say which text ended an answer";

/// Combinations that make no sense: ingress, case, backends, and why.
pub(super) const NOT_MEANINGFUL: [(&str, &str, &[&str], &str); 21] = [
    ("responses", "previous", WITHOUT_RESPONSES, NO_KEPT),
    ("responses", "kept", WITHOUT_RESPONSES, NO_KEPT),
    ("responses", "cancel", WITHOUT_RESPONSES, NO_KEPT),
    ("responses", "background", WITHOUT_RESPONSES, NO_KEPT),
    ("responses", "reasoning", &["compatible", "gemini-compat"], NO_THOUGHTS),
    ("messages", "reasoning", SPEAKING_CHAT, NO_THOUGHTS),
    ("messages", "reasoning_tools", SPEAKING_CHAT, NO_THOUGHTS),
    ("gemini", "reasoning", SPEAKING_CHAT, NO_THOUGHTS),
    ("gemini", "reasoning_tools", SPEAKING_CHAT, NO_THOUGHTS),
    ("gemini", "cached", &["anthropic", "bedrock", "bedrock-nova"], "only marked prompts are cached there"),
    ("gemini-embeddings", "*", &["anthropic"], "Anthropic makes no embeddings"),
    ("messages", "stop_sequence", WITHOUT_STOP_TEXT, NO_STOP_TEXT),
    ("*", "reasoning", &["bedrock-nova"], "Nova Pro does not think"),
    ("*", "reasoning_tools", &["bedrock-nova"], "Nova Pro does not think"),
    ("*", "json_schema", &["bedrock-nova"], "Nova Pro has no JSON schemas"),
    ("embeddings", "*", &["anthropic"], "Anthropic makes no embeddings"),
    ("azure", "embeddings", &["anthropic"], "Anthropic makes no embeddings"),
    ("embeddings", "dimensions", &["bedrock"], "Embed v3 has one size"),
    ("completions", "*", &["gemini-compat"], "Google's compatible endpoint has no completions"),
    ("chat", "cached", &["anthropic", "bedrock", "bedrock-nova"], "only marked prompts are cached there"),
    ("chat", "unmappable", SPEAKING_CHAT, "every parameter passes as it is"),
];
const WITHOUT_RESPONSES: &[&str] =
    &["compatible", "anthropic", "bedrock", "bedrock-nova", "gemini", "gemini-compat"];
const SPEAKING_CHAT: &[&str] = &["openai", "compatible", "azure-dated", "azure-v1", "gemini-compat"];
const WITHOUT_STOP_TEXT: &[&str] =
    &["openai", "compatible", "azure-dated", "azure-v1", "bedrock-nova", "gemini", "gemini-compat"];

/// Why a case makes no sense; `None` if it does.
pub(super) fn reason(ingress: &str, backend: &str, case: &str) -> Option<&'static str> {
    let fits = |pattern: &str, name: &str| pattern == "*" || pattern == name;
    let found = NOT_MEANINGFUL.iter().find(|(ingresses, cases, backends, _)| {
        fits(ingresses, ingress) && fits(cases, case) && backends.contains(&backend)
    });
    found.map(|(.., why)| *why)
}

/// The plan that scripts read.
pub(super) fn of(gateway: &str, key: &str) -> Value {
    let backends = BACKENDS.iter().map(|backend| {
        let roles = ["chat", "thinker", "completions", "embeddings", "busy", "broken", "lenient"];
        let models = roles.map(|role| (role.to_owned(), json!(format!("{}-{role}", backend.name))));
        let mut skip = Vec::new();
        for (ingress, case, ..) in NOT_MEANINGFUL.iter().filter(|it| it.2.contains(&backend.name)) {
            let every = ["chat", "responses", "messages", "gemini"];
            let ingresses: Vec<&str> = if *ingress == "*" { every.to_vec() } else { vec![*ingress] };
            skip.extend(ingresses.iter().map(|ingress| format!("{ingress}/{case}")));
        }
        let keeps_responses = !WITHOUT_RESPONSES.contains(&backend.name);
        json!({ "name": backend.name, "models": BTreeMap::from(models), "skip": skip,
            "keeps_responses": keeps_responses })
    });
    json!({ "gateway": gateway, "key": key, "backends": backends.collect::<Vec<_>>() })
}

/// Models that are too busy, and models that find every request wrong.
pub(super) fn faults() -> BTreeMap<String, Faults> {
    let fault = |code| Faults { status: Some(StatusFault::code(code)), ..Faults::default() };
    let named = BACKENDS.iter().flat_map(|backend| {
        [(format!("{}:busy", backend.chat), fault(429)), (format!("{}:broken", backend.chat), fault(400))]
    });
    named.collect()
}

/// A gateway with all backends and an alias for each of their roles.
pub(super) fn config(folder: &Path, sim: SocketAddr) -> GatewayConfig {
    let mut config = GatewayConfig::new(folder).unwrap();
    let mut aliases = Vec::new();
    for backend in &BACKENDS {
        config = config.set(&format!("backends.{}", backend.name), connection(backend.name, sim));
        let roles = [
            ("chat", Some(backend.chat.to_owned())),
            ("thinker", backend.thinker.map(str::to_owned)),
            ("completions", Some(backend.completions.unwrap_or(backend.chat).to_owned())),
            ("embeddings", backend.embeddings.map(str::to_owned)),
            ("busy", Some(format!("{}:busy", backend.chat))),
            ("broken", Some(format!("{}:broken", backend.chat))),
            ("lenient", Some(backend.chat.to_owned())),
        ];
        for (role, model) in roles {
            let Some(model) = model else { continue };
            let alias = format!("{}-{role}", backend.name);
            config = config.alias(&alias, backend.name, &model);
            if role == "lenient" {
                config = config.set(&format!("models.{alias}.on_unmappable"), json!("drop"));
            }
            aliases.push(alias);
        }
    }
    let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
    config.product("gold", &aliases).subscription(&Subscriber {
        name: "checkout",
        product: "gold",
        tenant: "acme",
        cost_center: "4711",
        team: "checkout",
    })
}

pub(crate) fn connection(name: &str, sim: SocketAddr) -> Value {
    let secret = format!("${{secret:env:{BACKEND_KEY_ENV}}}");
    let header = |name: &str, value: String| json!({ "header": { "name": name, "value": value } });
    let bearer = header("Authorization", format!("Bearer {secret}"));
    let (format, path, credentials) = match name {
        "openai" | "compatible" => ("openai", "/v1", bearer),
        "gemini-compat" => ("openai", "/v1beta/openai", bearer),
        "azure-dated" | "azure-v1" => ("azure-openai", "", header("api-key", secret)),
        "anthropic" => ("anthropic", "", header("x-api-key", secret)),
        "gemini" => ("gemini", "", header("x-goog-api-key", secret)),
        _ => {
            let signing = json!({ "region": "eu-central-1", "access_key_id": ACCESS_KEY_ID,
                "secret_access_key": secret });
            ("bedrock", "", json!({ "aws_sigv4": signing }))
        }
    };
    let mut backend = json!({
        "format": format,
        "url": format!("http://{sim}{path}"),
        "credentials": credentials,
        // Refusals are what some cases want, again and again.
        "circuit": { "consecutive_failures": 0, "ratio": null, "retry_after": "ignore" },
    });
    match name {
        "openai" => backend["serves_responses"] = json!(true),
        "azure-dated" => backend["api_version"] = json!("2024-10-21"),
        _ => {}
    }
    // Some clients refer to items of earlier answers, which only an account of one tenant takes.
    if matches!(name, "openai" | "azure-dated" | "azure-v1") {
        backend["tenant"] = json!("acme");
    }
    backend
}
