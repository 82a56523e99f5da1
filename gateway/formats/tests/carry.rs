//! What of a request is carried from each client's format to each backend's: the page in the repository says what
//! the formats do. `UPDATE_SCHEMAS=1 cargo test -p tollgate-formats --test carry` writes it anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

#[path = "carry/alone.rs"]
mod alone;
#[path = "carry/anthropic.rs"]
mod anthropic;
#[path = "carry/formats.rs"]
mod formats;
#[path = "carry/gemini.rs"]
mod gemini;
#[path = "carry/openai_chat.rs"]
mod openai_chat;
#[path = "carry/openai_completions.rs"]
mod openai_completions;
#[path = "carry/openai_responses.rs"]
mod openai_responses;
#[path = "carry/page.rs"]
mod page;
#[path = "carry/probe.rs"]
mod probe;
#[path = "carry/silent.rs"]
mod silent;

use std::path::Path;

#[test]
fn the_page_of_formats_says_what_becomes_of_each_thing_a_client_can_say() {
    let page = page::page().unwrap_or_else(|faults| panic!("{}", faults.join("\n")));
    let path =
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../deploy/config/FORMATS.md");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "{} differs: run UPDATE_SCHEMAS=1 cargo test -p tollgate-formats --test carry",
        path.display()
    );
}

#[test]
fn what_is_neither_carried_nor_named_has_a_reason() {
    assert_eq!(page::without_reason(), Vec::<String>::new());
}

#[test]
fn drop_refuses_nothing_and_names_what_is_refused_without_it() {
    assert_eq!(page::faults(), Vec::<String>::new());
}

#[test]
fn drop_refuses_no_message_that_consists_of_one_thing_alone() {
    assert_eq!(alone::faults(), Vec::<String>::new());
}
