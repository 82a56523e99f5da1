//! Thoughts in a request whose bytes pass: those of other models are cut out, everything else stays byte for byte.
//!
//! A client that went on with another model sends its thoughts along, and the API refuses the whole request for one
//! proof that it did not make.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use serde_json::value::RawValue;
use tollgate_families::Vendor;

use crate::adapt::TargetModel;
use crate::cuts::{cut_elements, without};
use crate::exchange::proofs::{Accepts, MARK};
use crate::json::Str;
use crate::view::range_in;

/// A body without thoughts that are not the target's; proofs that are lose their mark. It is returned as it is when
/// there are none, and when it cannot be read: then the provider says what is wrong with it.
#[must_use]
pub fn own_thoughts(body: Bytes, target: TargetModel<'_>) -> Bytes {
    if !may_hold_foreign(&body) {
        return body;
    }
    let accepts = Accepts { origin: target.origin, unmarked: true };
    // Servers of other models with this API sign nothing, and want their thoughts back.
    let unsigned = !matches!(target.traits.vendor, Vendor::Claude | Vendor::Unknown);
    match (Rules { accepts, unsigned }).cuts(&body) {
        Some(cuts) if !cuts.is_empty() => without(&body, &cuts),
        _ => body,
    }
}

/// Whether a proof is marked or empty, without reading the body: most hold neither.
fn may_hold_foreign(body: &[u8]) -> bool {
    const NAME: &[u8] = b"\"signature\"";
    if memmem::find(body, MARK.as_bytes()).is_some() || memmem::find(body, b"gemini#").is_some() {
        return true;
    }
    memmem::find_iter(body, NAME).any(|at| {
        let value = body.get(at + NAME.len()..).unwrap_or_default().trim_ascii_start();
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        value.starts_with(b"\"\"") || value.starts_with(b"null")
    })
}

#[derive(serde::Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(serde::Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow, default)]
    signature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// What becomes of a block.
enum Fate {
    Stays,
    Goes,
    /// This part of it goes.
    LosesMark(Range<usize>),
}

#[derive(Clone, Copy)]
struct Rules<'t> {
    accepts: Accepts<'t>,
    /// Whether thoughts without a proof stay.
    unsigned: bool,
}

