//! Requests of every client's format, written for every backend.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tollgate_formats::{
    FormatError, OnUnmappable, Request, Unmapped, anthropic, bedrock, gemini, openai_embeddings,
};
use tollgate_fuzz::formats::{BACKENDS, CLIENTS, EncodeRequest};
use tollgate_fuzz::{check, head, mutate, pick};

const BEDROCK_EMBEDDINGS: [&str; 5] = [
    "amazon.titan-embed-text-v1",
    "amazon.titan-embed-text-v2:0",
    "cohere.embed-english-v3",
    "cohere.embed-v4:0",
    "other",
];

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::json(data, size, max_size, seed, 2)
});

fuzz_target!(|data: &[u8]| {
    let Some(([model, policy], body)) = head(data) else { return };
    let policy = if policy % 2 == 0 { OnUnmappable::Drop } else { OnUnmappable::Reject };
    for client in CLIENTS {
        let Ok(request) = (client.decode_request)(body) else { continue };
        let asked_names = names(std::str::from_utf8(body).expect("a request is of UTF-8"));
        for backend in BACKENDS {
            let Some(encode) = backend.encode_request else { continue };
            let model = pick(backend.models, model);
            let mut unmapped = Unmapped::new(policy);
            let Ok(written) = encode(&request, model, &mut unmapped) else { continue };
            let written_names = names(check::json(&written).get());
            if are_unique(&asked_names) {
                assert!(are_unique(&written_names), "{written_names:?}");
            }
            if policy == OnUnmappable::Reject {
                assert!(unmapped.dropped().is_empty(), "nothing is left out unasked");
            }
            if let Some(again) = CLIENTS.iter().find(|client| client.name == backend.name) {
                means_the_same(again.decode_request, encode, model, &written);
            }
        }
    }
    count_tokens(body);
    embeddings(body, model, policy);
});

/// Names of members, sorted.
fn names(object: &str) -> Vec<String> {
    let mut names: Vec<String> = check::members(object).into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

fn are_unique(sorted: &[String]) -> bool {
    sorted.windows(2).all(|two| two[0] != two[1])
}

/// What was written is read as what it was written from: it is written alike.
fn means_the_same(
    decode: for<'a> fn(&'a [u8]) -> Result<Request<'a>, FormatError>,
    encode: EncodeRequest,
    model: &str,
    written: &[u8],
) {
    let text = check::Lossy(written);
    let again = decode(written).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    let twice = encode(&again, model, &mut Unmapped::new(OnUnmappable::Reject));
    let twice = twice.unwrap_or_else(|error| panic!("{error}: {text:?}"));
    assert_eq!(format!("{:?}", check::Lossy(&twice)), format!("{text:?}"));
}

fn count_tokens(body: &[u8]) {
    let _ = anthropic::count_tokens::decode(body);
}

fn embeddings(body: &[u8], model: u8, policy: OnUnmappable) {
    let Ok(request) = openai_embeddings::request::decode(body) else { return };
    let gemini = gemini::embeddings::encode(&request, "gemini-embedding-001", &mut Unmapped::new(policy));
    let bedrock =
        bedrock::embeddings::encode(&request, *pick(&BEDROCK_EMBEDDINGS, model), &mut Unmapped::new(policy));
    for written in gemini.into_iter().chain(bedrock).flatten() {
        check::json(&written);
    }
}
