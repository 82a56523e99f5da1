//! Paths of calls that pass through: one spelling, that no server reads as a way out of its base or as another path than
//! the one that is allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_fuzz::path::routed;
use tollgate_fuzz::path::spelling::{canonical, is_allowed, read};

/// What an operator may allow; nothing below the last one.
const ALLOWED: [&str; 3] = ["/v1/files", "/v1/batches/*", "/model/x/converse"];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let came = format!("/{text}");
    let Ok(sent) = canonical(&came) else { return };
    assert_eq!(canonical(&sent).as_deref(), Ok(&*sent), "the one spelling is its own");
    assert!(sent.is_ascii() && !sent.bytes().any(|byte| byte.is_ascii_control()), "{sent}");
    let words = read(&sent);
    let allowed = is_allowed(ALLOWED, &sent);
    for times in 0..=4 {
        for (backslashes, parameters) in [(false, false), (false, true), (true, false), (true, true)] {
            let routed = routed(&sent, times, backslashes, parameters);
            assert!(!routed.split('/').any(|word| word == "." || word == ".."), "{came} leaves its base: {routed}");
            assert!(!allowed || listed(&routed), "{came} is allowed and read as {routed}");
        }
    }
    assert_eq!(routed(&sent, 4, true, true).trim_end_matches('/'), words.trim_end_matches('/'), "{came}");
});

/// Whether a path that a server routes is one that is allowed.
fn listed(routed: &str) -> bool {
    routed == "/v1/files" || routed.starts_with("/v1/batches/") || routed == "/model/x/converse"
}
