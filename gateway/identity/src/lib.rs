//! Who is calling, and what they may use.
//!
//! A request carries a gateway key in one of five headers, or in its query where its API format has it there. Only
//! SHA-256 hashes of keys are held; a key is found by its hash, and the hash is compared in constant time. A key that
//! is unknown and a key that is malformed are answered alike.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tollgate_base::headers::Headers;
use tollgate_expressions::KEY_HEADERS;

mod limits;
mod subscription;

pub use subscription::{Caller, KeyTable, Product};

/// Longest key that is looked at, bytes.
const MAX_KEY_BYTES: usize = 512;

/// Why the caller is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No gateway key was sent.
    #[error("no gateway key was sent")]
    MissingKey,
    /// The key is unknown or malformed.
    #[error("the gateway key is not valid")]
    InvalidKey,
}

/// The caller that the request's key belongs to. `in_query` is the key in its query, which counts only if no header has
/// one.
///
/// # Errors
/// When there is no key, or it is not known.
pub fn identify(
    headers: &dyn Headers,
    in_query: Option<&[u8]>,
    keys: &KeyTable,
) -> Result<Arc<Caller>, IdentityError> {
    let in_query = in_query.filter(|key| !key.is_empty());
    let key = presented_key(headers).or(in_query).ok_or(IdentityError::MissingKey)?;
    if key.len() > MAX_KEY_BYTES {
        return Err(IdentityError::InvalidKey);
    }
    let hash: [u8; 32] = Sha256::digest(key).into();
    keys.find(&hash).ok_or(IdentityError::InvalidKey)
}

/// The key that a request carries, whether it is valid or not.
#[must_use]
pub fn presented_key(headers: &dyn Headers) -> Option<&[u8]> {
    KEY_HEADERS.iter().find_map(|name| {
        let value = headers.first(name)?;
        match *name {
            "authorization" => bearer(value),
            _ => Some(value),
        }
        .map(<[u8]>::trim_ascii)
        .filter(|key| !key.is_empty())
    })
}

/// The credentials of the `Bearer` scheme, whose name is case-insensitive (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
}

#[cfg(test)]
mod tests;
