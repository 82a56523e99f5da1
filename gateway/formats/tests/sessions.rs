//! A long session through each client's format to each backend's: what is sent grows at its end alone, so that
//! providers find it in their caches, and proofs of thoughts go back to those who made them and to nobody else.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

#[path = "sessions/backends.rs"]
mod backends;
#[path = "sessions/clients.rs"]
mod clients;

use backends::{BACKENDS, Backend, ORIGIN};
use clients::CLIENTS;
use serde_json::Value;

/// Turns of a session; each ends with words of the user.
const TURNS: usize = 20;
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

/// The conversation that a backend gets, each item as text.
fn sent(client: &clients::Client, backend: &Backend, turns: usize) -> Vec<String> {
    let body = (client.body)(turns).to_string();
    let sent: Value = serde_json::from_slice(&backend.sent(client, body.as_bytes())).unwrap();
    let mut items = sent[backend.conversation].as_array().unwrap().clone();
    items.iter_mut().for_each(without_marks);
    items.iter().map(Value::to_string).collect()
}

/// Marks of a cache move along with the end. A text alone may stand for a list of one.
fn without_marks(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| item.get("cachePoint").is_none());
            items.iter_mut().for_each(without_marks);
        }
        Value::Object(members) => {
            members.remove("cache_control");
            if let Some(text) = members.get("content").and_then(Value::as_str) {
                let list = serde_json::json!([{"type": "text", "text": text}]);
                members.insert("content".to_owned(), list);
            }
            members.values_mut().for_each(without_marks);
        }
        _ => {}
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
