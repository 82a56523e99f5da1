//! Headers of calls that are passed through: everything but what belongs to a connection, to the gateway, or to
//! where the client is.
//!
//! Cookies pass: they belong to the API behind. No header passes that holds the caller's gateway key, whatever its
//! name.

use http::header::{CONNECTION, EXPECT, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;
use tollgate_base::headers::{Headers, text};
use tollgate_expressions::KEY_HEADERS;

use crate::headers::trace_context::TraceContext;

/// Headers of a connection and not of a message (RFC 9110 §7.6.1), with those that proxies ask for passwords by.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What proxies in front of the gateway say about the client's place; providers need not know it.
const PLACE: [&str; 4] = ["forwarded", "via", "x-real-ip", "true-client-ip"];
const PLACE_PREFIX: &str = "x-forwarded-";
/// What clients say to the provider about accounts and signatures of their own: the gateway's are used.
const ACCOUNT: [&str; 7] = [
    // Is made anew for each subscription and target: the account is one for all.
    "idempotency-key",
    "openai-organization",
    "openai-project",
    "x-goog-user-project",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];
/// Shorter keys would be found in headers that do not hold them.
const MIN_KEY_BYTES: usize = 8;
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The client's headers as a backend sees them. `key` is the gateway key that the request carried.
#[must_use]
pub fn to_backend(client: &dyn Headers, key: &[u8], trace: &TraceContext) -> HeaderMap {
    let named: Vec<&str> = client.all("connection").into_iter().filter_map(text).collect();
    let holds_key = |value: &[u8]| key.len() >= MIN_KEY_BYTES && memmem::find(value, key).is_some();
    let mut headers = HeaderMap::new();
    client.for_each(&mut |name, value| {
        if is_kept_back(name) || is_named(&named, name) || holds_key(value) {
            return;
        }
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    });
    if let Ok(value) = HeaderValue::from_str(&trace.header()) {
        headers.insert(TRACEPARENT, value);
    }
    headers
}

fn is_kept_back(name: &str) -> bool {
    // The host is the backend's. The gateway has answered `Expect` itself before it reads a body.
    name == HOST.as_str()
        || name == EXPECT.as_str()
        || HOP_BY_HOP.contains(&name)
        || KEY_HEADERS.contains(&name)
        || ACCOUNT.contains(&name)
        || PLACE.contains(&name)
        || name.starts_with(PLACE_PREFIX)
}

/// Whether `Connection` names a header as one of the connection.
fn is_named(connection: &[&str], name: &str) -> bool {
    let options = connection.iter().flat_map(|value| value.split(','));
    // Nobody needs to name the length of the body, and without it the body would be framed anew.
    name != "content-length" && options.map(str::trim).any(|option| option.eq_ignore_ascii_case(name))
}

/// Takes out of an answer's headers what belongs to the backend's connection.
pub fn clean_answer(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|option| option.trim().parse().ok())
        .filter(|name| name != "content-length")
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The protocol that a request wants to change to and that would need the connection for itself; `None` for the
/// offer of HTTP/2 that some clients make with every request, which may be ignored (RFC 9110 §7.8).
#[must_use]
pub fn wanted_upgrade(client: &dyn Headers) -> Option<String> {
    let mut offers = client.all("upgrade").into_iter().filter_map(text);
    let websocket = |offer: &&str| offer.to_ascii_lowercase().contains("websocket");
    offers.find(websocket).map(|offer| offer.chars().take(64).collect())
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

    fn passed(pairs: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
        let mut headers = to_backend(&client(pairs), b"gw-key-1", &TraceContext::from_header(None));
        headers.remove(TRACEPARENT);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn what_belongs_to_the_connection_or_the_gateway_stays() {
        let kept_back = [
            ("connection", "close, X-Own, content-length"),
            ("x-own", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic eA=="),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("host", "gateway"),
            ("expect", "100-continue"),
            ("authorization", "AWS4-HMAC-SHA256 Credential=x"),
            ("api-key", "gw-key-1"),
            ("x-api-key", "another"),
            ("ocp-apim-subscription-key", "gw-key-1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("via", "1.1 proxy"),
            ("x-amz-security-token", "t"),
            ("openai-organization", "o"),
            ("idempotency-key", "order-1"),
            ("x-goog-user-project", "theirs"),
        ];
        assert_eq!(passed(&kept_back), []);
    }

    #[test]
    fn everything_else_passes_with_all_its_values() {
        let pairs = [
            ("accept", "a"),
            ("accept", "b"),
            ("content-length", "3"),
            ("cookie", "session=1"),
            ("x-anything", "v"),
        ];
        let got = passed(&pairs);
        assert_eq!(got.len(), pairs.len());
        assert_eq!(got.iter().filter(|(name, _)| name == "accept").count(), 2);
    }

    #[test]
    fn no_header_passes_that_holds_the_key() {
        assert_eq!(passed(&[("cookie", "a=1; token=gw-key-1"), ("x-debug", "gw-key-1")]), []);
        let nobody = to_backend(&client(&[("x-a", "b")]), b"", &TraceContext::from_header(None));
        assert!(nobody.contains_key("x-a"));
    }

    #[test]
    fn answers_lose_what_belongs_to_the_backends_connection() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        clean_answer(&mut headers);
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-length", "set-cookie", "set-cookie"]);
    }

    #[test]
    fn only_changes_to_websockets_are_wanted() {
        assert_eq!(wanted_upgrade(&client(&[("upgrade", "WebSocket")])).as_deref(), Some("WebSocket"));
        assert_eq!(wanted_upgrade(&client(&[("upgrade", "h2c")])), None);
        assert_eq!(wanted_upgrade(&client(&[])), None);
    }
}
