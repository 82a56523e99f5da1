//! Ids of stored answers (Responses API), as clients see them: they say which target holds the answer and who
//! owns it, so that any replica finds the one and checks the other without a store.
//!
//! ```text
//! resp_tg1<base64url: tag 16 bytes | length u8, backend | length u8, model | provider's id>
//! ```
//! The tag is an HMAC over the owner and the rest: an id that is altered, or used by another subscription,
//! is not found. Clients treat ids as opaque (OpenAI API reference, "Responses").

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use ring::hmac;
use subtle::ConstantTimeEq as _;

/// What every wrapped id begins with.
const PREFIX: &str = "resp_tg1";
/// Bytes of the tag.
const TAG_BYTES: usize = 16;
/// Longest id that is looked at, bytes.
const MAX_ID_BYTES: usize = 1_024;

/// Binds answers to their owners; replicas that share the secret understand each other's ids.
#[derive(Clone)]
pub struct ResponseIds {
    key: hmac::Key,
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
    pub id: String,
}

impl ResponseIds {
    /// With this secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { key }
    }

    /// The id that the owner sees.
    #[must_use]
    pub fn wrap(&self, owner: &str, at: &StoredAt) -> String {
        let mut payload = Vec::with_capacity(64 + at.id.len());
        for name in [&at.backend, &at.model] {
            let cut = name.floor_char_boundary(usize::from(u8::MAX));
            payload.push(cut as u8);
            payload.extend_from_slice(&name.as_bytes()[..cut]);
        }
        payload.extend_from_slice(at.id.as_bytes());
        let mut whole = self.tag(owner, &payload).to_vec();
        whole.extend_from_slice(&payload);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(whole))
    }

    /// Where the answer is; `None` if the id is not one of the owner's.
    #[must_use]
    pub fn unwrap(&self, owner: &str, id: &str) -> Option<StoredAt> {
        let text = id.strip_prefix(PREFIX).filter(|_| id.len() <= MAX_ID_BYTES)?;
        let whole = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, payload) = whole.split_at_checked(TAG_BYTES)?;
        let good: bool = self.tag(owner, payload).ct_eq(tag).into();
        if !good {
            return None;
        }
        let (backend, rest) = take_name(payload)?;
        let (model, rest) = take_name(rest)?;
        Some(StoredAt { backend, model, id: String::from_utf8(rest.to_vec()).ok()? })
    }

    fn tag(&self, owner: &str, payload: &[u8]) -> [u8; TAG_BYTES] {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(&(owner.len() as u64).to_le_bytes());
        mac.update(owner.as_bytes());
        mac.update(payload);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&mac.sign().as_ref()[..TAG_BYTES]);
        tag
    }
}

fn take_name(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((String::from_utf8(name.to_vec()).ok()?, rest))
}

/// Replaces the provider's id in the bytes of one answer, whole or streamed.
#[derive(Debug)]
pub struct IdRewriter {
    ids: ResponseIds,
    owner: String,
    backend: String,
    model: String,
    /// Once an id has been seen.
    known: Option<KnownId>,
}

impl IdRewriter {
    /// For an answer that its owner asks for again: the id that it knows stands in place of the provider's, and no
    /// other id is made.
    #[must_use]
    pub fn of_stored(provider_id: &str, client_id: &str) -> KnownId {
        KnownId::new(provider_id, client_id)
    }

    /// For one answer of a target to one owner.
    #[must_use]
    pub fn new(ids: ResponseIds, owner: &str, backend: &str, model: &str) -> Self {
        let (owner, backend, model) = (owner.to_owned(), backend.to_owned(), model.to_owned());
        Self { ids, owner, backend, model, known: None }
    }

    /// The bytes with the id that the owner sees. Only whole events or bodies may be handed in.
    #[must_use]
    pub fn rewrite(&mut self, bytes: Bytes) -> Bytes {
        if self.known.is_none() {
            self.known = first_id(&bytes).map(|id| {
                let at =
                    StoredAt { backend: self.backend.clone(), model: self.model.clone(), id: id.to_owned() };
                let shown = self.ids.wrap(&self.owner, &at);
                KnownId::new(id, &shown)
            });
        }
        match &self.known {
            Some(known) => known.rewrite(bytes),
            None => bytes,
        }
    }
}

