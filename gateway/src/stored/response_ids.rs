//! Ids of stored answers (Responses API), as clients see them: they say which target holds the answer and who
//! owns it, so that any replica finds the one and checks the other without a store.
//!
//! ```text
//! resp_tg2<base64url: nonce 12 bytes | sealed: length u8, backend | length u8, model | provider's id | tag 16 bytes>
//! ```
//! They are sealed with AES-256-GCM, the owner being associated data: nobody reads a provider's id out of one, and an
//! id that is altered, or used by another subscription, does not open. The nonce is a keyed hash of owner and content,
//! so the same answer always has the same id. Clients treat ids as opaque (OpenAI API reference, "Responses").

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

use super::derived_key::{DerivationError, derive};

/// What every sealed id begins with.
const PREFIX: &str = "resp_tg2";
/// Longest id of a provider that is sealed, bytes.
const MAX_PROVIDER_ID_BYTES: usize = 512;
/// Longest sealed id that is looked at, bytes: two names of 255 bytes and the longest id of a provider fit.
const MAX_ID_BYTES: usize = 1_536;

/// Binds answers to their owners; replicas that share the secret understand each other's ids.
#[derive(Clone)]
pub struct ResponseIds {
    keys: Arc<Keys>,
}

struct Keys {
    seal: LessSafeKey,
    nonce: hmac::Key,
}

impl std::fmt::Debug for ResponseIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseIds")
    }
}

/// Where a stored answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAt {
    /// Name of the backend.
    pub backend: String,
    /// The model's name there.
    pub model: String,
    /// The id that the provider knows it by.
    pub id: String,
}

impl ResponseIds {
    /// With this secret.
    ///
    /// # Errors
    /// When no key can be derived from it.
    pub fn new(secret: &[u8]) -> Result<Self, DerivationError> {
        let seal = UnboundKey::new(&AES_256_GCM, &*derive(secret, b"response ids: seal")?)?;
        let nonce = hmac::Key::new(hmac::HMAC_SHA256, &*derive(secret, b"response ids: nonce")?);
        Ok(Self { keys: Arc::new(Keys { seal: LessSafeKey::new(seal), nonce }) })
    }

    /// The id that the owner sees; `None` if the provider's is longer than any.
    #[must_use]
    pub fn seal(&self, owner: &str, at: &StoredAt) -> Option<String> {
        if at.id.len() > MAX_PROVIDER_ID_BYTES {
            return None;
        }
        let mut sealed = Vec::with_capacity(64 + at.id.len());
        for name in [&at.backend, &at.model] {
            let cut = name.floor_char_boundary(usize::from(u8::MAX));
            sealed.push(cut as u8);
            sealed.extend_from_slice(&name.as_bytes()[..cut]);
        }
        sealed.extend_from_slice(at.id.as_bytes());
        let nonce = self.nonce_of(owner, &sealed);
        let associated = Aad::from(owner.as_bytes());
        let with = Nonce::assume_unique_for_key(nonce);
        self.keys.seal.seal_in_place_append_tag(with, associated, &mut sealed).ok()?;
        let whole = [&nonce[..], &sealed].concat();
        Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(whole)))
    }

    /// Where the answer is; `None` if the id is not one of the owner's.
    #[must_use]
    pub fn open(&self, owner: &str, id: &str) -> Option<StoredAt> {
        let text = id.strip_prefix(PREFIX).filter(|_| id.len() <= MAX_ID_BYTES)?;
        let mut whole = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let content = self.keys.seal.open_in_place(nonce, Aad::from(owner.as_bytes()), sealed).ok()?;
        let (backend, rest) = take_name(content)?;
        let (model, rest) = take_name(rest)?;
        Some(StoredAt { backend, model, id: String::from_utf8(rest.to_vec()).ok()? })
    }

    /// Two contents have the same nonce only where 96 bits of their hashes are the same, as with random nonces.
    fn nonce_of(&self, owner: &str, content: &[u8]) -> [u8; NONCE_LEN] {
        let mut mac = hmac::Context::with_key(&self.keys.nonce);
        mac.update(&(owner.len() as u64).to_le_bytes());
        mac.update(owner.as_bytes());
        mac.update(content);
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&mac.sign().as_ref()[..NONCE_LEN]);
        nonce
    }
}

