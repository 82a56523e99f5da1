//! The client's idempotency key on its way to a backend: never as it came ([`crate::stored::idempotency`]).

use http::{HeaderMap, HeaderName};
use tollgate_base::headers::Headers;

use crate::stored::idempotency::IdempotencyKeys;

const NAME: HeaderName = HeaderName::from_static("idempotency-key");

/// Puts the key of one attempt among its headers, if the client sent one.
pub fn insert(
    keys: &IdempotencyKeys,
    headers: &mut HeaderMap,
    client: &dyn Headers,
    subscription: &str,
    backend: &str,
    model: &str,
) {
    let key = client.first(NAME.as_str()).filter(|key| !key.is_empty());
    if let Some(shown) = key.and_then(|key| keys.shown(subscription, key, backend, model)) {
        headers.insert(NAME, shown);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tollgate_formats::BackendFormat;

    use super::*;
    use crate::headers::for_backend;
    use crate::headers::forwarded::to_backend;
    use crate::headers::trace_context::TraceContext;

    fn client(key: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(NAME, HeaderValue::from_static(key))])
    }

    fn sent(passed_through: bool, subscription: &str, backend: &str) -> Option<HeaderValue> {
        let keys = IdempotencyKeys::new(b"secret").unwrap();
        let (client, trace) = (client("order-1"), TraceContext::from_header(None));
        let mut headers = if passed_through {
            to_backend(&client, b"", &trace)
        } else {
            for_backend(&client, &trace, BackendFormat::OpenAi, true)
        };
        assert!(!headers.contains_key(NAME), "no key passes as it came");
        insert(&keys, &mut headers, &client, subscription, backend, "m");
        headers.remove(NAME)
    }

    #[test]
    fn tenants_and_attempts_never_meet_in_a_key() {
        for passed_through in [false, true] {
            let first = sent(passed_through, "checkout", "openai");
            assert!(first.is_some());
            assert_eq!(first, sent(passed_through, "checkout", "openai"), "a retry of the client is one");
            assert_ne!(first, sent(passed_through, "search", "openai"));
            assert_ne!(first, sent(passed_through, "checkout", "azure"));
        }
    }

    #[test]
    fn without_a_key_none_is_made() {
        let keys = IdempotencyKeys::new(b"secret").unwrap();
        let mut headers = HeaderMap::new();
        insert(&keys, &mut headers, &client(""), "s", "b", "m");
        insert(&keys, &mut headers, &HeaderMap::new(), "s", "b", "m");
        assert!(headers.is_empty());
    }
}
