//! Answers of every backend's format, written for every client.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tollgate_formats::exchange::{Usage, Vectors};
use tollgate_formats::gemini::client::embeddings::Call;
use tollgate_formats::openai_embeddings::request::Encoding;
use tollgate_formats::{bedrock, gemini, openai_embeddings};
use tollgate_fuzz::formats::{BACKENDS, CLIENTS, shown};
use tollgate_fuzz::{check, head, mutate};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::json(data, size, max_size, seed, 1)
});

fuzz_target!(|data: &[u8]| {
    let Some(([choice], body)) = head(data) else { return };
    let shown = shown(choice & 1 == 1);
    for backend in BACKENDS {
        let Ok(answer) = (backend.decode_answer)(body) else { continue };
        let _ = answer.usage.as_ref().map(Usage::lines);
        for client in CLIENTS {
            let written = (client.encode_answer)(&answer, &shown);
            check::json(&written);
            // What a client of a format gets is an answer of that format.
            if let Some(same) = BACKENDS.iter().find(|backend| backend.name == client.name) {
                let read = (same.decode_answer)(&written);
                assert!(read.is_ok(), "{}: {:?}: {:?}", client.name, read.err(), check::Lossy(&written));
            }
        }
    }
    let _ = openai_embeddings::answer::usage(body);
    let _ = openai_embeddings::backend::decode(body).map(embeddings);
    let _ = gemini::client::embeddings::usage(body);
    if let Ok(vectors) = gemini::embeddings::decode(body) {
        embeddings(vectors);
    }
    for model in ["amazon.titan-embed-text-v2:0", "cohere.embed-v4:0"] {
        if let Ok(vectors) = bedrock::embeddings::decode(body, model, Some(3)) {
            embeddings(vectors);
        }
    }
});

fn embeddings(read: Vectors) {
    let mut all = Vectors::default();
    all.append(read.clone());
    all.append(read);
    for encoding in [Encoding::Float, Encoding::Base64] {
        let usage = all.usage.unwrap_or_default();
        let written = openai_embeddings::answer::encode(&all.vectors, encoding, "alias", &usage);
        check::json(&written);
    }
    let usage = all.usage.unwrap_or_default();
    check::json(&gemini::client::embeddings::encode(&all.vectors, Call::One, &usage));
}
