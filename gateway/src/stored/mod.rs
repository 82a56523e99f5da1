//! Answers that providers keep: ids and idempotency keys that bind them to their owners, and the secret that those are
//! made with.

pub mod derived_key;
pub mod idempotency;
pub mod response_ids;
pub mod shown_ids;
pub mod signing_key;

use self::derived_key::DerivationError;
use self::idempotency::IdempotencyKeys;
use self::response_ids::ResponseIds;

/// What binds to owners, all of one secret.
pub struct Bound {
    /// Ids of stored answers.
    pub response_ids: ResponseIds,
    /// Idempotency keys.
    pub idempotency_keys: IdempotencyKeys,
}

impl Bound {
    /// With this secret.
    ///
    /// # Errors
    /// When no key can be derived from it.
    pub fn new(secret: &[u8]) -> Result<Self, DerivationError> {
        let (response_ids, idempotency_keys) = (ResponseIds::new(secret)?, IdempotencyKeys::new(secret)?);
        Ok(Self { response_ids, idempotency_keys })
    }
}