impl Rules<'_> {
    /// What is cut out of a body, in order; `None` if it cannot be read.
    fn cuts(self, body: &[u8]) -> Option<Vec<Range<usize>>> {
        let read: Body<'_> = serde_json::from_slice(body).ok()?;
        let mut cuts = Vec::new();
        let mut stays = Vec::with_capacity(read.messages.len());
        for message in &read.messages {
            let before = cuts.len();
            let is_empty = self.cut_blocks(body, message, &mut cuts);
            // A message without content is refused, too.
            if is_empty {
                cuts.truncate(before);
            }
            stays.push(!is_empty);
        }
        if !stays.contains(&true) {
            return None;
        }
        cuts.extend(cut_elements(body, &read.messages, &stays));
        cuts.sort_by_key(|cut| cut.start);
        Some(cuts)
    }

    /// Gives whether nothing is left of the message.
    fn cut_blocks(self, body: &[u8], message: &RawValue, cuts: &mut Vec<Range<usize>>) -> bool {
        let Ok(Message { content }) = serde_json::from_str(message.get()) else { return false };
        if !content.get().starts_with('[') {
            return false;
        }
        let Ok(blocks) = serde_json::from_str::<Vec<&RawValue>>(content.get()) else { return false };
        let mut stays = Vec::with_capacity(blocks.len());
        for block in &blocks {
            let fate = self.fate(body, block);
            stays.push(!matches!(fate, Fate::Goes));
            if let Fate::LosesMark(mark) = fate {
                cuts.push(mark);
            }
        }
        cuts.extend(cut_elements(body, &blocks, &stays));
        !blocks.is_empty() && !stays.contains(&true)
    }

    fn fate(self, body: &[u8], block: &RawValue) -> Fate {
        let Ok(block) = serde_json::from_str::<Block<'_>>(block.get()) else { return Fate::Stays };
        let proof = match &*block.kind {
            "thinking" => block.signature,
            "redacted_thinking" => block.data,
            _ => return Fate::Stays,
        };
        let text = proof.and_then(crate::view::text_of).unwrap_or_default();
        if text.is_empty() {
            return if self.unsigned { Fate::Stays } else { Fate::Goes };
        }
        let length = text.len();
        let (Some(own), Some(proof)) = (self.accepts.own(text), proof) else { return Fate::Goes };
        // A mark has no escapes, so it is as long as it is written.
        let start = range_in(body, proof).start + 1;
        match length - own.len() {
            0 => Fate::Stays,
            mark => Fate::LosesMark(start..start + mark),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tollgate_families::ApiFormat;

    use super::*;
    use crate::testing::target;

    fn cleaned(body: &str, model: &str) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        String::from_utf8(own_thoughts(body, target(model, ApiFormat::Anthropic)).to_vec()).unwrap()
    }

    fn of_claude(body: &str) -> String {
        cleaned(body, "claude-sonnet-4-5")
    }

    #[test]
    fn thoughts_of_others_are_cut_out_and_the_rest_stays_byte_for_byte() {
        let body = |blocks: &str| {
            format!(
                r#"{{ "messages" : [ {{"role":"assistant","content":[{blocks}]}} , {{"role":"user","content":"x"}}],"top":1e2 }}"#
            )
        };
        let text = r#"{"type": "text","text":"\u00e9"}"#;
        for foreign in [
            r#"{"type":"thinking","thinking":"hm","signature": ""}"#,
            r#"{"type":"thinking","thinking":"hm","signature":"gemini#c2ln"}"#,
            r#"{"signature":"tg1.other.c2ln","type":"thinking","thinking":"hm"}"#,
            r#"{"type":"redacted_thinking","data":"tg1.other.AA=="}"#,
        ] {
            assert_eq!(of_claude(&body(&format!("{foreign} , {text}"))), body(text), "{foreign}");
            assert_eq!(of_claude(&body(&format!("{text} ,\n{foreign}"))), body(text), "{foreign}");
            let own = r#"{"type":"thinking","thinking":"own","signature":"EqoB"}"#;
            let mixed = format!("{foreign},{own}, {foreign},{foreign} ,{text},{foreign}");
            assert_eq!(of_claude(&body(&mixed)), body(&format!("{own} ,{text}")), "{foreign}");
        }
    }

    #[test]
    fn a_message_of_foreign_thoughts_alone_goes_altogether() {
        let body = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""}]}, {"role":"user","content":"b"}]}"#;
        assert_eq!(
            of_claude(body),
            r#"{"messages":[{"role":"user","content":"a"}, {"role":"user","content":"b"}]}"#
        );
        let nothing_else = r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""}]}]}"#;
        assert_eq!(of_claude(nothing_else), nothing_else);
    }

    #[test]
    fn a_proof_of_the_target_loses_its_mark() {
        let body = |proof: &str| {
            format!(
                r#"{{"messages":[{{"role":"assistant","content":[{{"type":"thinking","thinking":"","signature":"{proof}"}}]}}]}}"#
            )
        };
        assert_eq!(of_claude(&body("tg1.test.c2ln")), body("c2ln"));
    }

    #[test]
    fn a_body_without_foreign_thoughts_is_not_copied() {
        for body in [
            r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"EqoB"}]}]}"#,
            r#"{"messages":[{"role":"user","content":"say tg1. or gemini#"}]}"#,
            r#"{"messages":[{"role":"user","content":"\"signature\":\"\""}],"#,
            "tg1.",
        ] {
            let bytes = Bytes::copy_from_slice(body.as_bytes());
            let out = own_thoughts(bytes.clone(), target("claude-sonnet-4-5", ApiFormat::Anthropic));
            assert_eq!(out.as_ptr(), bytes.as_ptr(), "{body}");
        }
    }

    #[test]
    fn models_that_sign_nothing_keep_their_thoughts_but_not_those_that_were_marked() {
        let body = |blocks: &str| {
            format!(
                r#"{{"messages":[{{"role":"assistant","content":[{blocks}{{"type":"text","text":"x"}}]}}]}}"#
            )
        };
        let unsigned = r#"{"type":"thinking","thinking":"hm","signature":""},"#;
        assert_eq!(cleaned(&body(unsigned), "MiniMax-M2"), body(unsigned));
        let marked = r#"{"type":"thinking","thinking":"hm","signature":"tg1.other.c2ln"},"#;
        assert_eq!(cleaned(&body(marked), "MiniMax-M2"), body(""));
    }

    proptest! {
        /// Whatever stands in a conversation: the result is JSON without foreign thoughts, and all the rest of it.
        #[test]
        fn what_is_left_is_what_is_not_foreign(turns in prop::collection::vec(prop::collection::vec(0_u8..6, 0..5), 0..6)) {
            let block = |kind: u8| match kind {
                0 => json!({"type": "text", "text": "],{\"signature\":\"\""}),
                1 => json!({"type": "thinking", "thinking": "a", "signature": ""}),
                2 => json!({"type": "thinking", "thinking": "b", "signature": "tg1.x.AA"}),
                3 => json!({"type": "redacted_thinking", "data": "tg1.x.AA"}),
                4 => json!({"type": "thinking", "thinking": "c", "signature": "EqoB"}),
                _ => json!({"type": "tool_use", "id": "t", "name": "n", "input": {"type": "thinking", "signature": ""}}),
            };
            let whole = |keep: &dyn Fn(u8) -> bool| -> Vec<Value> {
                let message = |blocks: &Vec<u8>| -> Option<Value> {
                    let kept: Vec<Value> = blocks.iter().copied().filter(|kind| keep(*kind)).map(block).collect();
                    (blocks.is_empty() || !kept.is_empty()).then(|| json!({"role": "assistant", "content": kept}))
                };
                turns.iter().filter_map(message).collect()
            };
            let sent = json!({"model": "m", "messages": whole(&|_| true)}).to_string();
            let left = whole(&|kind| !(1..=3).contains(&kind));
            let left = if left.is_empty() { whole(&|_| true) } else { left };
            let found: Value = serde_json::from_str(&of_claude(&sent)).unwrap();
            prop_assert_eq!(found, json!({"model": "m", "messages": left}));
        }
    }
}
