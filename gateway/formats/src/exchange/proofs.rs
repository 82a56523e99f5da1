//! Proofs of thoughts on their way through a client: each goes back to the one that made it, and to nobody else.
//!
//! A provider signs or encrypts what its model thought and refuses every proof that is not its own, or of another
//! of its models or accounts. Conversations move between backends (failover, variants, another alias), so what a
//! client is shown is marked with its origin: `tg1.<origin>.<proof>`. An origin is a short name of backend and model.
//! A proof without a mark came past the gateway's translation, or from elsewhere.

use std::borrow::Cow;

use super::content::Part;
use super::request::Request;
use super::stream::{Delta, PartStart, StreamEvent};
use super::{Answer, Text};

/// Begins every marked proof.
pub const MARK: &str = "tg1.";
/// How unmarked proofs begin that no Claude made: Gemini's of earlier releases, and what OpenAI seals (Fernet tokens),
/// which comes from clients whose bytes passed.
const OF_OTHERS: [&str; 2] = ["gemini#", "gAAAA"];

/// Which proofs a target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts<'a> {
    /// Name of the target in marks; letters and digits.
    pub origin: &'a str,
    /// Whether proofs without a mark may be its own.
    pub unmarked: bool,
}

impl Accepts<'_> {
    /// A proof as the target made it; `None` if somebody else did.
    pub(crate) fn own<'a>(self, proof: Text<'a>) -> Option<Text<'a>> {
        if proof.is_empty() {
            return None;
        }
        let Some(marked) = proof.strip_prefix(MARK) else {
            // The mark of earlier releases, for proofs of Gemini.
            let is_anothers = OF_OTHERS.iter().any(|start| proof.starts_with(start));
            return Some(proof).filter(|_| self.unmarked && !is_anothers);
        };
        let (origin, bare) = marked.split_once('.')?;
        if origin != self.origin || bare.is_empty() {
            return None;
        }
        let start = proof.len() - bare.len();
        Some(match proof {
            Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
            Cow::Owned(text) => Cow::Owned(text[start..].to_owned()),
        })
    }
}

/// Leaves of all proofs in a request those that the target made. Thoughts without a proof stay: a format says
/// whether it has a place for them.
pub fn keep_own(request: &mut Request<'_>, accepts: Accepts<'_>) {
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Part::Reasoning { signature, redacted, .. } = part {
            *signature = signature.take().and_then(|proof| accepts.own(proof));
            *redacted = redacted.take().and_then(|proof| accepts.own(proof));
        }
    }
    let is_empty = |part: &Part<'_>| matches!(part, Part::Reasoning { text, signature: None, redacted: None } if text.is_empty());
    for turn in &mut request.turns {
        turn.parts.retain(|part| !is_empty(part));
    }
    request.turns.retain(|turn| !turn.parts.is_empty());
}

fn marked(origin: &str, proof: &str) -> Text<'static> {
    Cow::Owned(format!("{MARK}{origin}.{proof}"))
}

/// Marks all proofs of an answer.
pub fn mark_answer(answer: &mut Answer<'_>, origin: &str) {
    for part in &mut answer.parts {
        if let Part::Reasoning { signature, redacted, .. } = part {
            for proof in [signature, redacted].into_iter().flatten() {
                *proof = marked(origin, proof);
            }
        }
    }
}

/// Marks the proof of an event; `None` if it has none.
#[must_use]
pub fn mark_event(event: &StreamEvent<'_>, origin: &str) -> Option<StreamEvent<'static>> {
    Some(match event {
        StreamEvent::PartStart { index, part: PartStart::RedactedReasoning(data) } => {
            let part = PartStart::RedactedReasoning(marked(origin, data));
            StreamEvent::PartStart { index: *index, part }
        }
        StreamEvent::Delta { index, delta: Delta::Signature(proof) } if !proof.is_empty() => {
            StreamEvent::Delta { index: *index, delta: Delta::Signature(marked(origin, proof)) }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Turn, TurnRole};

    fn kept(signature: &str, accepts: Accepts<'_>) -> Option<String> {
        let thought = Part::Reasoning {
            text: "hm".into(),
            signature: Some(signature.to_owned().into()),
            redacted: None,
        };
        let turn = Turn { role: TurnRole::Assistant, name: None, parts: vec![thought] };
        let mut request = Request { turns: vec![turn], ..Request::default() };
        keep_own(&mut request, accepts);
        match request.turns.pop()?.parts.pop()? {
            Part::Reasoning { signature, .. } => signature.map(Text::into_owned),
            _ => None,
        }
    }

    #[test]
    fn a_proof_goes_back_to_its_origin_alone() {
        let own = Accepts { origin: "a1", unmarked: false };
        let StreamEvent::Delta { delta: Delta::Signature(shown), .. } =
            mark_event(&StreamEvent::Delta { index: 0, delta: Delta::Signature("c2ln".into()) }, "a1")
                .unwrap()
        else {
            panic!("no proof");
        };
        assert_eq!(shown, "tg1.a1.c2ln");
        assert_eq!(kept(&shown, own).as_deref(), Some("c2ln"));
        assert_eq!(kept(&shown, Accepts { origin: "b2", unmarked: true }), None);
        assert_eq!(kept("tg1.a1", own), None);
    }

    #[test]
    fn a_proof_without_a_mark_is_for_those_who_take_such() {
        assert_eq!(kept("c2ln", Accepts { origin: "a1", unmarked: true }).as_deref(), Some("c2ln"));
        assert_eq!(kept("c2ln", Accepts { origin: "a1", unmarked: false }), None);
        for nobodys in ["", "gemini#c2ln", "gAAAAAc2ln"] {
            assert_eq!(kept(nobodys, Accepts { origin: "a1", unmarked: true }), None, "{nobodys}");
        }
    }

    #[test]
    fn a_turn_of_foreign_proofs_alone_goes_altogether() {
        let thought = Part::Reasoning { text: "".into(), signature: None, redacted: Some("tg1.x.AA".into()) };
        let turn = Turn { role: TurnRole::Assistant, name: None, parts: vec![thought] };
        let mut request = Request { turns: vec![turn], ..Request::default() };
        keep_own(&mut request, Accepts { origin: "y", unmarked: true });
        assert!(request.turns.is_empty());
    }
}
