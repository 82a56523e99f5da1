//! Which headers pass between client, gateway and backend.
//!
//! Towards backends an allow-list: gateway keys, cookies, addresses and account selectors of the client never reach a
//! provider, and a provider's own headers reach no other one. A client's `user-agent` reaches backends that speak the
//! client's own API format, whose SDK it names; others see the gateway's. What SDKs tell about the client's machine
//! (`x-stainless-…`) stays here. Towards clients only what the gateway says itself, and the backend's rate limits where
//! that is switched on.

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_base::headers::{Headers, text};
use tollgate_formats::BackendFormat;

pub mod forwarded;
pub mod trace_context;

use crate::headers::trace_context::TraceContext;

/// How the gateway names itself to backends that do not speak the client's format.
const OWN_USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION")));
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const BETAS: &str = "anthropic-beta";
/// Most betas of one request that are looked at.
const MOST_BETAS: usize = 32;
/// What headers about rate limits begin with, and what they begin with towards clients.
const RATES: [&str; 3] = ["x-ratelimit-", "anthropic-ratelimit-", "ratelimit-"];
const UPSTREAM: &str = "x-upstream-";
/// Most such headers of one answer; providers have a dozen.
const MOST_RATES: usize = 32;

/// The client's headers as a backend of this format sees them. `is_native` says whether it speaks the client's own.
#[must_use]
pub fn for_backend(
    client: &dyn Headers,
    trace: &TraceContext,
    format: BackendFormat,
    is_native: bool,
) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let value = |name: &str| client.first(name).and_then(|value| HeaderValue::from_bytes(value).ok());
    for name in format.client_headers() {
        if let Some(value) = value(name) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let agent = if is_native { value(USER_AGENT.as_str()) } else { Some(OWN_USER_AGENT) };
    if let Some(agent) = agent {
        headers.insert(USER_AGENT, agent);
    }
    if let Ok(value) = HeaderValue::from_str(&trace.header()) {
        headers.insert(TRACEPARENT, value);
    }
    headers
}

/// The betas of Anthropic's API that the client asks for, for backends that take them in the body.
#[must_use]
pub fn anthropic_betas(client: &dyn Headers) -> Vec<&str> {
    let mut betas: Vec<&str> = Vec::new();
    let values = client.all(BETAS).into_iter().filter_map(text);
    for beta in values.flat_map(|value| value.split(',')).map(str::trim).filter(|beta| !beta.is_empty()) {
        if betas.len() < MOST_BETAS && !betas.contains(&beta) {
            betas.push(beta);
        }
    }
    betas
}

/// What a backend's answer says about its rate limits, by the names that clients are told.
#[must_use]
pub fn upstream_rates(answer: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let about_rates = |name: &HeaderName| RATES.iter().any(|start| name.as_str().starts_with(start));
    let told = answer.iter().filter(|(name, _)| about_rates(name)).filter_map(|(name, value)| {
        let name = HeaderName::try_from(format!("{UPSTREAM}{name}")).ok()?;
        Some((name, value.clone()))
    });
    told.take(MOST_RATES).collect()
}

/// Whether the client wants a fresh answer (`Cache-Control: no-cache` or `no-store`, RFC 9111 §5.2.1).
#[must_use]
pub fn opts_out_of_cache(client: &dyn Headers) -> bool {
    client.all("cache-control").into_iter().filter_map(text).flat_map(|value| value.split(',')).any(
        |directive| {
            let directive = directive.trim();
            directive.eq_ignore_ascii_case("no-cache") || directive.eq_ignore_ascii_case("no-store")
        },
    )
}

/// Whether the body has this MIME type, whatever its parameters.
#[must_use]
pub fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::trim_start);
    value.is_some_and(|value| {
        value.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn no_credential_or_address_of_the_client_reaches_a_backend() {
        let headers = client(&[
            ("authorization", "Bearer gateway-key"),
            ("x-api-key", "gateway-key"),
            ("api-key", "gateway-key"),
            ("ocp-apim-subscription-key", "gateway-key"),
            ("cookie", "session=1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("openai-organization", "org-other"),
            ("user-agent", "sdk/1"),
        ]);
        for format in FORMATS {
            let passed = for_backend(&headers, &TraceContext::from_header(None), format, true);
            let names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
            assert!(names.iter().all(|name| ["user-agent", "traceparent"].contains(name)), "{names:?}");
        }
    }

    const FORMATS: [BackendFormat; 5] = [
        BackendFormat::OpenAi,
        BackendFormat::AzureOpenAi,
        BackendFormat::Anthropic,
        BackendFormat::Bedrock,
        BackendFormat::Gemini,
    ];

    #[test]
    fn headers_of_a_provider_reach_that_provider_alone() {
        let headers = client(&[
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "context-1m-2025-08-07"),
            ("openai-beta", "responses=v1"),
            ("x-goog-api-client", "gl-python/3.12"),
            ("x-goog-user-project", "theirs"),
            ("x-stainless-os", "Linux"),
            ("user-agent", "claude-cli/2.1"),
        ]);
        for (format, is_native, expected) in [
            (BackendFormat::Anthropic, true, &["anthropic-beta", "anthropic-version"][..]),
            (BackendFormat::OpenAi, false, &["openai-beta"]),
            (BackendFormat::AzureOpenAi, false, &["openai-beta"]),
            (BackendFormat::Gemini, false, &["x-goog-api-client"]),
            (BackendFormat::Bedrock, false, &[]),
        ] {
            let mut passed = for_backend(&headers, &TraceContext::from_header(None), format, is_native);
            passed.remove(TRACEPARENT);
            let agent = passed.remove(USER_AGENT).unwrap();
            assert_eq!(agent == "claude-cli/2.1", is_native, "{format:?}");
            assert!(is_native || agent.to_str().unwrap().starts_with("tollgate/"));
            let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, expected, "{format:?}");
        }
    }

    #[test]
    fn betas_are_a_list_without_repetition() {
        let headers = client(&[("anthropic-beta", "a-1, b-2,,a-1"), ("anthropic-beta", "c-3")]);
        assert_eq!(anthropic_betas(&headers), ["a-1", "b-2", "c-3"]);
        assert!(anthropic_betas(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn rates_of_a_backend_are_told_by_names_of_their_own() {
        let answer = client(&[
            ("x-ratelimit-remaining-requests", "59"),
            ("anthropic-ratelimit-tokens-limit", "80000"),
            ("x-request-id", "req_1"),
            ("set-cookie", "a=1"),
        ]);
        let mut told: Vec<String> = upstream_rates(&answer)
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        told.sort_unstable();
        assert_eq!(
            told,
            [
                "x-upstream-anthropic-ratelimit-tokens-limit=80000",
                "x-upstream-x-ratelimit-remaining-requests=59"
            ]
        );
    }

    #[test]
    fn a_client_can_ask_for_a_fresh_answer() {
        assert!(opts_out_of_cache(&client(&[("cache-control", "max-age=0, No-Store")])));
        assert!(!opts_out_of_cache(&client(&[("cache-control", "max-age=0")])));
    }
}