/// A provider's id and what its owner sees in its place, both in quotes.
#[derive(Debug)]
pub struct KnownId {
    from: Box<[u8]>,
    to: Box<[u8]>,
}

impl KnownId {
    fn new(provider_id: &str, client_id: &str) -> Self {
        let quoted = |id: &str| format!("\"{id}\"").into_bytes().into();
        Self { from: quoted(provider_id), to: quoted(client_id) }
    }

    /// The bytes with the id that the owner sees.
    #[must_use]
    pub fn rewrite(&self, bytes: Bytes) -> Bytes {
        let Self { from, to } = self;
        let mut places = memmem::find_iter(&bytes, from).peekable();
        if places.peek().is_none() {
            return bytes;
        }
        let mut out = BytesMut::with_capacity(bytes.len() + 4 * to.len());
        let mut copied = 0;
        for place in places {
            out.extend_from_slice(&bytes[copied..place]);
            out.extend_from_slice(to);
            copied = place + from.len();
        }
        out.extend_from_slice(&bytes[copied..]);
        out.freeze()
    }
}

/// The provider's id: the first text that looks like one.
fn first_id(bytes: &[u8]) -> Option<&str> {
    let start = memmem::find(bytes, b"\"resp_")? + 1;
    let length = memchr::memchr(b'"', &bytes[start..])?;
    std::str::from_utf8(&bytes[start..start + length]).ok().filter(|id| id.len() <= MAX_ID_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(id: &str) -> StoredAt {
        StoredAt { backend: "openai".into(), model: "gpt-4o".into(), id: id.into() }
    }

    #[test]
    fn an_id_leads_its_owner_and_nobody_else_to_the_answer() {
        let ids = ResponseIds::new(b"secret");
        let shown = ids.wrap("checkout", &at("resp_1"));
        assert_eq!(ids.unwrap("checkout", &shown), Some(at("resp_1")));
        assert_eq!(ids.unwrap("search", &shown), None);
        assert_eq!(ResponseIds::new(b"other").unwrap("checkout", &shown), None);
    }

    #[test]
    fn an_altered_or_foreign_id_leads_nowhere() {
        let ids = ResponseIds::new(b"secret");
        let mut shown = ids.wrap("checkout", &at("resp_1"));
        let last = shown.pop().unwrap();
        shown.push(if last == 'A' { 'B' } else { 'A' });
        for id in [shown.as_str(), "resp_1", "resp_tg1", "resp_tg1!!", ""] {
            assert_eq!(ids.unwrap("checkout", id), None, "{id}");
        }
    }

    #[test]
    fn every_mention_of_the_id_is_replaced_and_nothing_else() {
        let ids = ResponseIds::new(b"secret");
        let mut rewriter = IdRewriter::new(ids.clone(), "checkout", "openai", "gpt-4o");
        let shown = ids.wrap("checkout", &at("resp_ab"));
        let first = rewriter.rewrite(Bytes::from_static(br#"{"response":{"id":"resp_ab","x":"resp_abc"}}"#));
        assert_eq!(first, format!(r#"{{"response":{{"id":"{shown}","x":"resp_abc"}}}}"#));
        let plain = Bytes::from_static(b"{\"delta\":\"hi\"}");
        assert_eq!(rewriter.rewrite(plain.clone()).as_ptr(), plain.as_ptr());
        assert_eq!(rewriter.rewrite(Bytes::from_static(b"\"resp_ab\"")), format!("\"{shown}\""));
    }

    #[test]
    fn long_names_do_not_break_an_id() {
        let ids = ResponseIds::new(b"secret");
        let long = StoredAt { backend: "b".repeat(300), ..at("resp_1") };
        let found = ids.unwrap("o", &ids.wrap("o", &long)).unwrap();
        assert_eq!((found.backend.len(), found.id.as_str()), (255, "resp_1"));
    }
}
