//! Ids of stored answers: what was sealed opens for its owner alone, and nothing that was altered or made up opens.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tollgate_fuzz::stored::response_ids::{ResponseIds, StoredAt};

static IDS: LazyLock<ResponseIds> = LazyLock::new(|| ResponseIds::new(b"a secret of the fuzzer").expect("a key"));

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    owner: &'a str,
    other: &'a str,
    backend: &'a str,
    model: &'a str,
    id: &'a str,
    made_up: &'a str,
    /// Where a byte of the id is changed, and by what.
    at: u16,
    by: u8,
}

fuzz_target!(|input: Input<'_>| {
    let Input { owner, other, backend, model, id, made_up, at, by } = input;
    for text in [made_up.to_owned(), format!("resp_tg2{made_up}")] {
        assert_eq!(IDS.open(owner, &text), None, "{text} was made up");
    }
    let stored = StoredAt { backend: backend.to_owned(), model: model.to_owned(), id: id.to_owned() };
    let Some(shown) = IDS.seal(owner, &stored) else { return assert!(id.len() > 512) };
    let found = IDS.open(owner, &shown).expect("it opens for its owner");
    assert_eq!(found.id, id);
    assert!(backend.starts_with(&found.backend) && model.starts_with(&found.model), "only long names are cut");
    assert!(backend.len() > 255 || found.backend == backend);
    assert!(owner == other || IDS.open(other, &shown).is_none(), "it opens for another");
    let mut bytes = shown.clone().into_bytes();
    let place = usize::from(at) % bytes.len();
    bytes[place] ^= by;
    if let Ok(altered) = String::from_utf8(bytes) {
        assert!(altered == shown || IDS.open(owner, &altered).is_none(), "{altered} was altered");
    }
});
