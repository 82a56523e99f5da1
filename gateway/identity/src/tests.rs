//! Keys and their callers.

use super::*;
use http::{HeaderMap, HeaderName, HeaderValue};

fn key_in(name: &'static str, value: &str) -> Option<Vec<u8>> {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    presented_key(&headers).map(<[u8]>::to_vec)
}

#[test]
fn a_key_is_read_from_each_of_its_headers() {
    for (name, value) in [
        ("authorization", "Bearer k1"),
        ("authorization", "bearer  k1 "),
        ("api-key", "k1"),
        ("x-api-key", "k1"),
        ("x-goog-api-key", "k1"),
        ("ocp-apim-subscription-key", "k1"),
    ] {
        assert_eq!(key_in(name, value).as_deref(), Some(&b"k1"[..]), "{name}: {value}");
    }
}

#[test]
fn other_schemes_and_empty_values_are_no_key() {
    for (name, value) in [("authorization", "Basic azE="), ("authorization", "Bearer "), ("api-key", " ")] {
        assert_eq!(key_in(name, value), None, "{name}: {value}");
    }
}
