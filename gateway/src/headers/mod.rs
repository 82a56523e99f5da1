//! Which headers pass between client, gateway and backend.
//!
//! Towards backends an allow-list: gateway keys, cookies, addresses and account selectors of the client
//! never reach a provider. Towards clients only what the gateway says itself.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_base::headers::{Headers, text};

pub mod forwarded;
pub mod trace_context;

use crate::headers::trace_context::TraceContext;

/// Headers of the client that backends see.
const FORWARDED: [&str; 4] = ["user-agent", "openai-beta", "anthropic-beta", "anthropic-version"];
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The client's headers as a backend sees them.
#[must_use]
pub fn for_backend(client: &dyn Headers, trace: &TraceContext) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    for name in FORWARDED {
        if let Some(value) = client.first(name).and_then(|value| HeaderValue::from_bytes(value).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if let Ok(value) = HeaderValue::from_str(&trace.header()) {
        headers.insert(TRACEPARENT, value);
    }
    headers
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
        let passed = for_backend(&headers, &TraceContext::from_header(None));
        let names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        assert!(names.iter().all(|name| ["user-agent", "traceparent"].contains(name)), "{names:?}");
    }

    #[test]
    fn a_client_can_ask_for_a_fresh_answer() {
        assert!(opts_out_of_cache(&client(&[("cache-control", "max-age=0, No-Store")])));
        assert!(!opts_out_of_cache(&client(&[("cache-control", "max-age=0")])));
    }
}
