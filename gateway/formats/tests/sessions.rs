//! A long session through each client's format to each backend's: what is sent grows at its end alone, so that
//! providers find it in their caches, and proofs of thoughts go back to those who made them and to nobody else.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

#[path = "sessions/backends.rs"]
mod backends;
#[path = "sessions/clients.rs"]
mod clients;

use std::collections::HashMap;

use backends::{BACKENDS, Backend, ORIGIN};
use clients::CLIENTS;
use serde_json::value::RawValue;

/// Turns of a session; each ends with words of the user.
const TURNS: usize = 20;
/// Marks of a cache, as Messages and Converse write them.
const MARKS: [&str; 2] =
    [r#","cache_control":{"type":"ephemeral"}"#, r#",{"cachePoint":{"type":"default"}}"#];
/// Another model answered this one.
const FAILED_OVER: usize = 10;

/// Who answered a turn, as it stands in marks.
fn origin(turn: usize) -> &'static str {
    if turn == FAILED_OVER { "other" } else { ORIGIN }
}

/// The proof of a turn's thoughts, in base64 as all formats take it.
fn proof(turn: usize) -> String {
    format!("proof{turn:03}")
}

/// The conversation that a backend gets, the bytes of each item. Marks of a cache move along with the end.
fn sent(client: &clients::Client, backend: &Backend, turns: usize) -> Vec<String> {
    let body = (client.body)(turns).to_string();
    let sent = backend.sent(client, body.as_bytes());
    let members: HashMap<&str, &RawValue> = serde_json::from_slice(&sent).unwrap();
    let items: Vec<&RawValue> = serde_json::from_str(members[backend.conversation].get()).unwrap();
    items.iter().map(|item| without_marks(item.get())).collect()
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

#[test]
fn a_session_begins_in_each_turn_as_it_did_in_the_one_before() {
    for client in &CLIENTS {
        for backend in BACKENDS.iter().filter(|backend| backend.name != client.own) {
            let mut before = sent(client, backend, 1);
            for turns in 2..=TURNS {
                let now = sent(client, backend, turns);
                let way = format!("{} to {}, turn {turns}", client.name, backend.name);
                assert!(now.len() > before.len(), "{way}: nothing was added");
                for (place, (is, was)) in now.iter().zip(&before).enumerate() {
                    assert_eq!(is, was, "{way}, item {place}");
                }
                before = now;
            }
        }
    }
}

#[test]
fn proofs_go_back_to_the_model_that_made_them_and_to_no_other() {
    for client in &CLIENTS {
        for backend in BACKENDS.iter().filter(|backend| backend.name != client.own) {
            let all = sent(client, backend, TURNS).concat();
            for turn in 0..TURNS - 1 {
                let is_expected = backend.takes_proofs && turn != FAILED_OVER;
                let way = format!("{} to {}, turn {turn}", client.name, backend.name);
                assert_eq!(all.contains(&proof(turn)), is_expected, "{way}");
                assert!(!all.contains("tg1."), "{way}: a mark was sent");
            }
        }
    }
}
