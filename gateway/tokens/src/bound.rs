//! Bounds that cost next to nothing: far from a limit they decide exactly as the count would.
//!
//! A byte-level encoding never makes more tokens than there are bytes. What comes on top (messages, calls, tools,
//! images) all has an object of its own in the JSON text, so the braces bound it, and the key `image_url` the images.

use memchr::{memchr_iter, memmem};

use crate::family::Family;
use crate::tools;

/// More than a message, a call or a property adds besides its text.
const PER_OBJECT: u64 = 16;
/// More than a conversation adds.
const PER_CONVERSATION: u64 = 8;

/// Tokens that the JSON text of a conversation, and of its tools, can be at most.
#[must_use]
pub fn upper_bound(model: &str, messages: &[u8], tools: Option<&[u8]>) -> u64 {
    let tools = tools.map_or(0, |tools| tools::MOST_ONCE + of_json(tools));
    // The model's name is looked into only where it makes a difference.
    let images = match images(messages) {
        0 => 0,
        images => images * Family::of(model).images.most(),
    };
    PER_CONVERSATION + of_json(messages) + images + tools
}

fn of_json(json: &[u8]) -> u64 {
    json.len() as u64 + PER_OBJECT * memchr_iter(b'{', json).count() as u64
}

/// Images that a conversation can have at most: keys `image_url`, and as many as could be spelt with escapes.
fn images(messages: &[u8]) -> u64 {
    let key = |at: &usize| {
        let rest = &messages[at + b"image_url\"".len()..];
        rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
    };
    let keys = memmem::find_iter(messages, b"image_url\"").filter(key).count();
    let escaped = memmem::find_iter(messages, b"\\u00").filter(|at| {
        // Only letters and the underscore of that word are of interest, not `\u00e9`.
        matches!(messages.get(at + 4), Some(b'5' | b'6' | b'7'))
    });
    (keys + escaped.count()) as u64
}
