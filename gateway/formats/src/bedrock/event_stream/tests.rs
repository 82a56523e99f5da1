//! Frames survive any cut; broken frames are told apart; no bytes make the parser panic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What a message says, owned.
type Seen = (Vec<(String, String)>, Vec<u8>);

fn seen(message: &Message<'_>) -> Seen {
    let headers = message
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), format!("{:?}", header.value)))
        .collect();
    (headers, message.payload.to_vec())
}

fn parsed(chunks: &[&[u8]]) -> Result<Vec<Seen>, EventStreamError> {
    let mut parser = Parser::default();
    let mut all = Vec::new();
    for chunk in chunks {
        parser.push(chunk, |message| all.push(seen(&message)))?;
    }
    parser.finish().map(|()| all)
}

fn three_messages() -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_event("messageStart", r#"{"role":"assistant"}"#, &mut bytes).unwrap();
    let every_type = [
        Value::Bool(true),
        Value::Bool(false),
        Value::Byte(-7),
        Value::Short(-300),
        Value::Int(-70_000),
        Value::Long(i64::MIN),
        Value::Bytes(&[0, 255]),
        Value::Text("größe"),
        Value::Timestamp(1_700_000_000_000),
        Value::Uuid([9; 16]),
    ];
    let headers: Vec<_> = every_type.into_iter().map(|value| Header { name: "x", value }).collect();
    encode(&headers, &[], &mut bytes).unwrap();
    encode_event("messageStop", r#"{"stopReason":"end_turn"}"#, &mut bytes).unwrap();
    bytes
}

#[test]
fn every_type_of_header_is_read_as_it_was_written() {
    let all = parsed(&[&three_messages()]).unwrap();
    let values: Vec<_> = all[1].0.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values[2..6], ["Byte(-7)", "Short(-300)", "Int(-70000)", "Long(-9223372036854775808)"]);
    assert_eq!(values[7], r#"Text("größe")"#);
    assert_eq!(all[0].0[0], (":event-type".to_owned(), r#"Text("messageStart")"#.to_owned()));
    assert_eq!(all[2].1, br#"{"stopReason":"end_turn"}"#);
}

/// The empty message of the published test vectors (AWS SDK, `eventstream` test suite).
#[test]
fn the_published_vectors_are_read() {
    let empty = [0, 0, 0, 16, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
    assert_eq!(parsed(&[&empty]).unwrap(), [(Vec::new(), Vec::new())]);
    let mut written = Vec::new();
    encode(&[], &[], &mut written).unwrap();
    assert_eq!(written, empty);
}

#[test]
fn a_cut_at_any_byte_gives_the_same_messages() {
    let bytes = three_messages();
    let whole = parsed(&[&bytes]).unwrap();
    for cut in 0..=bytes.len() {
        let (before, after) = bytes.split_at(cut);
        assert_eq!(parsed(&[before, after]).unwrap(), whole, "cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(parsed(&single).unwrap(), whole);
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let mut bytes = Vec::new();
    encode_event("messageStart", r#"{"role":"assistant"}"#, &mut bytes).unwrap();
    for place in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[place] ^= 0x10;
        let error = parsed(&[&flipped]).unwrap_err();
        let expected =
            if place < 12 { EventStreamError::PreludeChecksum } else { EventStreamError::MessageChecksum };
        assert_eq!(error, expected, "byte {place}");
    }
}

fn prelude(total: u32, headers: u32) -> Vec<u8> {
    let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

#[test]
fn lengths_that_cannot_be_are_refused_before_anything_is_held() {
    let error = |bytes: &[u8]| Parser::default().push(bytes, |_| {}).unwrap_err();
    assert_eq!(error(&prelude(15, 0)), EventStreamError::Length { total: 15, headers: 0 });
    assert_eq!(error(&prelude(100, 85)), EventStreamError::Length { total: 100, headers: 85 });
    let total = u32::MAX;
    assert_eq!(error(&prelude(total, 0)), EventStreamError::TooLarge { total, limit: MAX_MESSAGE_BYTES });
    let headers = 128 * 1024 + 1;
    assert_eq!(error(&prelude(1 << 20, headers)), EventStreamError::Length { total: 1 << 20, headers });
}

#[test]
fn a_header_that_runs_over_its_block_is_refused() {
    for block in [&[5, b'a'][..], &[1, b'a'], &[1, b'a', 10], &[1, b'a', 7, 0, 9, b'x'], &[1, 0xff, 0]] {
        let mut bytes = prelude(u32::try_from(block.len() + 16).unwrap(), block.len().try_into().unwrap());
        bytes.extend_from_slice(block);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        assert!(matches!(parsed(&[&bytes]), Err(EventStreamError::Headers(_))), "{block:?}");
    }
}

#[test]
fn a_broken_stream_stays_broken_and_holds_nothing() {
    let mut parser = Parser::default();
    assert_eq!(parser.push(&[1; 12], |_| {}), Err(EventStreamError::PreludeChecksum));
    assert_eq!(parser.push(&three_messages(), |_| {}), Err(EventStreamError::PreludeChecksum));
    assert_eq!((parser.held(), parser.finish()), (0, Err(EventStreamError::PreludeChecksum)));
}

#[test]
fn a_stream_that_ends_within_a_message_is_cut_short() {
    let bytes = three_messages();
    assert_eq!(parsed(&[&bytes[..bytes.len() - 1]]), Err(EventStreamError::Truncated));
    assert_eq!(FormatError::from(EventStreamError::Truncated), FormatError::CutShort);
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic_or_hold_more_than_they_are(chunks in vec(vec(any::<u8>(), 0..40), 0..8)) {
        let mut parser = Parser::new(64);
        for chunk in &chunks {
            let _ = parser.push(chunk, |_| {});
            prop_assert!(parser.held() <= 64);
        }
    }

    #[test]
    fn no_headers_make_the_parser_panic(block in vec(any::<u8>(), 0..80), payload in vec(any::<u8>(), 0..20)) {
        let mut bytes =
            prelude((block.len() + payload.len() + 16).try_into().unwrap(), block.len().try_into().unwrap());
        bytes.extend_from_slice(&block);
        bytes.extend_from_slice(&payload);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        let _ = parsed(&[&bytes]);
    }

    #[test]
    fn what_is_written_is_read_however_it_is_cut(
        payloads in vec(vec(any::<u8>(), 0..60), 1..6),
        cuts in vec(0_usize..400, 0..6),
    ) {
        let mut bytes = Vec::new();
        for payload in &payloads {
            encode(&[Header { name: "n", value: Value::Text("v") }], payload, &mut bytes).unwrap();
        }
        let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let chunks: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let found: Vec<_> = parsed(&chunks).unwrap().into_iter().map(|(_, payload)| payload).collect();
        prop_assert_eq!(found, payloads);
    }
}
