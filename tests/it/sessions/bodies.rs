//! What a simulated backend got, piece by piece in the order in which its provider caches it.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// Marks of a cache as they stand in a body.
const MARKS: [&str; 3] = [
    r#","cache_control":{"type":"ephemeral"}"#,
    r#""cache_control":{"type":"ephemeral"},"#,
    r#",{"cachePoint":{"type":"default"}}"#,
];
/// Members that come before the conversation in a prompt.
const HEADS: [&str; 5] = ["tools", "toolConfig", "system", "instructions", "systemInstruction"];
/// Members that hold the conversation.
const CONVERSATIONS: [&str; 3] = ["messages", "input", "contents"];

/// The pieces of a body, byte by byte but for marks of the cache, which move along with the end.
pub(super) fn pieces(body: &str) -> Vec<String> {
    let members: HashMap<&str, &RawValue> = serde_json::from_str(body).unwrap();
    let heads = HEADS.iter().filter_map(|name| members.get(name)).map(|raw| without_marks(raw.get()));
    let mut pieces: Vec<String> = heads.collect();
    let conversation = CONVERSATIONS.iter().find_map(|name| members.get(name)).unwrap();
    let items: Vec<&RawValue> = serde_json::from_str(conversation.get()).unwrap();
    pieces.extend(items.iter().map(|item| without_marks(item.get())));
    pieces
}

/// A marked text is a list of one; without the mark it may be the text alone.
fn without_marks(item: &str) -> String {
    let item = MARKS.iter().fold(item.to_owned(), |text, mark| text.replace(mark, ""));
    let alone = item.strip_suffix("\"}").and_then(|item| item.split_once(r#","content":""#));
    match alone {
        Some((head, text)) => format!(r#"{head},"content":[{{"type":"text","text":"{text}"}}]}}"#),
        None => item,
    }
}

/// Asserts that each body begins as the one before.
pub(super) fn assert_grow_at_the_end(way: &str, bodies: &[String]) {
    let mut before: Vec<String> = Vec::new();
    for (nth, body) in bodies.iter().enumerate() {
        let now = pieces(body);
        assert!(now.len() >= before.len(), "{way}, body {nth}: something is missing");
        for (place, (is, was)) in now.iter().zip(&before).enumerate() {
            assert_eq!(is, was, "{way}, body {nth}, piece {place}");
        }
        before = now;
    }
}
