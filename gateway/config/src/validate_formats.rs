//! Backends of each API format: addresses, headers and settings that only some formats have.

use http::{HeaderName, HeaderValue, Uri};
use tollgate_formats::BackendFormat;
use tollgate_settings::Mistakes;

use super::{BackendConfig, ConversationApi, ProbeConfig};

/// Headers that belong to one connection (RFC 9110 §7.6.1), or that the gateway writes for each call.
const RESERVED: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "traceparent",
    "transfer-encoding",
    "upgrade",
];
/// Headers that carry secrets: these have references and are never printed where they belong.
const SECRET: [&str; 9] = [
    "api-key",
    "authorization",
    "cookie",
    "ocp-apim-subscription-key",
    "proxy-authorization",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-goog-api-key",
];

/// Checks what a backend's format allows.
pub(super) fn check(name: &str, backend: &BackendConfig, mistakes: &mut Mistakes) {
    let path = format!("backends.{name}");
    if let Ok(uri) = backend.url.parse::<Uri>() {
        check_url(&format!("{path}.url"), backend, &uri, mistakes);
    }
    check_settings(&path, backend, mistakes);
    for (header, value) in &backend.headers {
        check_header(&format!("{path}.headers.{header}"), header, value, mistakes);
    }
    if let Some(probe) = &backend.probe {
        check_probe(&format!("{path}.probe"), backend.format, probe, mistakes);
    }
}

/// The gateway appends the paths of all formats but `openai`, whose version path is part of the URL.
fn check_url(path: &str, backend: &BackendConfig, uri: &Uri, mistakes: &mut Mistakes) {
    let below = uri.path().trim_end_matches('/');
    let versioned =
        ["/v1", "/v1beta", "/v1beta/openai", "/v1/messages"].iter().any(|end| below.ends_with(end));
    match backend.format {
        BackendFormat::Anthropic | BackendFormat::Bedrock if versioned => {
            mistakes.add(path, "must be the host alone; the gateway appends the version and the path");
        }
        BackendFormat::Gemini if versioned => {
            let hint = "must be the host alone; use `format: openai` for Gemini's OpenAI-compatible endpoint";
            mistakes.add(path, hint);
        }
        BackendFormat::AzureOpenAi if below.contains("/deployments") => {
            mistakes.add(path, "must be the resource's host alone; the deployment is the target's `model`");
        }
        _ => {}
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        mistakes.add(path, "must not hold a user or password; use `credentials`");
    }
}

fn check_settings(path: &str, backend: &BackendConfig, mistakes: &mut Mistakes) {
    use BackendFormat::{AzureOpenAi, OpenAi};
    if let Some(version) = &backend.api_version {
        let path = format!("{path}.api_version");
        let dated = version.len() >= 10
            && version.len() <= 32
            && version.starts_with(|first: char| first.is_ascii_digit())
            && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if backend.format != AzureOpenAi {
            mistakes.add(path, "is for `format: azure-openai` alone; leave it out");
        } else if !dated {
            mistakes.add(path, "must be a dated version like 2024-10-21; leave it out for the `v1` API");
        }
    }
    if backend.serves_responses.is_some() && !matches!(backend.format, OpenAi | AzureOpenAi) {
        let message = "is for `openai` and `azure-openai` alone; other formats get Responses translated";
        mistakes.add(format!("{path}.serves_responses"), message);
    }
    if let Some(api) = backend.api {
        check_api(&format!("{path}.api"), backend, api, mistakes);
    }
    if backend.max_running == Some(0) {
        mistakes.add(format!("{path}.max_running"), "must be above 0; leave it out for no bound");
    }
}

/// Checks the API that conversations are to go to, at a backend or a target.
pub(super) fn check_api(path: &str, backend: &BackendConfig, api: ConversationApi, mistakes: &mut Mistakes) {
    if !matches!(backend.format, BackendFormat::OpenAi | BackendFormat::AzureOpenAi) {
        mistakes.add(path, "is for `openai` and `azure-openai` alone; leave it out");
    } else if api == ConversationApi::Responses && backend.serves_responses == Some(false) {
        mistakes.add(path, "cannot be `responses` where `serves_responses` is false");
    }
}

fn check_header(path: &str, name: &str, value: &str, mistakes: &mut Mistakes) {
    let lower = name.to_ascii_lowercase();
    if name.parse::<HeaderName>().is_err() || value.parse::<HeaderValue>().is_err() {
        mistakes.add(path, "is no header; names are letters, digits and `-`, values one line of text");
    } else if RESERVED.contains(&&*lower) {
        mistakes.add(path, "is set by the gateway for each call; leave it out");
    } else if SECRET.contains(&&*lower) || value.contains("${secret:") {
        mistakes.add(path, "holds a secret; use `credentials: { header: { name, value } }`");
    }
}

