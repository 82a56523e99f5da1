//! Keys for one purpose each, from the one secret of the configuration (HKDF with SHA-256, RFC 5869).

use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// Bytes of every derived key.
const KEY_BYTES: usize = 32;
/// Parts these keys from others that are made of the same secret elsewhere.
const SALT: &[u8] = b"tollgate stored answers";

/// No key can be derived from the secret.
#[derive(Debug, thiserror::Error)]
#[error("no key can be derived from the secret")]
pub struct DerivationError;

impl From<Unspecified> for DerivationError {
    fn from(Unspecified: Unspecified) -> Self {
        Self
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

/// The key for a purpose; other purposes have independent ones.
///
/// # Errors
/// By its type alone: HKDF gives keys of this length.
pub fn derive(secret: &[u8], purpose: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, DerivationError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let pseudorandom = Salt::new(HKDF_SHA256, SALT).extract(secret);
    pseudorandom.expand(&[purpose], Length)?.fill(&mut *key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_and_each_secret_has_a_key_of_its_own() {
        let keys = [derive(b"s", b"a"), derive(b"s", b"b"), derive(b"t", b"a")].map(Result::unwrap);
        assert!(*keys[0] != *keys[1] && *keys[0] != *keys[2] && *keys[1] != *keys[2]);
        assert_eq!(*keys[0], *derive(b"s", b"a").unwrap());
    }
}
