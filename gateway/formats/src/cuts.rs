//! Takes pieces out of a JSON text whose other bytes stay as they are.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use crate::view::range_in;

/// Ranges that take elements out of a list together with one comma each; none if no element stays.
pub(crate) fn cut_elements(body: &[u8], elements: &[&RawValue], stays: &[bool]) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let Some(first) = stays.iter().position(|stays| *stays) else { return cuts };
    let at = |index: usize| elements.get(index).map_or(0..0, |element| range_in(body, element));
    if first > 0 {
        cuts.push(at(0).start..at(first).start);
    }
    for (index, stays) in stays.iter().enumerate().skip(first + 1) {
        if !stays {
            cuts.push(at(index - 1).end..at(index).end);
        }
    }
    cuts
}

/// The range that takes a member out of an object together with one comma; `None` if it is the only one.
pub(crate) fn cut_member(body: &[u8], name: &str, value: &RawValue) -> Option<Range<usize>> {
    let value = range_in(body, value);
    let key = format!("\"{name}\"");
    let start = memchr::memmem::rfind(body.get(..value.start)?, key.as_bytes())?;
    let before = body.get(..start)?.trim_ascii_end();
    if before.last() == Some(&b',') {
        return Some(before.len() - 1..value.end);
    }
    let after = body.get(value.end..)?;
    let comma = after.iter().position(|byte| !byte.is_ascii_whitespace())?;
    (after.get(comma) == Some(&b',')).then_some(start..value.end + comma + 1)
}

/// The body without these ranges, which are in order.
pub(crate) fn without(body: &Bytes, cuts: &[Range<usize>]) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len());
    let mut copied = 0;
    for cut in cuts {
        out.put_slice(body.get(copied..cut.start).unwrap_or_default());
        copied = cut.end;
    }
    out.put_slice(body.get(copied..).unwrap_or_default());
    out.freeze()
}
