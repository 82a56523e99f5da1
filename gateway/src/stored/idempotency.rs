//! Idempotency keys of clients, as backends see them.
//!
//! All tenants share a provider's account, and a provider answers a key that it knows with the answer it gave before.
//! So each subscription's keys are its own, and each target's: a second attempt is not told what the first one was.

use http::HeaderValue;
use ring::hmac;

use super::derived_key::{DerivationError, derive};

/// Makes keys that only repeat where the same subscription repeats one towards the same target.
#[derive(Clone)]
pub struct IdempotencyKeys {
    key: hmac::Key,
}

impl std::fmt::Debug for IdempotencyKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdempotencyKeys")
    }
}

impl IdempotencyKeys {
    /// With this secret; replicas that share it make the same keys.
    ///
    /// # Errors
    /// When no key can be derived from it.
    pub fn new(secret: &[u8]) -> Result<Self, DerivationError> {
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &*derive(secret, b"idempotency keys")?) })
    }

    /// What a target is sent in place of the client's key, in hexadecimal digits.
    #[must_use]
    pub fn shown(&self, subscription: &str, key: &[u8], backend: &str, model: &str) -> Option<HeaderValue> {
        let mut mac = hmac::Context::with_key(&self.key);
        for part in [subscription.as_bytes(), key, backend.as_bytes(), model.as_bytes()] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        let digits: String = mac.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::try_from(digits).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(subscription: &str, key: &str, backend: &str, model: &str) -> String {
        let keys = IdempotencyKeys::new(b"secret").unwrap();
        let value = keys.shown(subscription, key.as_bytes(), backend, model).unwrap();
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_key_repeats_for_one_subscription_at_one_target_alone() {
        let first = shown("checkout", "order-1", "openai", "gpt");
        assert_eq!(first, shown("checkout", "order-1", "openai", "gpt"));
        for other in [
            shown("search", "order-1", "openai", "gpt"),
            shown("checkout", "order-2", "openai", "gpt"),
            shown("checkout", "order-1", "azure", "gpt"),
            shown("checkout", "order-1", "openai", "gpt-mini"),
            shown("checkoutorder-1", "", "openai", "gpt"),
            shown("checkout", "order-1openai", "", "gpt"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_key_of_the_client_cannot_be_read_by_the_backend() {
        let value = shown("checkout", "order-1", "openai", "gpt");
        assert!(value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{value}");
    }
}
