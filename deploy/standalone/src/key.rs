//! Gateway keys: made once, shown once, kept as a hash.
//!
//! A key is `tg-`, 30 random letters and digits (178 bits) and 6 more that are the checksum of those, so that
//! a scanner finds leaked keys by their form and a mistyped one is told from a revoked one without asking
//! the gateway.

use std::fmt;

use rand::Rng as _;
use rand::distr::Alphanumeric;
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "tg-";
const RANDOM_CHARS: usize = 30;
const CHECKSUM_CHARS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A gateway key in the clear; for the eyes of its owner only.
pub struct Key(String);

impl Key {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        // The thread's generator is cryptographically secure and seeded by the operating system.
        let random: String =
            rand::rng().sample_iter(Alphanumeric).take(RANDOM_CHARS).map(char::from).collect();
        let checksum = checksum(&random);
        Self(format!("{PREFIX}{random}{checksum}"))
    }

    /// A key that was made before.
    ///
    /// # Errors
    /// When it is not one of ours, or was mistyped.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let body = text.strip_prefix(PREFIX).ok_or(KeyError::Form)?;
        if body.len() != RANDOM_CHARS + CHECKSUM_CHARS || !body.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(KeyError::Form);
        }
        let (random, given) = body.split_at(RANDOM_CHARS);
        if checksum(random) == given { Ok(Self(text.to_owned())) } else { Err(KeyError::Checksum) }
    }

    /// The key itself, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the configuration keeps: SHA-256 in hexadecimal digits. A key has far too many random bits to be
    /// found by trying, so a slow password hash would only cost time on every request.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// Why a text is not a gateway key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It does not look like one.
    #[error("not a gateway key: it has the form {PREFIX} and {} letters and digits", RANDOM_CHARS + CHECKSUM_CHARS)]
    Form,
    /// It looks like one, but a character is wrong.
    #[error("the key's checksum does not fit: it was mistyped or cut")]
    Checksum,
}

/// CRC-32C of the random part as six base-62 digits.
fn checksum(random: &str) -> String {
    let mut rest = u64::from(crc32c::crc32c(random.as_bytes()));
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_differ_and_both_are_well_formed() {
        let (a, b) = (Key::generate(), Key::generate());
        assert_ne!(a.expose(), b.expose());
        assert!(Key::parse(a.expose()).is_ok());
        assert_eq!(a.expose().len(), 39);
    }

    #[test]
    fn any_single_wrong_character_is_noticed() {
        let key = Key::generate();
        for at in PREFIX.len()..key.expose().len() {
            let mut wrong = key.expose().as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(Key::parse(&wrong).unwrap_err(), KeyError::Checksum, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_form() {
        for text in ["", "tg-", "sk-abc", "tg-short", &format!("tg-{}", "ü".repeat(18))] {
            assert_eq!(Key::parse(text).unwrap_err(), KeyError::Form, "{text}");
        }
    }

    #[test]
    fn the_hash_is_what_sha256sum_prints_for_the_key() {
        let key = Key("tg-example".to_owned());
        assert_eq!(key.sha256(), "da0c916dc50a298a6f3e26826c119601701640c14d1013c544afbce1ececa0fc");
    }

    #[test]
    fn debug_output_does_not_hold_the_key() {
        let key = Key::generate();
        assert!(!format!("{key:?}").contains(key.expose()));
    }
}
