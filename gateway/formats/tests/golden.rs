//! Golden files of translations: each shows what goes in and what comes out of one exchange.
//!
//! `tests/golden/CLIENT--BACKEND/CASE.txt` has sections under `=== TITLE` lines; text before the first is prose.
//! Inputs are read, outputs compared; `UPDATE_GOLDEN=1` writes the outputs anew,
//! `UPDATE_GOLDEN=PART` those of files whose path holds it.
//!
//! | section | side | what |
//! |---|---|---|
//! | `client request` | in | a request in the client's format; `client request for MODEL` names the target's model, `(drop)` at the end leaves out what cannot be carried |
//! | `backend request` | out | the same for the backend, or `refused: …` |
//! | `dropped` | out | parameters that were left out |
//! | `backend answer` | in | a whole answer of the backend |
//! | `client answer` | out | the same for the client |
//! | `backend stream` | in | a streamed answer, as server-sent events; event streams of AWS stand as such, too |
//! | `client stream` | out | the same for the client, without usage unless the client's request asks for it |
//! | `backend error STATUS` | in | an error of the backend |
//! | `client error` | out | the same for the client |
//!
//! A format takes part with one line in [`FORMATS`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

#[path = "golden/file.rs"]
mod file;
#[path = "golden/order.rs"]
mod order;
#[path = "golden/pretty.rs"]
mod pretty;
#[path = "golden/translate.rs"]
mod translate;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use tollgate_families::ApiFormat;
use tollgate_formats::adapt::Place;
use tollgate_formats::exchange::{Answer, AnswerHead, Request, StreamDecoder, StreamEncoder};
use tollgate_formats::{
    ClientError, FormatError, ProviderError, TargetModel, Unmapped, anthropic, bedrock, gemini, openai_chat,
    openai_completions, openai_responses,
};

/// What clients speak.
struct Client {
    /// Brings a request into the form in which it is read.
    prepare: fn(&Bytes) -> Bytes,
    decode_request: for<'a> fn(&'a [u8]) -> Result<Request<'a>, FormatError>,
    encode_answer: fn(&Answer<'_>, &AnswerHead) -> Vec<u8>,
    encoder: fn(AnswerHead, bool) -> Box<dyn StreamEncoder>,
    encode_error: fn(&ClientError<'_>) -> Vec<u8>,
}

/// What backends speak.
struct Backend {
    /// The model's name where a case names none.
    model: &'static str,
    format: ApiFormat,
    place: Place,
    encode_request: fn(&Request<'_>, TargetModel<'_>, &mut Unmapped) -> Result<Vec<u8>, FormatError>,
    decode_answer: for<'a> fn(&'a [u8]) -> Result<Answer<'a>, FormatError>,
    decoder: fn() -> Box<dyn StreamDecoder>,
    decode_error: fn(u16, &[u8]) -> ProviderError,
}

/// One API format, as far as it is translated.
struct Format {
    name: &'static str,
    client: Option<Client>,
    backend: Option<Backend>,
}