fn take_name(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((String::from_utf8(name.to_vec()).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids() -> ResponseIds {
        ResponseIds::new(b"secret").unwrap()
    }

    fn at(id: &str) -> StoredAt {
        StoredAt { backend: "openai".into(), model: "gpt-4o".into(), id: id.into() }
    }

    #[test]
    fn an_id_leads_its_owner_and_nobody_else_to_the_answer() {
        let ids = ids();
        let shown = ids.seal("checkout", &at("resp_1")).unwrap();
        assert_eq!(ids.open("checkout", &shown), Some(at("resp_1")));
        assert_eq!(
            ids.seal("checkout", &at("resp_1")),
            Some(shown.clone()),
            "the same answer has the same id"
        );
        assert_eq!(ids.open("search", &shown), None);
        assert_eq!(ResponseIds::new(b"other").unwrap().open("checkout", &shown), None);
    }

    #[test]
    fn a_providers_id_cannot_be_read_out_of_a_sealed_one() {
        let shown = ids().seal("checkout", &at("resp_abcdef0123456789")).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(shown.strip_prefix(PREFIX).unwrap()).unwrap();
        for part in ["resp_", "abcdef", "openai", "gpt-4o", "checkout"] {
            assert_eq!(memchr::memmem::find(&bytes, part.as_bytes()), None, "{part}");
        }
    }

    #[test]
    fn what_was_never_sealed_leads_nowhere() {
        let long = format!("{PREFIX}{}", "A".repeat(1 << 20));
        for id in ["resp_1", "resp_tg1AAAA", "resp_tg2", "resp_tg2!!", "resp_tg2AAAAAAAAAAAAAAAA", "", &long]
        {
            assert_eq!(ids().open("checkout", id), None, "{}", &id[..id.len().min(40)]);
        }
    }

    #[test]
    fn the_longest_names_fit_and_longer_ids_are_not_sealed() {
        let (backend, model) = ("b".repeat(300), "m".repeat(300));
        let longest = StoredAt { backend, model, id: "i".repeat(MAX_PROVIDER_ID_BYTES) };
        let found = ids().open("o", &ids().seal("o", &longest).unwrap()).unwrap();
        assert_eq!(
            (found.backend.len(), found.model.len(), found.id.len()),
            (255, 255, MAX_PROVIDER_ID_BYTES)
        );
        assert_eq!(ids().seal("o", &StoredAt { id: "i".repeat(MAX_PROVIDER_ID_BYTES + 1), ..longest }), None);
    }

    proptest! {
        #[test]
        fn a_sealed_id_opens_for_its_owner_alone(
            owner in ".{0,40}", other in ".{0,40}", backend in ".{0,80}", model in ".{0,80}", id in ".{0,100}",
        ) {
            let at = StoredAt { backend, model, id };
            let shown = ids().seal(&owner, &at).unwrap();
            prop_assert_eq!(ids().open(&owner, &shown), Some(at));
            if owner != other {
                prop_assert_eq!(ids().open(&other, &shown), None);
            }
        }

        #[test]
        fn no_id_opens_after_any_bit_of_it_was_turned(id in "resp_[a-f0-9]{1,48}", at_bit in 0_usize..4_096) {
            let shown = ids().seal("checkout", &at(&id)).unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(shown.strip_prefix(PREFIX).unwrap()).unwrap();
            let bit = at_bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let altered = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
            prop_assert_eq!(ids().open("checkout", &altered), None);

            let mut text = shown.into_bytes();
            let bit = at_bit % (text.len() * 8);
            text[bit / 8] ^= 1 << (bit % 8);
            if let Ok(text) = String::from_utf8(text) {
                prop_assert_eq!(ids().open("checkout", &text), None);
            }
        }

        #[test]
        fn nothing_that_a_client_makes_up_opens(owner in ".{0,20}", text in "(resp_tg2)?[A-Za-z0-9_-]{0,300}|.{0,200}") {
            prop_assert_eq!(ids().open(&owner, &text), None);
        }
    }
}
