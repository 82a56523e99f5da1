//! Changes JSON, and text with JSON in it, by its values: what is changed byte by byte is seldom JSON any more.

use std::ops::Range;

use crate::cuts::Random;
use crate::words::WORDS;

/// Values that readers stumble over.
const LITERALS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "0.5",
    "-0.0",
    "1e400",
    "1e-400",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "\"\"",
    "\" \"",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "[{}]",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{1f600}\"",
    "\"a\\n\\nb\\r\"",
    "\"data:image/png;base64,iVBORw0KGgo=\"",
    "\"data:,\"",
    "\"https://example.com/a.png\"",
    "\"{\\\"a\\\":1}\"",
    "{\"a\":\n1}",
    "{\"type\":\"text\",\"text\":\"x\"}",
];

/// Most changes at once.
const CHANGES: usize = 4;
/// Most values that are looked at; long bodies are changed near their beginning.
const MOST_SPANS: usize = 4_096;

/// Changes `data[head..size]`; gives the new size. Every other time the fuzzer's own changes are made.
pub fn json(data: &mut [u8], size: usize, max_size: usize, seed: u32, head: usize) -> usize {
    let mut random = Random(u64::from(seed));
    if size <= head || random.below(2) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let mut body = data[head..size].to_vec();
    for _ in 0..=random.below(CHANGES) {
        body = changed(&body, &mut random);
    }
    let new_size = head + body.len();
    if new_size > max_size.min(data.len()) || body == data[head..size] {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    data[head..new_size].copy_from_slice(&body);
    new_size
}

fn changed(body: &[u8], random: &mut Random) -> Vec<u8> {
    let found = spans(body);
    let Some(span) = random.pick(&found).cloned() else { return body.to_vec() };
    let value = &body[span.clone()];
    let other = random.pick(&found).map_or(&b"null"[..], |other| &body[other.clone()]);
    match random.below(11) {
        0 => replaced(body, span, quoted(random).as_bytes()),
        1 => replaced(body, span, literal(random).as_bytes()),
        2 => replaced(body, span, other),
        3 => replaced(body, with_comma(body, span), b""),
        4 => replaced(body, span.start..span.start, &[value, b","].concat()),
        5 => replaced(body, span.clone(), &[b"[", value, b"]"].concat()),
        6 => {
            let name = quoted(random);
            replaced(body, span.clone(), &[b"{", name.as_bytes(), b":", value, b"}"].concat())
        }
        7 => {
            let inside = span.start + 1;
            let new = match value.first() {
                Some(b'{') => format!("{}:{},", quoted(random), literal(random)).into_bytes(),
                Some(b'[') => [other, b","].concat(),
                _ => return replaced(body, span, literal(random).as_bytes()),
            };
            replaced(body, inside..inside, &new)
        }
        8 => {
            let depth = 1 + random.below(200);
            let nested = [&b"[".repeat(depth)[..], value, &b"]".repeat(depth)].concat();
            replaced(body, span, &nested)
        }
        9 => moved_block(body, random),
        _ => {
            let space: &[u8] = [&b" "[..], b"\n", b"\r\n", b"\t"][random.below(4)];
            replaced(body, span.end..span.end, space)
        }
    }
}

/// Repeats, drops or moves a block between blank lines: an event of a stream.
fn moved_block(body: &[u8], random: &mut Random) -> Vec<u8> {
    let text = body.to_vec();
    let mut blocks: Vec<&[u8]> = Vec::new();
    let mut start = 0;
    for at in memchr::memmem::find_iter(&text, b"\n\n") {
        if at >= start {
            blocks.push(&text[start..at + 2]);
            start = at + 2;
        }
    }
    blocks.push(&text[start..]);
    let (from, to) = (random.below(blocks.len()), random.below(blocks.len()));
    let block = match random.below(3) {
        0 => blocks[from],
        _ => blocks.remove(from),
    };
    if random.below(3) > 0 {
        blocks.insert(to.min(blocks.len()), block);
    }
    blocks.concat()
}

fn replaced(body: &[u8], span: Range<usize>, new: &[u8]) -> Vec<u8> {
    [&body[..span.start], new, &body[span.end..]].concat()
}

/// A span and the comma behind or before it.
fn with_comma(body: &[u8], span: Range<usize>) -> Range<usize> {
    match (body.get(span.end), span.start.checked_sub(1).and_then(|before| body.get(before))) {
        (Some(b','), _) => span.start..span.end + 1,
        (_, Some(b',')) => span.start - 1..span.end,
        _ => span,
    }
}

fn quoted(random: &mut Random) -> String {
    format!("\"{}\"", random.pick(WORDS).copied().unwrap_or_default())
}

fn literal(random: &mut Random) -> &'static str {
    random.pick(LITERALS).copied().unwrap_or("null")
}

/// Where values stand, names of members included; of text that is no JSON as far as it looks like some.
fn spans(body: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open = Vec::new();
    let mut at = 0;
    while at < body.len() && found.len() < MOST_SPANS {
        let start = at;
        match body[at] {
            b'"' => {
                at += 1;
                while at < body.len() && body[at] != b'"' && body[at] != b'\n' {
                    at += if body[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(body.len());
                found.push(start..at);
            }
            b'{' | b'[' => {
                open.push(at);
                at += 1;
            }
            b'}' | b']' => {
                at += 1;
                found.extend(open.pop().map(|start| start..at));
            }
            byte if is_scalar(byte) => {
                while at < body.len() && is_scalar(body[at]) {
                    at += 1;
                }
                found.push(start..at);
            }
            _ => at += 1,
        }
    }
    found
}

fn is_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found() {
        let body = br#"{"a":[1,"x\"y"],"b":null}"#;
        let found: Vec<_> =
            spans(body).into_iter().map(|span| String::from_utf8_lossy(&body[span])).collect();
        let expected =
            [r#""a""#, "1", r#""x\"y""#, r#"[1,"x\"y"]"#, r#""b""#, "null", r#"{"a":[1,"x\"y"],"b":null}"#];
        assert_eq!(found, expected);
    }

    #[test]
    fn any_text_can_be_changed() {
        for seed in 0..2_000 {
            let mut random = Random(seed);
            for body in ["", "{\"a\":\"", "data: {\"a\":[1]}\n\nevent: x\n\n", "]]}", "\"\\"] {
                changed(body.as_bytes(), &mut random);
            }
        }
    }
}