const FORMATS: &[Format] = &[
    Format {
        name: "openai_chat",
        client: Some(Client {
            prepare: Bytes::clone,
            decode_request: openai_chat::request::decode,
            encode_answer: openai_chat::answer::encode,
            encoder: |shown, usage| Box::new(openai_chat::stream::Encoder::new(shown, usage)),
            encode_error: openai_chat::error::encode,
        }),
        backend: Some(Backend {
            model: "backend-model",
            format: ApiFormat::OpenAi,
            place: openai_chat::request::PLACE,
            encode_request: openai_chat::request::encode,
            decode_answer: openai_chat::answer::decode,
            decoder: || Box::new(openai_chat::stream::Decoder::new()),
            decode_error: openai_chat::error::decode,
        }),
    },
    Format {
        name: "openai_completions",
        client: Some(Client {
            prepare: Bytes::clone,
            decode_request: openai_completions::request::decode,
            encode_answer: openai_completions::answer::encode,
            encoder: |shown, usage| Box::new(openai_completions::stream::Encoder::new(shown, usage)),
            encode_error: openai_completions::error::encode,
        }),
        backend: None,
    },
    Format {
        name: "openai_responses",
        client: Some(Client {
            prepare: Bytes::clone,
            decode_request: openai_responses::request::decode,
            encode_answer: openai_responses::answer::encode,
            encoder: |shown, _| Box::new(openai_responses::stream::Encoder::new(shown)),
            encode_error: openai_chat::error::encode,
        }),
        backend: Some(Backend {
            model: "gpt-5.6-sol",
            format: ApiFormat::OpenAi,
            place: openai_responses::request::PLACE,
            encode_request: openai_responses::request::encode,
            decode_answer: openai_responses::answer::decode,
            decoder: || Box::new(openai_responses::stream::Decoder::new()),
            decode_error: openai_chat::error::decode,
        }),
    },
    Format {
        name: "anthropic",
        client: Some(Client {
            prepare: Bytes::clone,
            decode_request: anthropic::request::decode,
            encode_answer: anthropic::answer::encode,
            encoder: |shown, _| Box::new(anthropic::stream::Encoder::new(shown)),
            encode_error: anthropic::error::encode,
        }),
        backend: Some(Backend {
            model: "backend-model",
            format: ApiFormat::Anthropic,
            place: anthropic::request::PLACE,
            encode_request: anthropic::request::encode,
            decode_answer: anthropic::answer::decode,
            decoder: || Box::new(anthropic::stream::Decoder::new()),
            decode_error: anthropic::error::decode,
        }),
    },
    Format {
        name: "bedrock",
        client: None,
        backend: Some(Backend {
            model: "anthropic.claude-sonnet-4-5-20250929-v1:0",
            format: ApiFormat::Bedrock,
            place: bedrock::request::PLACE,
            encode_request: bedrock::request::encode,
            decode_answer: bedrock::answer::decode,
            decoder: || Box::new(bedrock::stream::Decoder::new()),
            decode_error: |status, body| bedrock::error::decode(status, None, body),
        }),
    },
    Format {
        name: "gemini",
        client: Some(Client {
            prepare: gemini::client::schema::in_json_schema,
            decode_request: |body| gemini::client::request::decode(body, true),
            encode_answer: gemini::client::answer::encode,
            encoder: |shown, _| Box::new(gemini::client::stream::Encoder::new(shown)),
            encode_error: gemini::client::error::encode,
        }),
        backend: Some(Backend {
            model: "gemini-3-pro-preview",
            format: ApiFormat::Gemini,
            place: gemini::request::PLACE,
            encode_request: gemini::request::encode,
            decode_answer: gemini::answer::decode,
            decoder: || Box::new(gemini::stream::Decoder::new()),
            decode_error: gemini::error::decode,
        }),
    },
];

fn format(name: &str) -> &'static Format {
    FORMATS.iter().find(|format| format.name == name).unwrap_or_else(|| panic!("no format is called {name}"))
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden");
    let mut files: Vec<PathBuf> = entries(&root)
        .filter(|path| path.is_dir())
        .flat_map(|pair| entries(&pair).collect::<Vec<_>>())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())
}

#[test]
fn every_golden_file_shows_what_the_translation_gives() {
    let update = std::env::var("UPDATE_GOLDEN").ok();
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(!cases.is_empty(), "no golden files are found");
    for path in &cases {
        let pair = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        let (client, backend) =
            pair.split_once("--").unwrap_or_else(|| panic!("{pair} is no CLIENT--BACKEND"));
        let is = std::fs::read_to_string(path).unwrap();
        let case = file::Case::read(&is).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let shown = translate::run(&case, format(client), format(backend));
        if shown == is {
            continue;
        }
        let chosen = |part: &String| part == "1" || path.to_string_lossy().contains(part.as_str());
        if update.as_ref().is_some_and(chosen) {
            std::fs::write(path, &shown).unwrap();
        } else {
            wrong.push(format!("{}:\n{}", path.display(), file::difference(&is, &shown)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} files differ; UPDATE_GOLDEN=1 writes them anew\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
