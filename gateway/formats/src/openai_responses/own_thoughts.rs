//! Thoughts of other models in a request whose bytes pass: they are cut out, everything else stays byte for byte.
//!
//! Clients give back what a translated answer said. The provider refuses thoughts that it did not seal, and items
//! whose ids it does not know.

use bytes::Bytes;
use memchr::memmem;
use serde_json::value::RawValue;

use crate::cuts::{cut_elements, without};
use crate::exchange::proofs::MARK;
use crate::json::Str;

#[derive(serde::Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    input: Vec<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    encrypted_content: Option<Str<'a>>,
}

impl Item<'_> {
    /// Marked by the gateway, or without a seal and with an id of the gateway's making: the answer's and a number.
    fn is_foreign_thought(&self) -> bool {
        if self.kind.as_deref() != Some("reasoning") {
            return false;
        }
        match self.encrypted_content.as_deref() {
            Some(sealed) if !sealed.is_empty() => sealed.starts_with(MARK),
            _ => self.id.as_deref().is_some_and(is_numbered),
        }
    }
}

fn is_numbered(id: &str) -> bool {
    let number = id.strip_prefix("rs_").and_then(|id| id.rsplit_once('_'));
    number.is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A body without thoughts of other models. It is returned as it is when there are none, and when it cannot be read:
/// then the provider says what is wrong with it.
#[must_use]
pub fn own_thoughts(body: Bytes) -> Bytes {
    if memmem::find(&body, br#""reasoning""#).is_none() {
        return body;
    }
    let Ok(read) = serde_json::from_slice::<Body<'_>>(&body) else { return body };
    let is_foreign = |item: &&RawValue| {
        serde_json::from_str::<Item<'_>>(item.get()).is_ok_and(|item| item.is_foreign_thought())
    };
    let stays: Vec<bool> = read.input.iter().map(|item| !is_foreign(item)).collect();
    if !stays.contains(&false) {
        return body;
    }
    let cuts = cut_elements(&body, &read.input, &stays);
    without(&body, &cuts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_of_others_are_cut_out_and_the_rest_stays_byte_for_byte() {
        let body = |items: &str| format!(r#"{{ "input" : [ {items} ],"reasoning":{{}},"top":1e2 }}"#);
        let cleaned = |text: &str| {
            String::from_utf8(own_thoughts(Bytes::copy_from_slice(text.as_bytes())).to_vec()).unwrap()
        };
        let said = r#"{"role": "user","content":"\u00e9 tg1."}"#;
        for foreign in [
            r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"tg1.other.c2ln"}"#,
            r#"{"type":"reasoning","id":"rs_01a2_0","summary":[]}"#,
        ] {
            assert_eq!(cleaned(&body(&format!("{foreign} , {said},{foreign}"))), body(said), "{foreign}");
        }
        for own in [
            r#"{"type":"reasoning","id":"rs_0aF","summary":[]}"#,
            r#"{"type":"reasoning","id":"rs_0a_0","summary":[],"encrypted_content":"gAAAA"}"#,
        ] {
            let mixed = body(&format!("{said}, {own}"));
            assert_eq!(cleaned(&mixed), mixed);
        }
    }
}
