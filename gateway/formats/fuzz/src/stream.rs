//! A stream through a decoder and every encoder, with what decoders promise and what clients must get.

use bytes::Bytes;
use tollgate_formats::FormatError;
use tollgate_formats::exchange::{StreamEncoder, StreamEvent};
use tollgate_formats::sse::{Splitter, Action};

use crate::check;
use crate::formats::{Backend, CLIENTS, shown};
use crate::order::Order;

/// Largest event, bytes; larger than any input, so that it does not matter where an input is cut.
const LIMIT: usize = 1 << 20;

/// How a translated stream is written.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// Whether the client asked for usage.
    pub include_usage: bool,
    /// Whether the client reads calls in the old form only.
    pub legacy_functions: bool,
}

/// What came of a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What each client got.
    pub written: Vec<Vec<u8>>,
    /// Why it broke off.
    pub broken: Option<FormatError>,
}

struct Translation {
    decoder: Box<dyn tollgate_formats::exchange::StreamDecoder>,
    encoders: Vec<Box<dyn StreamEncoder>>,
    order: Order,
    outcome: Outcome,
}

impl Translation {
    fn new(backend: &Backend, choice: Choice) -> Self {
        let encoder = |client: &crate::formats::Client| {
            (client.encoder)(shown(choice.legacy_functions), choice.include_usage)
        };
        Self {
            decoder: (backend.decoder)(),
            encoders: CLIENTS.iter().map(encoder).collect(),
            order: Order::default(),
            outcome: Outcome { written: vec![Vec::new(); CLIENTS.len()], broken: None },
        }
    }

    /// One event through all formats; none is the end of the backend's body.
    fn take(&mut self, event: Option<(Option<&str>, &str)>) {
        let Self { decoder, encoders, order, outcome } = self;
        if outcome.broken.is_some() {
            return;
        }
        let written = &mut outcome.written;
        let mut each = |event: StreamEvent<'_>| {
            order.check(&event);
            for (encoder, out) in encoders.iter_mut().zip(&mut *written) {
                encoder.write(&event, out);
            }
        };
        outcome.broken = match event {
            Some((name, data)) => decoder.read(name, data, &mut each).err(),
            None => decoder.finish(&mut each).err(),
        };
    }

    fn finish(mut self) -> Outcome {
        self.take(None);
        for written in &self.outcome.written {
            check::events(written);
        }
        self.outcome
    }
}

/// Translates events.
///
/// # Panics
/// When a promise is broken.
pub fn translate<'e>(
    backend: &Backend,
    choice: Choice,
    events: impl IntoIterator<Item = (Option<&'e str>, &'e str)>,
) -> Outcome {
    let mut translation = Translation::new(backend, choice);
    for (name, data) in events {
        translation.take(Some((name, data)));
    }
    translation.finish()
}

/// Translates server-sent events in pieces.
///
/// # Panics
/// When a promise is broken.
pub fn translate_pieces(backend: &Backend, choice: Choice, pieces: &[&[u8]]) -> Outcome {
    let mut translation = Translation::new(backend, choice);
    let mut splitter = Splitter::new(LIMIT);
    for piece in pieces {
        let pushed = splitter.push(Bytes::copy_from_slice(piece), |event| {
            translation.take(Some((event.name, event.data)));
            Action::Keep
        });
        assert!(pushed.is_ok(), "no event is that large");
    }
    translation.finish()
}