/// The usual path of a probe is that of OpenAI's list of models below `…/v1`.
fn check_probe(path: &str, format: BackendFormat, probe: &ProbeConfig, mistakes: &mut Mistakes) {
    let list = match format {
        BackendFormat::OpenAi => return,
        BackendFormat::AzureOpenAi => "/openai/v1/models",
        BackendFormat::Anthropic => "/v1/models",
        BackendFormat::Gemini => "/v1beta/models",
        BackendFormat::Bedrock => {
            mistakes.add(path, "a Bedrock runtime has nothing to read without a model; leave it out");
            return;
        }
    };
    if probe.path == ProbeConfig::default().path {
        mistakes.add(format!("{path}.path"), format!("this format has its list of models at {list}"));
    }
}

#[cfg(test)]
mod tests {
    use tollgate_settings::load::parse_yaml;

    use super::super::Config;
    use super::super::validate::validate;

    fn mistakes(backend: &str) -> Vec<String> {
        let config: Config =
            parse_yaml("t.yaml".as_ref(), &format!("backends: {{ b: {{ {backend} }} }}")).unwrap();
        let found = validate(&config).err().map(|found| found.0).unwrap_or_default();
        found.into_iter().map(|mistake| format!("{}: {}", mistake.path, mistake.message)).collect()
    }

    #[test]
    fn every_format_is_taken_at_its_own_address() {
        for fine in [
            "format: openai, url: 'https://api.openai.com/v1', serves_responses: true, probe: {}",
            "format: openai, url: 'https://generativelanguage.googleapis.com/v1beta/openai'",
            "format: azure-openai, url: 'https://r.openai.azure.com', api_version: 2024-10-21",
            "format: azure-openai, url: 'https://r.openai.azure.com/openai/v1', serves_responses: false",
            "format: azure-openai, url: 'https://r.openai.azure.com', api_version: 2025-04-01-preview",
            "format: openai, url: 'https://h/v1', api: responses",
            "format: anthropic, url: 'https://api.anthropic.com', probe: { path: /v1/models }",
            "format: anthropic, url: 'https://proxy/anthropic', headers: { anthropic-beta: x }",
            "format: bedrock, url: 'https://bedrock-runtime.eu-central-1.amazonaws.com', max_running: 1",
            "format: gemini, url: 'https://generativelanguage.googleapis.com'",
        ] {
            assert_eq!(mistakes(fine), Vec::<String>::new(), "{fine}");
        }
    }

    #[test]
    fn what_a_format_does_not_have_is_named_with_what_to_do() {
        let anthropic = "format: anthropic, url: 'https://api.anthropic.com'";
        let openai = "format: openai, url: 'https://h/v1'";
        for (wrong, path, advice) in [
            ("format: anthropic, url: 'https://api.anthropic.com/v1'".into(), "url", "host alone"),
            ("format: bedrock, url: 'https://h/v1/'".into(), "url", "host alone"),
            ("format: gemini, url: 'https://h/v1beta'".into(), "url", "format: openai"),
            ("format: gemini, url: 'https://h/v1beta/openai/'".into(), "url", "format: openai"),
            ("format: azure-openai, url: 'https://h/openai/deployments/d'".into(), "url", "`model`"),
            ("format: openai, url: 'https://me:secret@h/v1'".into(), "url", "credentials"),
            (format!("{openai}, api_version: 2024-10-21"), "api_version", "azure-openai"),
            ("format: azure-openai, url: 'https://h', api_version: 'a&b=c'".into(), "api_version", "dated"),
            (format!("{anthropic}, serves_responses: true"), "serves_responses", "translated"),
            (format!("{anthropic}, api: chat"), "api", "leave it out"),
            (format!("{openai}, api: responses, serves_responses: false"), "api", "serves_responses"),
            (format!("{openai}, max_running: 0"), "max_running", "above 0"),
            (format!("{openai}, headers: {{ 'a b': c }}"), "headers.a b", "no header"),
            (format!("{openai}, headers: {{ a: \"b\\nc\" }}"), "headers.a", "no header"),
            (
                format!("{openai}, headers: {{ Transfer-Encoding: chunked }}"),
                "headers.Transfer-Encoding",
                "leave",
            ),
            (format!("{openai}, headers: {{ Authorization: x }}"), "headers.Authorization", "credentials"),
            (format!("{openai}, headers: {{ x-a: '${{secret:env:A}}' }}"), "headers.x-a", "credentials"),
            (format!("{anthropic}, probe: {{}}"), "probe.path", "/v1/models"),
            ("format: bedrock, url: 'https://h', probe: {}".into(), "probe", "leave it out"),
        ] {
            let found = mistakes(&wrong);
            assert_eq!(found.len(), 1, "{wrong}: {found:?}");
            assert!(found[0].starts_with(&format!("backends.b.{path}: ")), "{found:?}");
            assert!(found[0].contains(advice), "{found:?}");
            assert!(!found[0].contains("secret@"), "{found:?}");
        }
    }
}
