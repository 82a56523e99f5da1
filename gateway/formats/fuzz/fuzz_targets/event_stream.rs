//! The binary framing of AWS streams: wherever the bytes are cut, the same messages are seen and the same error;
//! what was encoded is decoded.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tollgate_formats::bedrock::event_stream::{EventStreamError, Header, Message, Parser, Value, encode};
use tollgate_formats::bedrock::stream::name_and_data;
use tollgate_fuzz::cuts;

#[derive(Debug, Arbitrary)]
struct Input {
    seed: u64,
    /// The parser's bound, where it is a small one.
    limit: Option<u16>,
    stream: Stream,
}

#[derive(Debug, Arbitrary)]
enum Stream {
    /// Any bytes, with checksums made right or not.
    Bytes { repair: bool, bytes: Vec<u8> },
    /// Messages, perhaps with one byte changed and with something behind.
    Messages { messages: Vec<Given>, change: Option<(u16, u8)>, behind: Vec<u8> },
}

#[derive(Debug, Arbitrary)]
struct Given {
    headers: Vec<(String, Kind)>,
    payload: Vec<u8>,
}

#[derive(Debug, Arbitrary)]
enum Kind {
    Bool(bool),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Bytes(Vec<u8>),
    Text(String),
    /// Words that mean something.
    Word(u8),
    Timestamp(i64),
    Uuid([u8; 16]),
}

const WORDS: [&str; 5] = ["event", "exception", "error", "messageStart", "application/json"];

impl Kind {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Byte(value) => Value::Byte(*value),
            Self::Short(value) => Value::Short(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Long(value) => Value::Long(*value),
            Self::Bytes(value) => Value::Bytes(value),
            Self::Text(value) => Value::Text(value),
            Self::Word(word) => Value::Text(*tollgate_fuzz::pick(&WORDS, *word)),
            Self::Timestamp(value) => Value::Timestamp(*value),
            Self::Uuid(value) => Value::Uuid(*value),
        }
    }
}

/// What came of a stream: messages as text, and the error.
type Outcome = (Vec<String>, Result<(), EventStreamError>);

fuzz_target!(|input: Input| {
    let limit = input.limit.map_or(1 << 24, usize::from);
    let (bytes, expected) = match input.stream {
        Stream::Bytes { repair, mut bytes } => {
            if repair {
                make_right(&mut bytes);
            }
            (bytes, None)
        }
        Stream::Messages { messages, change, behind } => {
            let (mut bytes, expected) = encoded(&messages);
            let is_whole = change.is_none() && behind.is_empty() && input.limit.is_none();
            if let Some((place, bits)) = change
                && let Some(byte) = bytes.get_mut(usize::from(place))
            {
                *byte ^= bits;
            }
            bytes.extend(behind);
            (bytes, is_whole.then_some(expected))
        }
    };
    let mut outcomes = cuts::ways(&bytes, input.seed).into_iter().map(|way| parsed(&way, limit));
    let whole = outcomes.next().expect("there is always the whole");
    for outcome in outcomes {
        assert_eq!(outcome, whole);
    }
    if let Some(expected) = expected {
        assert_eq!(whole, (expected, Ok(())));
    }
});

fn encoded(messages: &[Given]) -> (Vec<u8>, Vec<String>) {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for given in messages {
        let headers: Vec<Header<'_>> =
            given.headers.iter().map(|(name, kind)| Header { name, value: kind.value() }).collect();
        let start = bytes.len();
        match encode(&headers, &given.payload, &mut bytes) {
            Ok(()) => expected.push(said(&Message { headers: headers.into(), payload: &given.payload })),
            Err(_) => assert_eq!(bytes.len(), start, "what cannot be encoded leaves nothing behind"),
        }
    }
    (bytes, expected)
}

fn parsed(pieces: &[&[u8]], limit: usize) -> Outcome {
    let mut parser = Parser::new(limit);
    let mut messages = Vec::new();
    let mut broken = Ok(());
    for piece in pieces {
        let pushed = parser.push(piece, |message| {
            let _ = name_and_data(&message);
            messages.push(said(&message));
        });
        if broken.is_err() {
            assert_eq!(pushed, broken, "an error stays");
        }
        broken = pushed;
        assert!(parser.held() <= limit.max(16), "no more is held than a message may have");
    }
    assert!(broken.is_ok() || parser.finish() == broken);
    (messages, parser.finish())
}

fn said(message: &Message<'_>) -> String {
    format!("{:?} {:?} {message:?}", message.kind(), message.name())
}

/// Makes the checksums of frames right whose lengths fit.
fn make_right(mut bytes: &mut [u8]) {
    while let Some(prelude) = bytes.first_chunk::<8>() {
        let length = u32::from_be_bytes([0, 0, prelude[2], prelude[3]]) as usize;
        let length = length.clamp(16, bytes.len().max(16));
        if length > bytes.len() {
            return;
        }
        let (frame, rest) = bytes.split_at_mut(length);
        frame[..4].copy_from_slice(&(length as u32).to_be_bytes());
        let lengths = crc32fast::hash(&frame[..8]);
        frame[8..12].copy_from_slice(&lengths.to_be_bytes());
        let whole = crc32fast::hash(&frame[..length - 4]);
        frame[length - 4..].copy_from_slice(&whole.to_be_bytes());
        bytes = rest;
    }
}
