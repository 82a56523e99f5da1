//! Who is calling, and what they may use.
//!
//! A request carries a gateway key in one of four headers. Only SHA-256 hashes of keys are held; a key is
//! found by its hash, and the hash is compared in constant time. A key that is unknown and a key that is
//! malformed are answered alike.

use actix_web::http::header::HeaderMap;
use sha2::{Digest, Sha256};
use std::sync::Arc;

use crate::error::GatewayError;
use crate::routing::near;
use crate::snapshot::{Api, Model, Snapshot};

pub mod subscription;

pub use subscription::{Caller, CallerLimit, KeyTable, Product};

/// Headers that may carry a gateway key, tried in this order. None of them is ever forwarded.
pub const KEY_HEADERS: [&str; 4] = ["authorization", "api-key", "x-api-key", "ocp-apim-subscription-key"];
/// Longest key that is looked at, bytes.
const MAX_KEY_BYTES: usize = 512;
/// Longest model name that is repeated in an error, characters.
const MAX_NAME_CHARS: usize = 128;

/// The caller that the request's key belongs to.
///
/// # Errors
/// [`GatewayError::MissingKey`] or [`GatewayError::InvalidKey`].
pub fn identify(headers: &HeaderMap, snapshot: &Snapshot) -> Result<Arc<Caller>, GatewayError> {
    let key = presented_key(headers).ok_or(GatewayError::MissingKey)?;
    if key.len() > MAX_KEY_BYTES {
        return Err(GatewayError::InvalidKey);
    }
    let hash: [u8; 32] = Sha256::digest(key).into();
    snapshot.keys.find(&hash).ok_or(GatewayError::InvalidKey)
}

/// Whether the caller's product has an API.
#[must_use]
pub fn may_call(caller: &Caller, api: &Api) -> bool {
    caller.product.apis.contains(&api.name)
}

/// The model behind an alias, when the caller's product has it. A model that exists but is not allowed is
/// answered like one that does not exist.
///
/// # Errors
/// [`GatewayError::UnknownModel`] with names alike that the caller may use.
pub fn model_for(snapshot: &Snapshot, caller: &Caller, alias: &str) -> Result<Arc<Model>, GatewayError> {
    if let (true, Some(model)) = (caller.product.models.contains(alias), snapshot.models.get(alias)) {
        return Ok(Arc::clone(model));
    }
    let allowed = caller.product.models.iter().filter(|name| snapshot.lists(name));
    Err(GatewayError::UnknownModel {
        model: alias.chars().take(MAX_NAME_CHARS).collect(),
        near: near::near_names(alias, allowed),
    })
}

/// The key that a request carries, whether it is valid or not.
#[must_use]
pub fn presented_key(headers: &HeaderMap) -> Option<&[u8]> {
    KEY_HEADERS.iter().find_map(|name| {
        let value = headers.get(*name)?.as_bytes();
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
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

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
            ("ocp-apim-subscription-key", "k1"),
        ] {
            assert_eq!(key_in(name, value).as_deref(), Some(&b"k1"[..]), "{name}: {value}");
        }
    }

    #[test]
    fn other_schemes_and_empty_values_are_no_key() {
        for (name, value) in [("authorization", "Basic azE="), ("authorization", "Bearer "), ("api-key", " ")]
        {
            assert_eq!(key_in(name, value), None, "{name}: {value}");
        }
    }
}
