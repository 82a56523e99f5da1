//! Headers of a request, whatever library carries them.
//!
//! The server that accepts requests and the client that makes them have header maps of different types. What reads
//! headers (identity, sessions, expressions) reads them through [`Headers`], so that nothing is copied and no other
//! crate depends on the server.

/// Headers by name. Names are given in lower case.
pub trait Headers {
    /// Calls `visit` with each header, its name in lower case, in the order of their arrival within a name.
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8]));

    /// The first value of a header.
    fn first(&self, name: &str) -> Option<&[u8]>;

    /// Every value of a header.
    fn all<'a>(&'a self, name: &str) -> Vec<&'a [u8]> {
        let mut values = Vec::new();
        self.for_each(&mut |key, value| {
            if key == name {
                values.push(value);
            }
        });
        values
    }

    /// The first value of a header, where it is text.
    fn text(&self, name: &str) -> Option<&str> {
        text(self.first(name)?)
    }
}

/// A header's value, where it is text: visible ASCII, spaces and tabs (RFC 9110 §5.5).
#[must_use]
pub fn text(value: &[u8]) -> Option<&str> {
    let visible = value.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\t');
    if visible { std::str::from_utf8(value).ok() } else { None }
}

impl Headers for http::HeaderMap {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for (name, value) in self {
            visit(name.as_str(), value.as_bytes());
        }
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        self.get(name).map(http::HeaderValue::as_bytes)
    }
}
