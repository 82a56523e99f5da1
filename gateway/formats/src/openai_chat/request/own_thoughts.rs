//! Thoughts of other models in a request whose bytes pass: they are cut out, everything else stays byte for byte.
//!
//! Clients give back what a translated answer said, and this API refuses a message with a member that it does not know.

use bytes::Bytes;
use memchr::memmem;
use serde_json::value::RawValue;

use crate::cuts::{cut_member, without};
use crate::exchange::proofs::MARK;

#[derive(serde::Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    thinking_blocks: Option<&'a RawValue>,
}

/// A body without thoughts that the gateway has marked: no server of this API made them. It is returned as it is when
/// there are none, and when it cannot be read: then the provider says what is wrong with it.
#[must_use]
pub fn own_thoughts(body: Bytes) -> Bytes {
    let marked = |text: &[u8]| memmem::find(text, MARK.as_bytes()).is_some();
    if !marked(&body) {
        return body;
    }
    let Ok(read) = serde_json::from_slice::<Body<'_>>(&body) else { return body };
    let blocks = read.messages.iter().filter_map(|message| message.thinking_blocks);
    let foreign = blocks.filter(|blocks| marked(blocks.get().as_bytes()));
    let cuts: Vec<_> = foreign.filter_map(|blocks| cut_member(&body, "thinking_blocks", blocks)).collect();
    if cuts.is_empty() { body } else { without(&body, &cuts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_that_the_gateway_marked_are_cut_out_and_the_rest_stays_byte_for_byte() {
        let marked =
            r#""thinking_blocks" : [{"type":"thinking","thinking":"hm","signature":"tg1.other.c2ln"}]"#;
        let body = |message: &str| {
            format!(r#"{{ "messages":[{{"role":"user","content":"tg1."}}, {{{message}}}],"top":1e2 }}"#)
        };
        let cleaned = |text: &str| {
            String::from_utf8(own_thoughts(Bytes::copy_from_slice(text.as_bytes())).to_vec()).unwrap()
        };
        let rest = r#""role": "assistant","content":"\u00e9""#;
        assert_eq!(cleaned(&body(&format!("{rest} , {marked}"))), body(&format!("{rest} ")));
        assert_eq!(cleaned(&body(&format!("{marked} ,{rest}"))), body(rest));
        let others = format!(r#"{rest},"thinking_blocks":[{{"type":"thinking","signature":"own"}}]"#);
        assert_eq!(cleaned(&body(&others)), body(&others));
        assert_eq!(cleaned(r#"{"messages":"tg1."}"#), r#"{"messages":"tg1."}"#);
    }
}
