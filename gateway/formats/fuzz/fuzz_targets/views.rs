//! Views of request bodies, and bodies changed through them.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tollgate_formats::view::{Change, View};
use tollgate_fuzz::check::members;
use tollgate_fuzz::formats::VIEWS;
use tollgate_fuzz::{head, mutate};

/// Values that fields are changed to.
const VALUES: [&str; 4] = ["1", "\"a \\\"text\\\"\"", "{\"include_usage\":true}", "null"];

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::json(data, size, max_size, seed, 2)
});

fuzz_target!(|data: &[u8]| {
    let Some(([fields, values], body)) = head(data) else { return };
    let body = Bytes::copy_from_slice(body);
    for (_, read, known) in VIEWS {
        let Ok(view) = read(&body) else { continue };
        let _ = view.model_name();
        let names = std::iter::once("model").chain(known.iter().copied()).enumerate();
        let changes: Vec<Change> = names
            .filter(|(place, _)| fields >> place & 1 == 1)
            .map(|(place, field)| Change { field, json: VALUES[usize::from(values >> place & 3)].to_owned() })
            .collect();
        check(&view, &body, &changes);
    }
});

/// New fields come first, old ones change in their place, everything else is as it was.
fn check(view: &View<'_>, body: &Bytes, changes: &[Change]) {
    let rewritten = view.rewrite(body, changes);
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).expect("a view is of UTF-8");
    let (before, after) = (text(body), text(&rewritten));
    let (before, after) = (members(&before), members(&after));
    let is_new = |change: &&Change| before.iter().all(|(name, _)| name != change.field);
    let added = changes.iter().filter(is_new).map(|change| (change.field, change.json.as_str()));
    let kept = before.iter().map(|(name, value)| {
        let change = changes.iter().find(|change| change.field == name);
        (name.as_str(), change.map_or(value.get(), |change| &change.json))
    });
    let expected: Vec<_> = added.chain(kept).collect();
    let is: Vec<_> = after.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
    assert_eq!(is, expected, "{changes:?}");
}
