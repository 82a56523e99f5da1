//! Streams of every backend's format as bytes, cut anywhere, written for every client.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tollgate_fuzz::formats::BACKENDS;
use tollgate_fuzz::stream::{Choice, translate_pieces};
use tollgate_fuzz::{cuts, head, mutate, pick};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::json(data, size, max_size, seed, 3)
});

fuzz_target!(|data: &[u8]| {
    let Some(([backend, choice, seed], body)) = head(data) else { return };
    let backend = pick(BACKENDS, backend);
    let choice = Choice { include_usage: choice & 1 == 0, legacy_functions: choice & 2 == 2 };
    let whole = translate_pieces(backend, choice, &[body]);
    let pieces = translate_pieces(backend, choice, &cuts::cut(body, u64::from(seed)));
    assert_eq!(pieces, whole);
});
