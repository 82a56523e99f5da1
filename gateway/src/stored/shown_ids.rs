//! The ids of an answer as its owner sees them, in place of the provider's.

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use tollgate_formats::openai_responses::ids::{self, IdField};
use tollgate_formats::sse::{Action, Event, Splitter};

use super::response_ids::{ResponseIds, StoredAt};

/// Replaces ids in one answer, whole or streamed. Ids are made of what the provider says in the fields that name
/// answers, never of texts.
#[derive(Debug)]
pub struct ShownIds {
    ids: ResponseIds,
    owner: String,
    backend: String,
    model: String,
    /// An answer that is there already: its id at the provider, and the id that its owner asked for.
    asked: Option<(String, String)>,
}

impl ShownIds {
    /// For a new answer of a target to one owner.
    #[must_use]
    pub fn of_new(ids: ResponseIds, owner: &str, backend: &str, model: &str) -> Self {
        let (owner, backend, model) = (owner.to_owned(), backend.to_owned(), model.to_owned());
        Self { ids, owner, backend, model, asked: None }
    }

    /// For what a provider says about an answer that its owner asked for: the id that the owner knows stands in place
    /// of the provider's, and no other id of an answer is made but the one of what it continues.
    #[must_use]
    pub fn of_stored(ids: ResponseIds, owner: &str, at: &StoredAt, asked: &str) -> Self {
        let asked = Some((at.id.clone(), asked.to_owned()));
        Self { asked, ..Self::of_new(ids, owner, &at.backend, &at.model) }
    }

    /// A whole answer with the ids that its owner sees.
    #[must_use]
    pub fn in_answer(&self, body: Bytes) -> Bytes {
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let changed = ids::replace_in_answer(text, |field, id| self.shown(field, id));
        changed.map_or(body, Bytes::from)
    }

    /// The data of one event with the ids that its owner sees; `None` if nothing changes.
    #[must_use]
    pub fn in_event(&self, data: &str) -> Option<String> {
        ids::replace_in_event(data, |field, id| self.shown(field, id))
    }

    /// A stream that was told at once, with the ids that its owner sees.
    #[must_use]
    pub fn in_stream(&self, body: Bytes) -> Bytes {
        let whole = body.clone();
        let event = |event: Event<'_>| self.in_event(event.data).map_or(Action::Keep, Action::Replace);
        Splitter::new(body.len()).push(body, event).unwrap_or(whole)
    }

    fn shown(&self, field: IdField, id: &str) -> Option<String> {
        match (field, &self.asked) {
            (IdField::Own | IdField::Other, Some((known, asked))) => (id == known).then(|| asked.clone()),
            (IdField::Own, None) => self.sealed(id),
            (IdField::Other, None) => None,
            // The request named it, so it was opened for this owner: sealing brings the same id again.
            (IdField::Previous, _) => self.sealed(id),
        }
    }

    fn sealed(&self, id: &str) -> Option<String> {
        let at = StoredAt { backend: self.backend.clone(), model: self.model.clone(), id: id.to_owned() };
        self.ids.seal(&self.owner, &at)
    }
}

