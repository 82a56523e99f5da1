//! Which headers a log may show.
//!
//! An allow-list: a header nobody thought of is a header that may hold a secret. Names are shown, so that
//! an operator sees what was sent; values only of the headers listed here.

use std::fmt;

use tollgate_base::headers::{Headers, text};

/// Headers whose values are safe: no credential, no address, no text of a user.
const SHOWN: [&str; 12] = [
    "accept",
    "content-encoding",
    "content-length",
    "content-type",
    "retry-after",
    "retry-after-ms",
    "traceparent",
    "user-agent",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];

/// What stands for a hidden value.
const HIDDEN: &str = "***";

/// Headers as a log may show them: `tracing::debug!(headers = ?Redacted(&headers))`.
pub struct Redacted<'a>(pub &'a dyn Headers);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        self.0.for_each(&mut |name, value| {
            let shown = text(value).filter(|_| SHOWN.binary_search(&name).is_ok());
            map.entry(&name, &shown.unwrap_or(HIDDEN));
        });
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn only_listed_headers_show_their_values() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("authorization", HeaderValue::from_static("Bearer s3cret"));
        headers.insert("x-anything-else", HeaderValue::from_static("s3cret"));
        let text = format!("{:?}", Redacted(&headers));
        assert!(text.contains(r#""content-type": "application/json""#), "{text}");
        assert!(text.contains(r#""authorization": "***""#) && !text.contains("s3cret"), "{text}");
    }

    #[test]
    fn the_list_is_sorted_so_that_it_can_be_searched() {
        assert!(SHOWN.is_sorted());
    }
}
