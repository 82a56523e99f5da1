//! Proofs of thoughts in `thoughtSignature`.
//!
//! SDKs read the field as base64, keep bytes and write them in base64 again, possibly of the other alphabet. So a
//! proof of another provider is shown as base64 of its text behind a mark, and known again by that mark. Proofs that
//! Google gave stay as they are: they go back to Google's models alone.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use bytes::Bytes;
use memchr::memmem;

use crate::exchange::proofs::MARK;
use crate::exchange::{Part, Text};
use crate::view;

/// Stands before thoughts that only their provider can read, in the place of a proof.
const REDACTED: &str = "tgr.";
/// What [`MARK`] and [`REDACTED`] are in base64, whatever follows.
const MARKS_BASE64: [&[u8]; 2] = [b"dGcxL", b"dGdyL"];
/// Stands before proofs of Google that a client brings to somebody else.
const GOOGLE_S: &str = "gemini#";
/// Google's word for a call whose proof comes from elsewhere (from Gemini 3 on).
const NO_PROOF: &str = r#""skip_thought_signature_validator""#;

/// A proof as a client sees it: a marked one in base64.
pub(super) fn shown(signature: &str) -> Cow<'_, str> {
    match signature.starts_with(MARK) {
        true => Cow::Owned(BASE64_STANDARD.encode(signature)),
        false => Cow::Borrowed(signature),
    }
}

/// Thoughts that only their provider can read, in the place of a proof.
pub(super) fn shown_redacted(redacted: &str) -> String {
    BASE64_STANDARD.encode(format!("{REDACTED}{redacted}"))
}

/// Thoughts without a text whose proof a client brings back. Proofs without a mark are Google's own: nobody else
/// takes them.
pub(super) fn read(shown: &str, text: Text<'static>) -> Part<'static> {
    let told = marked(shown);
    if let Some(redacted) = told.as_deref().and_then(|told| told.strip_prefix(REDACTED)) {
        return Part::Reasoning { text, signature: None, redacted: Some(Cow::Owned(redacted.to_owned())) };
    }
    let signature = told.unwrap_or_else(|| format!("{GOOGLE_S}{shown}"));
    Part::Reasoning { text, signature: Some(Cow::Owned(signature)), redacted: None }
}

/// What a marked proof says; `None` without a mark.
fn marked(shown: &str) -> Option<String> {
    if !MARKS_BASE64.iter().any(|mark| shown.as_bytes().starts_with(mark)) {
        return None;
    }
    let bytes = BASE64_STANDARD_NO_PAD.decode(plain_alphabet(shown).trim_end_matches('=')).ok()?;
    String::from_utf8(bytes).ok().filter(|text| text.starts_with(MARK) || text.starts_with(REDACTED))
}

/// Base64 in the alphabet that every provider takes (RFC 4648 §4); Google's SDKs write the one for addresses (§5).
pub(super) fn plain_alphabet(base64: &str) -> Cow<'_, str> {
    if !base64.contains(['-', '_']) {
        return Cow::Borrowed(base64);
    }
    let mut plain: String = base64
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    while !plain.len().is_multiple_of(4) {
        plain.push('=');
    }
    Cow::Owned(plain)
}

/// A body for `model` of Google itself, which refuses proofs that it did not give.
#[must_use]
pub fn without_foreign(body: &Bytes, model: &str) -> Bytes {
    // Before Gemini 3 no proof is needed, and the word that stands in for one is not known.
    let is_old = ["gemini-1", "gemini-2"].iter().any(|old| model.contains(old));
    let instead = if is_old { "null" } else { NO_PROOF };
    let marks = MARKS_BASE64.into_iter().flat_map(|mark| memmem::find_iter(body, mark));
    let found = marks.filter_map(|at| value_of_signature(body, at));
    view::spliced(body, found.map(|at| (at, Cow::Borrowed(instead))))
}

/// Where the whole text stands whose content begins at `at`, if it is the value of a signature.
fn value_of_signature(body: &[u8], at: usize) -> Option<Range<usize>> {
    let before = body.get(..at)?.strip_suffix(b"\"")?;
    let name = before.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let is_signature =
        [&b"\"thoughtSignature\""[..], b"\"thought_signature\""].iter().any(|n| name.ends_with(n));
    let end = memchr::memchr(b'"', body.get(at..)?)?;
    is_signature.then_some(before.len()..at + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(shown: &str) -> (Option<String>, Option<String>) {
        match read(shown, Cow::Borrowed("")) {
            Part::Reasoning { signature, redacted, .. } => {
                (signature.map(Cow::into_owned), redacted.map(Cow::into_owned))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn proofs_survive_clients_that_hold_them_as_bytes() {
        for proof in ["tg1.a1.EqQB+/==", "tg1.abc.x", "tg1.b.ü~~~???>>>"] {
            let standard = shown(proof).into_owned();
            let bytes = BASE64_STANDARD.decode(&standard).unwrap();
            let for_addresses = base64::prelude::BASE64_URL_SAFE.encode(&bytes);
            let unpadded = for_addresses.trim_end_matches('=').to_owned();
            for text in [standard, for_addresses, unpadded] {
                assert_eq!(again(&text), (Some(proof.to_owned()), None), "{text}");
            }
        }
        assert_eq!(again(&shown_redacted("tg1.a1.x")), (None, Some("tg1.a1.x".to_owned())));
    }

    #[test]
    fn proofs_of_google_stay_as_they_are() {
        assert_eq!(shown("c2ln"), "c2ln");
        assert_eq!(again("c2ln"), (Some("gemini#c2ln".to_owned()), None));
    }

    #[test]
    fn google_s_models_are_not_shown_the_proofs_of_others() {
        let foreign = shown("tg1.a1.abc");
        let body = Bytes::from(format!(
            r#"{{"contents":[{{"parts":[{{"text":"\"thoughtSignature\":\"{foreign}\""}},
            {{"thoughtSignature" : "{foreign}","functionCall":{{"name":"{foreign}"}}}},
            {{"text":"b","thought_signature":"c2ln"}}]}}]}}"#
        ));
        let text = |model| String::from_utf8(without_foreign(&body, model).to_vec()).unwrap();
        let expected = |instead: &str| {
            let body = String::from_utf8(body.to_vec()).unwrap();
            body.replace(
                &format!(r#""thoughtSignature" : "{foreign}""#),
                &format!(r#""thoughtSignature" : {instead}"#),
            )
        };
        assert_eq!(text("gemini-3-pro"), expected(NO_PROOF));
        assert_eq!(text("models/gemini-2.5-flash"), expected("null"));
        let own = Bytes::from_static(br#"{"contents":[]}"#);
        assert_eq!(without_foreign(&own, "gemini-3-pro").as_ptr(), own.as_ptr());
    }
}
