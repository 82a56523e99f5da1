//! Everything that `deploy` ships is what the services understand.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;
use tollgate_accounting::price_book::{PriceBook, PriceKey};
use tollgate_accounting::service::load_price_book;
use tollgate_formats::BackendFormat;
use tollgate_schemas::tokens::TokenClass;
use tollgate_settings::load::read_yaml;

fn deploy(path: &str) -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn tollgate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments).env("OPENAI_API_KEY", "sk-example").output().unwrap()
}

#[test]
fn the_gateway_examples_lack_nothing_but_their_secrets() {
    for file in ["config/gateway.yaml", "config/providers.yaml"] {
        let config: tollgate_gateway::Config = read_yaml(&deploy(file)).unwrap();
        let mistakes = tollgate_gateway::check(&config).err().map(|mistakes| mistakes.0).unwrap_or_default();
        let others: Vec<_> =
            mistakes.iter().filter(|mistake| !mistake.message.contains("environment variable")).collect();
        assert!(others.is_empty(), "{file}: {others:?}");
    }
}

#[test]
fn the_example_of_providers_has_every_api_format() {
    use BackendFormat::{Anthropic, AzureOpenAi, Bedrock, Gemini, OpenAi};
    let config: tollgate_gateway::Config = read_yaml(&deploy("config/providers.yaml")).unwrap();
    for format in [OpenAi, AzureOpenAi, Anthropic, Bedrock, Gemini] {
        assert!(config.backends.values().any(|backend| backend.format == format), "{}", format.as_str());
    }
}

#[test]
fn the_accounting_example_is_understood() {
    tollgate_accounting::Config::load(&deploy("config/accounting.yaml")).unwrap();
}

#[test]
fn the_cache_example_is_understood() {
    tollgate_cache_service::Config::load(&deploy("config/cache.yaml")).unwrap();
}

