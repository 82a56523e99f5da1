//! Streams of events, cut anywhere.

use super::*;
use proptest::prelude::*;

/// Bytes that were relayed and (name, data) of the events that were seen.
type Seen = (Vec<u8>, Vec<(Option<String>, String)>);

fn run(chunks: &[&[u8]], drop: &str) -> Seen {
    let mut splitter = Splitter::new(1 << 16);
    let (mut relayed, mut seen) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let bytes = splitter
            .push(Bytes::copy_from_slice(chunk), |event| {
                seen.push((event.name.map(str::to_owned), event.data.to_owned()));
                if event.data == drop { Action::Drop } else { Action::Keep }
            })
            .unwrap();
        relayed.extend_from_slice(&bytes);
    }
    relayed.extend_from_slice(&splitter.end(|_| None));
    (relayed, seen)
}

fn unnamed(data: &str) -> (Option<String>, String) {
    (None, data.to_owned())
}

#[test]
fn whole_events_are_relayed_without_a_copy() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
    let out = Splitter::new(100).push(chunk.clone(), |_| Action::Keep).unwrap();
    assert_eq!(out.as_ptr(), chunk.as_ptr());
    assert_eq!(out.len(), chunk.len());
}

#[test]
fn a_dropped_event_leaves_no_trace() {
    let (relayed, seen) = run(&[b"data: a\n\ndata: x\n\ndata: b\n\n"], "x");
    assert_eq!(relayed, b"data: a\n\ndata: b\n\n");
    assert_eq!(seen, [unnamed("a"), unnamed("x"), unnamed("b")]);
}

#[test]
fn an_event_with_other_data_keeps_its_other_bytes() {
    let stream = b": hi\n\nevent: e\r\nid: 1\r\ndata:x\r\n\r\ndata: b\n\ndata: x\ndata: y\nevent: f\n\n";
    let replaced = Splitter::new(100).push(Bytes::from_static(stream), |event| match event.data {
        "x" => Action::Replace("longer".to_owned()),
        "x\ny" => Action::Replace("1\n2".to_owned()),
        _ => Action::Keep,
    });
    let expected =
        b": hi\n\nevent: e\r\nid: 1\r\ndata:longer\r\n\r\ndata: b\n\nevent: f\ndata: 1\ndata: 2\n\n";
    assert_eq!(replaced.unwrap(), &expected[..]);
}

#[test]
fn an_event_beyond_the_bound_is_refused_wherever_it_is_cut() {
    let text = b"data: 789\n\n";
    let push = |splitter: &mut Splitter, piece: &'static [u8]| {
        splitter.push(Bytes::from_static(piece), |_| Action::Keep).map(|out| out.len())
    };
    for limit in [text.len() - 1, text.len()] {
        let expected = if limit < text.len() { Err(TooLarge { limit }) } else { Ok(text.len()) };
        assert_eq!(push(&mut Splitter::new(limit), text), expected);
        for at in 1..text.len() {
            let (first, second) = text.split_at(at);
            let mut splitter = Splitter::new(limit);
            assert_eq!(push(&mut splitter, first), Ok(0));
            assert_eq!(push(&mut splitter, second), expected, "cut at {at}");
        }
    }
}

#[test]
fn the_judge_reads_the_name_of_an_event() {
    let text =
        b"event: message_start\ndata: 1\n\nevent:ping\ndata: 2\n\nevent\ndata: 3\n\nevents: no\ndata: 4\n\n";
    let names: Vec<_> = run(&[text], "x").1.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [Some("message_start".to_owned()), Some("ping".to_owned()), None, None]);
}

#[test]
fn a_byte_order_mark_is_allowed_at_the_start_of_a_stream_only() {
    let (_, seen) = run(&[b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n"], "x");
    assert_eq!(seen, [unnamed("a")]);
}

#[test]
fn every_cut_gives_the_same_events_and_bytes() {
    let text =
        "event: e\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n: comment\n\ndata:x\n\nid: 7\rdata\r\rdata: é\n\n\r\n";
    let whole = run(&[text.as_bytes()], "x");
    let named = (Some("e".to_owned()), "{\"a\":\n1}".to_owned());
    assert_eq!(whole.1, [named, unnamed("x"), unnamed(""), unnamed("é")]);
    for cut in 0..=text.len() {
        let (head, tail) = text.as_bytes().split_at(cut);
        assert_eq!(run(&[head, tail], "x"), whole, "cut at {cut}");
    }
    let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(run(&single, "x"), whole);
}

#[test]
fn an_event_without_end_is_refused_at_the_bound() {
    let mut splitter = Splitter::new(10);
    assert!(splitter.push(Bytes::from_static(b"data: 12345"), |_| Action::Keep).is_err());
}

/// Pieces of streams, so that random streams hold events.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"data: x".to_vec()),
        Just(b"data:".to_vec()),
        Just(b"event: e".to_vec()),
        Just(b": c".to_vec()),
        Just(b"\xef\xbb\xbf".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_is_lost_or_invented_wherever_it_is_cut(bytes in stream(), cuts in proptest::collection::vec(0usize..300, 0..6)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for to in cuts.into_iter().chain([bytes.len()]) {
            chunks.push(&bytes[from..to]);
            from = to;
        }
        let seen = run(&chunks, "never");
        prop_assert_eq!(&seen.0, &bytes);
        prop_assert_eq!(run(&[&bytes], "never"), seen);
    }

    #[test]
    fn every_single_cut_is_seen_alike(bytes in stream()) {
        let whole = run(&[&bytes], "x");
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            prop_assert_eq!(&run(&[head, tail], "x"), &whole, "cut at {}", cut);
        }
    }
}

#[test]
fn a_last_event_without_its_blank_line_is_read_and_given_back_with_it() {
    for (sent, given) in [
        ("data: x", "data: x\n\n"),
        ("data: x\n", "data: x\n\n"),
        ("event: e\r\ndata: x\r\n", "event: e\r\ndata: x\r\n\n"),
    ] {
        let mut splitter = Splitter::new(1 << 16);
        let before = splitter.push(sent.into(), |_| Action::Keep).unwrap();
        let mut seen = String::new();
        let rest = splitter.end(|event| {
            seen.push_str(event.data);
            Some(Action::Keep)
        });
        assert_eq!((&*before, &*rest, &*seen), (&b""[..], given.as_bytes(), "x"), "{sent:?}");
    }
}

#[test]
fn a_last_event_that_cannot_be_read_stays_as_it_came() {
    let mut splitter = Splitter::new(1 << 16);
    let _ = splitter.push("data: {\"half".into(), |_| Action::Keep).unwrap();
    assert_eq!(splitter.end(|_| None), "data: {\"half");
    assert_eq!(splitter.end(|_| Some(Action::Keep)), "");
}
