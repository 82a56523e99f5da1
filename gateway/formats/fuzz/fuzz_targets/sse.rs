//! Server-sent events: wherever the bytes are cut, the same events are seen and the same bytes relayed.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tollgate_formats::sse::{Splitter, TooLarge, Action};
use tollgate_fuzz::{cuts, head};

/// What came of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    events: Vec<(Option<String>, String)>,
    relayed: Vec<u8>,
    rest: Bytes,
}

fuzz_target!(|data: &[u8]| {
    let Some(([drops, limit, seed], body)) = head(data) else { return };
    // Mostly as large as can be; small ones are met by events of any size.
    let limit = if limit < 128 { 1 << 20 } else { usize::from(limit) - 120 };
    let mut outcomes = cuts::ways(body, u64::from(seed)).into_iter().map(|way| split(&way, limit, drops));
    let whole = outcomes.next().expect("there is always the whole");
    for outcome in outcomes {
        assert_eq!(outcome, whole);
    }
    if let (Ok(whole), 0) = (&whole, drops) {
        assert_eq!([&whole.relayed[..], &whole.rest].concat(), body, "nothing is lost or added");
    }
});

fn split(pieces: &[&[u8]], limit: usize, drops: u8) -> Result<Outcome, TooLarge> {
    let mut splitter = Splitter::new(limit);
    let mut outcome = Outcome { events: Vec::new(), relayed: Vec::new(), rest: Bytes::new() };
    for piece in pieces {
        let relayed = splitter.push(Bytes::copy_from_slice(piece), |event| {
            outcome.events.push((event.name.map(str::to_owned), event.data.to_owned()));
            // Whether an event stays depends on what it says, not on how it came.
            match drops > 0 && event.data.len() % usize::from(drops) == 0 {
                true => Action::Drop,
                false => Action::Keep,
            }
        })?;
        outcome.relayed.extend_from_slice(&relayed);
    }
    outcome.rest = splitter.end(|_| None);
    Ok(outcome)
}