#[test]
fn the_standalone_example_passes_the_check() {
    let path = deploy("config/standalone.yaml");
    let output = tollgate(&["check", "--config", path.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("fine: 1 backends, 2 models"), "{text}");
}

#[test]
fn a_wrong_field_ends_the_check_with_its_line_and_what_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.yaml");
    std::fs::write(&path, "gateway:\n  modles: {}\n").unwrap();
    let output = tollgate(&["check", "--config", path.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("wrong.yaml:2:") && text.contains("did you mean `models`?"), "{text}");
}

#[test]
fn the_check_reads_the_files_of_backends_and_says_every_mistake_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.yaml");
    let text = "gateway:\n  workers: 0\n  backends:\n    b: { format: openai, url: 'https://h/v1', tls: { ca: /no/such.pem } }\n  \
                models:\n    m: { targets: [ { backend: b, model: x } ], pool: { affinity: { expression: tenat } } }\n";
    std::fs::write(&path, text).unwrap();
    let output = tollgate(&["check", "--config", path.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for place in
        ["gateway.workers: ", "gateway.backends.b.tls.ca: ", "gateway.models.m.pool.affinity.expression: "]
    {
        assert!(said.contains(place), "{place}: {said}");
    }
}

#[test]
fn the_price_book_has_prices_for_what_the_quickstart_calls() {
    let book = load_price_book(&deploy("config/prices.yaml")).unwrap();
    for (provider, model) in
        [("openai", "gpt-4o-mini"), ("sim", "sim-small"), ("local", "SmolLM2-135M-Instruct")]
    {
        assert!(has_price(&book, provider, model), "{provider}/{model}");
    }
}

fn has_price(book: &PriceBook, provider: &str, model: &str) -> bool {
    has_prices(book, provider, model, "", &[TokenClass::Input, TokenClass::Output])
}

fn has_prices(book: &PriceBook, provider: &str, model: &str, region: &str, classes: &[TokenClass]) -> bool {
    let now_ms = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let has = |class: &TokenClass| {
        book.lookup(&PriceKey { provider, model, region, class: *class }, now_ms).is_some()
    };
    classes.iter().all(has)
}

/// What of a gateway's configuration decides under which name and model its events are priced.
#[derive(Deserialize)]
struct Routes {
    #[serde(default)]
    region: String,
    backends: BTreeMap<String, Backend>,
    models: BTreeMap<String, Model>,
}

#[derive(Deserialize)]
struct Backend {
    format: BackendFormat,
    provider: Option<String>,
    region: Option<String>,
}

#[derive(Deserialize)]
struct Model {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    backend: String,
    model: String,
}

#[test]
fn every_target_of_the_examples_has_a_price() {
    #[derive(Deserialize)]
    struct Standalone {
        gateway: Routes,
    }
    let book = load_price_book(&deploy("config/prices.yaml")).unwrap();
    let standalone: Standalone = serde_saphyr::from_str(&read("config/standalone.yaml")).unwrap();
    let mut examples = vec![("config/standalone.yaml", standalone.gateway)];
    for file in ["config/gateway.yaml", "config/providers.yaml"] {
        examples.push((file, serde_saphyr::from_str(&read(file)).unwrap()));
    }
    for (file, routes) in &examples {
        for target in routes.models.values().flat_map(|model| &model.targets) {
            let backend = &routes.backends[&target.backend];
            let provider = backend.provider.as_deref().unwrap_or(backend.format.as_str());
            let region = backend.region.as_deref().unwrap_or(&routes.region);
            let chat = [TokenClass::Input, TokenClass::InputCacheRead, TokenClass::Output];
            let has = |classes: &[TokenClass]| has_prices(&book, provider, &target.model, region, classes);
            assert!(has(&chat) || has(&[TokenClass::Embedding]), "{file}: {provider}/{}", target.model);
        }
    }
}

#[test]
fn a_backend_that_names_no_provider_has_prices_under_the_name_of_its_format() {
    use BackendFormat::{Anthropic, AzureOpenAi, Bedrock, Gemini, OpenAi};
    let book = load_price_book(&deploy("config/prices.yaml")).unwrap();
    for format in [OpenAi, AzureOpenAi, Anthropic, Bedrock, Gemini] {
        // A format that is new must have a model here, and so prices in the book.
        let model = match format {
            OpenAi | AzureOpenAi => "gpt-4o-mini",
            Anthropic => "claude-sonnet-4-5",
            Bedrock => "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Gemini => "gemini-2.5-flash",
        };
        assert!(has_price(&book, format.as_str(), model), "{}/{model}", format.as_str());
    }
}

#[test]
fn the_compose_file_mounts_files_that_exist() {
    let text = read("compose.yaml");
    let mounted: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ./"))
        .filter_map(|mount| mount.split(':').next())
        .collect();
    assert!(mounted.len() >= 4, "{mounted:?}");
    for path in mounted {
        assert!(deploy(path).is_file(), "{path}");
    }
}

#[test]
fn the_dashboard_asks_only_for_metrics_that_exist() {
    let folders = [
        "../gateway/src/telemetry",
        "../gateway/admission/src",
        "../gateway/backends/src",
        "../gateway/ledger/src",
        "../gateway/limits/src",
        "../accounting/src",
        "../cache-service/src",
    ];
    let sources: String =
        folders.iter().flat_map(|folder| deploy(folder).read_dir().unwrap()).map(text_of).collect();
    let dashboard = read("grafana/tollgate.json");
    let names = metric_names(&dashboard);
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        let base = name.trim_end_matches("_total").trim_end_matches("_bucket").trim_end_matches("_seconds");
        let registered = |name: &str| sources.contains(&format!("\"{name}\""));
        // The cache service's registry has its own prefix.
        let known = registered(base) || base.strip_prefix("cache_").is_some_and(registered);
        assert!(known, "tollgate_{name} is not a metric");
    }
}

fn text_of(entry: std::io::Result<std::fs::DirEntry>) -> String {
    std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default()
}

/// What follows `tollgate_` in the text, each once.
fn metric_names(text: &str) -> BTreeSet<&str> {
    text.split("tollgate_")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default())
        .collect()
}