/// What a provider says about a kept answer in words, with the id that its owner knows in place of the provider's.
#[must_use]
pub fn in_words(body: Bytes, provider_id: &str, asked: &str) -> Bytes {
    let continues = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'-';
    let mut out = BytesMut::new();
    let mut copied = 0;
    for at in memmem::find_iter(&body, provider_id) {
        let end = at + provider_id.len();
        // A longer id that begins with this one is another.
        if provider_id.is_empty() || body.get(end).is_some_and(continues) {
            continue;
        }
        out.extend_from_slice(&body[copied..at]);
        out.extend_from_slice(asked.as_bytes());
        copied = end;
    }
    if copied == 0 {
        return body;
    }
    out.extend_from_slice(&body[copied..]);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(id: &str) -> StoredAt {
        StoredAt { backend: "openai".into(), model: "gpt".into(), id: id.into() }
    }

    fn ids() -> ResponseIds {
        ResponseIds::new(b"secret").unwrap()
    }

    fn sealed(owner: &str, id: &str) -> String {
        ids().seal(owner, &at(id)).unwrap()
    }

    fn of_new(owner: &str) -> ShownIds {
        ShownIds::of_new(ids(), owner, "openai", "gpt")
    }

    #[test]
    fn a_continued_answer_shows_the_id_that_the_client_sent() {
        let body = r#"{"id":"resp_b","object":"response","previous_response_id":"resp_a"}"#;
        let (a, b) = (sealed("checkout", "resp_a"), sealed("checkout", "resp_b"));
        let expected = format!(r#"{{"id":"{b}","object":"response","previous_response_id":"{a}"}}"#);
        assert_eq!(of_new("checkout").in_answer(Bytes::from_static(body.as_bytes())), expected);
    }

    /// Whatever an owner has a provider store and say: no id in it opens an answer that is not the owner's.
    #[test]
    fn no_text_of_an_answer_becomes_an_id() {
        let victims = "resp_victim";
        let asked = sealed("attacker", "resp_own");
        let stored = ShownIds::of_stored(ids(), "attacker", &at("resp_own"), &asked);
        let bodies = [
            format!(
                r#"{{"object":"list","data":[{{"id":"msg_1","type":"message","content":[{{"type":"input_text","text":"{victims}"}}]}}],"first_id":"msg_1"}}"#
            ),
            format!(
                r#"{{"id":"resp_own","object":"response","output":[{{"content":[{{"text":"{victims}"}}]}}],"metadata":{{"id":"{victims}"}}}}"#
            ),
            format!(r#"{{"id":"{victims}","object":"response"}}"#),
            format!(r#"{{"id":"{victims}","object":"response.deleted"}}"#),
            format!("\"{victims}\""),
        ];
        for body in bodies {
            for shown in [&stored, &of_new("attacker")] {
                let may_seal =
                    shown.asked.is_none() && body.starts_with(r#"{"id":"resp_victim","object":"response"}"#);
                let seen = String::from_utf8(shown.in_answer(body.clone().into()).to_vec()).unwrap();
                let made = seen.split('"').filter_map(|text| ids().open("attacker", text));
                // A new answer that the provider itself calls by this id is the attacker's own.
                let foreign = made.filter(|at| at.id == victims && !may_seal).count();
                assert_eq!(foreign, 0, "{seen}");
            }
        }
    }

    #[test]
    fn an_answer_that_is_asked_for_again_keeps_the_id_it_was_asked_by() {
        let asked = sealed("checkout", "resp_a");
        let stored = ShownIds::of_stored(ids(), "checkout", &at("resp_a"), &asked);
        for object in ["response", "response.deleted"] {
            let body = format!(r#"{{"id":"resp_a","object":"{object}"}}"#);
            let expected = format!(r#"{{"id":"{asked}","object":"{object}"}}"#);
            assert_eq!(stored.in_answer(body.into()), expected);
        }
    }

    #[test]
    fn an_error_names_the_answer_as_its_owner_does() {
        let said = Bytes::from_static(br#"{"error":{"message":"'resp_a' is not resp_ab: resp_a."}}"#);
        assert_eq!(
            in_words(said.clone(), "resp_a", "resp_tg2X"),
            r#"{"error":{"message":"'resp_tg2X' is not resp_ab: resp_tg2X."}}"#
        );
        for other in ["resp_b", ""] {
            assert_eq!(in_words(said.clone(), other, "resp_tg2X").as_ptr(), said.as_ptr());
        }
    }

    #[test]
    fn bytes_without_an_id_are_not_copied() {
        for body in [&br#"{"object":"list","data":[]}"#[..], b"\xff\xfe", b"not JSON"] {
            let body = Bytes::from_static(body);
            assert_eq!(of_new("checkout").in_answer(body.clone()).as_ptr(), body.as_ptr());
        }
    }
}
