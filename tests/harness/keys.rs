//! Gateway keys of tests.

use sha2::{Digest as _, Sha256};

/// The text of a test key.
#[must_use]
pub fn text(name: &str) -> String {
    format!("tg-test-{name}-0123456789abcdef")
}

/// What a configuration says of a key: SHA-256 of its text, hex.
#[must_use]
pub fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
