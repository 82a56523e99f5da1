//! Streams of every backend's format from events that are nearly right, in any order, written for every client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_fuzz::events::Stream;
use tollgate_fuzz::formats::BACKENDS;
use tollgate_fuzz::stream::{Choice, translate};

fuzz_target!(|input: (bool, bool, Stream)| {
    let (include_usage, legacy_functions, stream) = input;
    let choice = Choice { include_usage, legacy_functions };
    let (format, events) = stream.events();
    let backend = BACKENDS.iter().find(|backend| backend.name == format).expect("the format is known");
    let read = |events: &[(Option<&'static str>, String)]| {
        translate(backend, choice, events.iter().map(|(name, data)| (*name, data.as_str())))
    };
    let outcome = read(&events);
    // White space means nothing, but it keeps decoders from short cuts.
    let spaced: Vec<_> = events
        .iter()
        .map(|(name, data)| (*name, if data.starts_with('{') { format!(" {data}") } else { data.clone() }))
        .collect();
    let spaced = read(&spaced);
    assert!(spaced.broken.is_some() || spaced == outcome, "{events:?}");
});
