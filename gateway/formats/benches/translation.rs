//! What translating costs: a request of 1 KB with its answer, and one event of a stream, for pairs of formats.
//!
//! A pair is measured from the client's bytes to the backend's and back; a stream from the bytes of one event
//! as they arrive to those that leave. `Throughput` counts events, so criterion reports the cost of one.

#![allow(missing_docs, reason = "criterion generates the entry point")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to measure")]

#[path = "translation/bodies.rs"]
mod bodies;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tollgate_families::{ApiFormat, Families, Lookup};
use tollgate_formats::TargetModel;
use tollgate_formats::exchange::{Answer, AnswerHead, Request, StreamDecoder, StreamEncoder};
use tollgate_formats::sse::{Action, Splitter};
use tollgate_formats::{FormatError, OnUnmappable, Unmapped};
use tollgate_formats::{anthropic, bedrock, gemini, openai_chat, openai_responses};

struct Client {
    name: &'static str,
    request: &'static str,
    decode: for<'a> fn(&'a [u8]) -> Result<Request<'a>, FormatError>,
    encode: fn(&Answer<'_>, &AnswerHead) -> Vec<u8>,
    encoder: fn(AnswerHead) -> Box<dyn StreamEncoder>,
}

struct Backend {
    name: &'static str,
    model: &'static str,
    answer: &'static str,
    /// The first event of a stream and one that is repeated; none where streams are not server-sent events.
    stream: Option<(&'static str, &'static str)>,
    format: ApiFormat,
    encode: fn(&Request<'_>, TargetModel<'_>, &mut Unmapped) -> Result<Vec<u8>, FormatError>,
    decode: for<'a> fn(&'a [u8]) -> Result<Answer<'a>, FormatError>,
    decoder: fn() -> Box<dyn StreamDecoder>,
}

const CLIENTS: &[Client] = &[
    Client {
        name: "openai_chat",
        request: bodies::CHAT_REQUEST,
        decode: openai_chat::request::decode,
        encode: openai_chat::answer::encode,
        encoder: |shown| Box::new(openai_chat::stream::Encoder::new(shown, true)),
    },
    Client {
        name: "anthropic",
        request: bodies::ANTHROPIC_REQUEST,
        decode: anthropic::request::decode,
        encode: anthropic::answer::encode,
        encoder: |shown| Box::new(anthropic::stream::Encoder::new(shown)),
    },
    Client {
        name: "openai_responses",
        request: bodies::RESPONSES_REQUEST,
        decode: openai_responses::request::decode,
        encode: openai_responses::answer::encode,
        encoder: |shown| Box::new(openai_responses::stream::Encoder::new(shown)),
    },
];

const BACKENDS: &[Backend] = &[
    Backend {
        name: "openai_chat",
        model: "gpt-4o",
        answer: bodies::CHAT_ANSWER,
        stream: Some(bodies::CHAT_STREAM),
        format: ApiFormat::OpenAi,
        encode: openai_chat::request::encode,
        decode: openai_chat::answer::decode,
        decoder: || Box::new(openai_chat::stream::Decoder::new()),
    },
    Backend {
        name: "anthropic",
        model: "claude-sonnet-4-5",
        answer: bodies::ANTHROPIC_ANSWER,
        stream: Some(bodies::ANTHROPIC_STREAM),
        format: ApiFormat::Anthropic,
        encode: anthropic::request::encode,
        decode: anthropic::answer::decode,
        decoder: || Box::new(anthropic::stream::Decoder::new()),
    },
    Backend {
        name: "bedrock",
        model: "anthropic.claude-sonnet-4-5-20250929-v1:0",
        answer: bodies::BEDROCK_ANSWER,
        stream: None,
        format: ApiFormat::Bedrock,
        encode: bedrock::request::encode,
        decode: bedrock::answer::decode,
        decoder: || Box::new(bedrock::stream::Decoder::new()),
    },
    Backend {
        name: "gemini",
        model: "gemini-2.5-pro",
        answer: bodies::GEMINI_ANSWER,
        stream: Some(bodies::GEMINI_STREAM),
        format: ApiFormat::Gemini,
        encode: gemini::request::encode,
        decode: gemini::answer::decode,
        decoder: || Box::new(gemini::stream::Decoder::new()),
    },
];

/// Events of one measured stream.
const EVENTS: usize = 100;

fn shown() -> AnswerHead {
    AnswerHead {
        id: "chatcmpl-0198c7a1b2c3d4e5".to_owned(),
        model: "chat".to_owned(),
        created_s: 1_700_000_000,
        ..AnswerHead::default()
    }
}

fn pairs(c: &mut Criterion) {
    let mut group = c.benchmark_group("request and answer");
    let shown = shown();
    for client in CLIENTS {
        for backend in BACKENDS {
            let traits = Families::built_in().resolve(&Lookup::new(backend.model, backend.format));
            let target = TargetModel { name: backend.model, origin: "bench", traits: &traits };
            let exchange = || {
                let mut unmapped = Unmapped::new(OnUnmappable::Drop);
                let request = (client.decode)(black_box(client.request).as_bytes()).unwrap();
                let sent = (backend.encode)(&request, target, &mut unmapped).unwrap();
                let answer = (backend.decode)(black_box(backend.answer).as_bytes()).unwrap();
                (sent, (client.encode)(&answer, &shown))
            };
            group.bench_function(format!("{}--{}", client.name, backend.name), |b| b.iter(exchange));
        }
    }
    group.finish();
}

fn streams(c: &mut Criterion) {
    let mut group = c.benchmark_group("one event of a stream");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for client in CLIENTS {
        for backend in BACKENDS {
            let Some((first, repeated)) = backend.stream else { continue };
            let chunk = Bytes::from_static(repeated.as_bytes());
            let begin = || {
                let mut stream = Stream {
                    splitter: Splitter::new(1 << 20),
                    decoder: (backend.decoder)(),
                    encoder: (client.encoder)(shown()),
                    out: Vec::with_capacity(1 << 12),
                };
                stream.push(Bytes::from_static(first.as_bytes()));
                stream
            };
            let run = |stream: &mut Stream| {
                for _ in 0..EVENTS {
                    stream.out.clear();
                    stream.push(black_box(chunk.clone()));
                    black_box(&stream.out);
                }
            };
            group.bench_function(format!("{}--{}", client.name, backend.name), |b| {
                b.iter_batched_ref(begin, run, BatchSize::SmallInput);
            });
        }
    }
    group.finish();
}

struct Stream {
    splitter: Splitter,
    decoder: Box<dyn StreamDecoder>,
    encoder: Box<dyn StreamEncoder>,
    out: Vec<u8>,
}

impl Stream {
    fn push(&mut self, chunk: Bytes) {
        let Self { splitter, decoder, encoder, out } = self;
        let judge = |event: tollgate_formats::sse::Event<'_>| {
            decoder.read(event.name, event.data, &mut |event| encoder.write(&event, out)).unwrap();
            Action::Keep
        };
        splitter.push(chunk, judge).unwrap();
    }
}

criterion_group!(benches, pairs, streams);
criterion_main!(benches);
