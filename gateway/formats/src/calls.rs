//! Calls of tools, as formats want them that are stricter about arguments and ids than OpenAI's.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use tollgate_base::hash::fnv1a;
use tollgate_families::IdForm;

use crate::exchange::Text;

/// JSON text of a tool's arguments, written as an object. Arguments that are no JSON object (a model can be cut
/// off in the midst of them) are kept as a text under `arguments`.
#[derive(Debug)]
pub(crate) struct Arguments<'a>(pub(crate) &'a str);

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.trim_ascii();
        if text.is_empty() {
            return serializer.serialize_map(Some(0))?.end();
        }
        if let Some(object) = object(text) {
            return object.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("arguments", self.0)?;
        map.end()
    }
}

/// A text that is a JSON object.
pub(crate) fn object(text: &str) -> Option<&RawValue> {
    if !text.trim_ascii_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// Longest id of a call that is written unchanged, bytes.
const MAX_ID_BYTES: usize = 64;

/// Writes the id of a call in letters that every provider takes: `[a-zA-Z0-9_-]`, at most 64. Other ids are
/// changed the same way wherever they stand, and two that differ stay different.
#[derive(Debug)]
pub(crate) struct CallId<'a>(pub(crate) &'a str);

impl Serialize for CallId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_plain = |letter: &u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-');
        if !self.0.is_empty() && self.0.len() <= MAX_ID_BYTES && self.0.as_bytes().iter().all(is_plain) {
            return serializer.serialize_str(self.0);
        }
        let kept: String = self
            .0
            .bytes()
            .take(40)
            .map(|byte| if is_plain(&byte) { char::from(byte) } else { '_' })
            .collect();
        serializer.collect_str(&format_args!("{kept}_{:016x}", fingerprint(&[self.0])))
    }
}

/// The id of a call as a model takes it: unchanged where it fits, else changed the same way wherever it stands, so that
/// a result still names its call. Two that differ stay different.
pub(crate) fn fitted_id(id: &str, form: IdForm) -> Text<'_> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if form.takes(id) {
        return Cow::Borrowed(id);
    }
    let mut hash = fingerprint(&[id]);
    if form != IdForm::Nine {
        let is_plain = |letter: &u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-');
        let kept: String =
            id.bytes().take(40).map(|byte| if is_plain(&byte) { char::from(byte) } else { '_' }).collect();
        return Cow::Owned(format!("{kept}_{hash:016x}"));
    }
    let nine = std::iter::repeat_with(|| {
        let letter = LETTERS[(hash % 62) as usize];
        hash /= 62;
        char::from(letter)
    });
    Cow::Owned(nine.take(9).collect())
}

/// FNV-1a, 64 bit, of texts one after the other: the same in every process and release.
pub(crate) fn fingerprint(texts: &[&str]) -> u64 {
    // 0xff is a separator that no UTF-8 text holds.
    fnv1a(texts.iter().flat_map(|text| text.bytes().chain([0xff])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn arguments_become_an_object_whatever_the_model_wrote() {
        assert_eq!(json(&Arguments("")), "{}");
        assert_eq!(json(&Arguments(r#" {"a": [1]} "#)), r#"{"a": [1]}"#);
        assert_eq!(json(&Arguments(r#"{"a": [1"#)), r#"{"arguments":"{\"a\": [1"}"#);
        assert_eq!(json(&Arguments("3")), r#"{"arguments":"3"}"#);
    }

    #[test]
    fn an_id_takes_the_form_that_a_model_wants() {
        let nine = fitted_id("toolu_01A09q90qw90lq917835lq9", IdForm::Nine);
        assert!(IdForm::Nine.takes(&nine), "{nine}");
        assert_eq!(nine, fitted_id("toolu_01A09q90qw90lq917835lq9", IdForm::Nine));
        assert_ne!(nine, fitted_id("toolu_02", IdForm::Nine));
        assert_eq!(fitted_id("aB3456789", IdForm::Nine), "aB3456789");
        let long = "x".repeat(65);
        assert!(IdForm::UpTo64.takes(&fitted_id(&long, IdForm::UpTo64)));
        assert_eq!(fitted_id(&long, IdForm::Free), long);
    }

    #[test]
    fn ids_of_other_providers_are_changed_alike_and_stay_apart() {
        assert_eq!(json(&CallId("call_A-1")), r#""call_A-1""#);
        let changed = json(&CallId("fc:1"));
        assert!(changed.starts_with(r#""fc_1_"#), "{changed}");
        assert_eq!(changed, json(&CallId("fc:1")));
        assert_ne!(changed, json(&CallId("fc.1")));
        assert_ne!(json(&CallId("")), r#""""#);
        assert!(json(&CallId(&"x".repeat(1_000))).len() <= MAX_ID_BYTES + 2);
    }

    #[test]
    fn fingerprints_see_where_a_text_ends() {
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
    }
}
