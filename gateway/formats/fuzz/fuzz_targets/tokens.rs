//! Counts of tokens: within their bounds, and the reference's own where it can count.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::value::RawValue;
use tiktoken_rs::CoreBPE;
use tollgate_fuzz::{head, mutate, pick};
use tollgate_tokens::{
    Budget, Encoding, Family, Work, count_chat, count_input, count_text_within, image_size, upper_bound,
};

const MODELS: [&str; 9] = [
    "gpt-4o",
    "gpt-4",
    "text-davinci-003",
    "gpt2",
    "gpt-4.1-mini",
    "claude-sonnet-4",
    "gemini-2.5-pro",
    "llama-3.3-70b",
    "pixtral",
];

/// The reference panics on long white space and is slow on hostile text: short ones are compared.
const COMPARED_BYTES: usize = 512;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::json(data, size, max_size, seed, 2)
});

fuzz_target!(|data: &[u8]| {
    let Some(([model, budget], body)) = head(data) else { return };
    let model = pick(&MODELS, model);
    let budget = || if budget % 2 == 0 { Budget::worker() } else { Budget::inline() };
    let _ = image_size::of_bytes(body);
    let _ = Work::Text(Bytes::copy_from_slice(body)).count(model, budget());
    let Ok(text) = std::str::from_utf8(body) else { return };
    check_text(model, text, budget());
    let _ = (image_size::of_base64(text), image_size::of_url(text), Family::of(text));
    if let Ok(json) = serde_json::from_str::<&RawValue>(text) {
        let _ = count_input(model, json, budget());
        for tools in [None, Some(json)] {
            let count = count_chat(model, json, tools, budget());
            let bound = upper_bound(model, json.get().as_bytes(), tools.map(|json| json.get().as_bytes()));
            assert!(count.tokens <= bound, "{count:?} > {bound}");
        }
    }
});

fn check_text(model: &str, text: &str, budget: Budget) {
    let count = count_text_within(model, text, budget);
    let family = Family::of(model);
    if !family.is_public() {
        return;
    }
    assert!(count.tokens <= text.len() as u64, "{count:?} of {} bytes", text.len());
    if count.exact && text.len() <= COMPARED_BYTES {
        let reference = reference(family.encoding()).encode_ordinary(text).len() as u64;
        assert_eq!(count.tokens, reference, "{text:?}");
    }
}

fn reference(encoding: Encoding) -> &'static CoreBPE {
    match encoding {
        Encoding::O200k => tiktoken_rs::o200k_base_singleton(),
        Encoding::Cl100k => tiktoken_rs::cl100k_base_singleton(),
        Encoding::P50k => tiktoken_rs::p50k_base_singleton(),
        Encoding::R50k => tiktoken_rs::r50k_base_singleton(),
    }
}
