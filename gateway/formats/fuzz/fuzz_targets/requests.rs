//! Requests of every client's format, written for every backend.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tollgate_families::{Families, Lookup};
use tollgate_formats::adapt::adapt;
use tollgate_formats::gemini::client::embeddings::Call;
use tollgate_formats::openai_embeddings::request::EmbeddingRequest;
use tollgate_formats::{
    FormatError, OnUnmappable, Request, TargetModel, Unmapped, anthropic, bedrock, gemini, openai_embeddings,
};
use tollgate_fuzz::formats::{BACKENDS, CLIENTS, Client, EncodeRequest};
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
        for backend in BACKENDS {
            let Ok(mut request) = (client.decode_request)(body) else { continue };
            let asked_names = names(std::str::from_utf8(body).expect("what was read is of UTF-8"));
            let name = pick(backend.models, model);
            let traits = Families::built_in().resolve(&Lookup::new(name, backend.format));
            let target = TargetModel { name, origin: "fuzz", traits: &traits };
            let _ = adapt(&mut request, target, backend.place);
            let encode = backend.encode_request;
            let mut unmapped = Unmapped::new(policy);
            let Ok(written) = encode(&request, target, &mut unmapped) else { continue };
            let written_names = names(check::json(&written).get());
            if are_unique(&asked_names) {
                assert!(are_unique(&written_names), "{written_names:?}");
            }
            // Pieces of one answer that Gemini's clients bring back are joined, so not all is written as it was.
            let alike = |client: &&Client| client.name == backend.name && client.name != "gemini";
            if let Some(again) = CLIENTS.iter().find(alike) {
                means_the_same(again.decode_request, encode, target, &written);
            }
        }
    }
    count_tokens(body);
    schemas(body);
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
    target: TargetModel<'_>,
    written: &[u8],
) {
    let text = check::Lossy(written);
    let again = decode(written).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    let twice = encode(&again, target, &mut Unmapped::new(OnUnmappable::Reject));
    let twice = twice.unwrap_or_else(|error| panic!("{error}: {text:?}"));
    assert_eq!(format!("{:?}", check::Lossy(&twice)), format!("{text:?}"));
}

fn count_tokens(body: &[u8]) {
    let _ = anthropic::count_tokens::decode(body);
    let _ = gemini::client::count_tokens::request(body);
}

/// What is brought into JSON Schema is JSON where it was, and nothing of other providers is left in it.
fn schemas(body: &[u8]) {
    let is_json = |body: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    let body = Bytes::copy_from_slice(body);
    let converted = gemini::client::schema::in_json_schema(&body);
    assert_eq!(is_json(&converted), is_json(&body));
    for model in ["gemini-3-pro", "gemini-2.5-flash"] {
        let sent = gemini::client::proof::without_foreign(&body, model);
        assert_eq!(is_json(&sent), is_json(&body));
    }
}

fn embeddings(body: &[u8], model: u8, policy: OnUnmappable) {
    let batch = gemini::client::embeddings::decode(body, Call::Batch);
    let requests = [openai_embeddings::request::decode(body), batch];
    requests.into_iter().flatten().for_each(|request| written_for_all(&request, model, policy));
}

fn written_for_all(request: &EmbeddingRequest<'_>, model: u8, policy: OnUnmappable) {
    let openai = openai_embeddings::backend::encode(request, "m", &mut Unmapped::new(policy));
    if let Ok(written) = openai {
        check::json(&written);
    }
    let gemini = gemini::embeddings::encode(request, "gemini-embedding-001", &mut Unmapped::new(policy));
    let bedrock =
        bedrock::embeddings::encode(request, *pick(&BEDROCK_EMBEDDINGS, model), &mut Unmapped::new(policy));
    for written in gemini.into_iter().chain(bedrock).flatten() {
        check::json(&written);
    }
}
