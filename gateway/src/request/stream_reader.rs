//! A backend's bytes to the client's: split into events, read along, passed on or translated.

use bytes::Bytes;
use tollgate_formats::FormatError;
use tollgate_formats::bedrock::{self, event_stream};
use tollgate_formats::exchange::{StreamDecoder, StreamEncoder};
use tollgate_formats::sse::{Action, Splitter};

use super::meter::Meter;
use super::response_ids::IdRewriter;
use crate::formats::Decoder;
use crate::formats::crossing::StreamCrossing;

/// Reads one stream. Pure: bytes in, bytes out.
pub struct StreamReader {
    source: Source,
    encoder: Option<Box<dyn StreamEncoder>>,
    /// Whether an event that only reports usage is taken out, where bytes pass.
    hide_usage: bool,
    ids: Option<IdRewriter>,
    meter: Meter,
}

enum Source {
    Sse(Splitter, Box<dyn StreamDecoder>),
    EventStream(event_stream::Parser, bedrock::stream::Decoder),
}

impl StreamReader {
    /// A reader for one answer that refuses events of more than `max_event` bytes.
    #[must_use]
    pub fn new(
        crossing: StreamCrossing,
        max_event: usize,
        hide_usage: bool,
        ids: Option<IdRewriter>,
    ) -> Self {
        let StreamCrossing { decoder, encoder } = crossing;
        let source = match decoder {
            Decoder::Sse(decoder) => Source::Sse(Splitter::new(max_event), decoder),
            Decoder::EventStream(decoder) => {
                Source::EventStream(event_stream::Parser::new(max_event), decoder)
            }
        };
        Self { source, encoder, hide_usage, ids, meter: Meter::default() }
    }

    /// What was read so far.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The bytes for the client that these bytes of the backend bring; possibly none.
    ///
    /// # Errors
    /// When they are not what the backend's format says.
    pub fn push(&mut self, data: Bytes) -> Result<Bytes, FormatError> {
        let Self { source, encoder, hide_usage, meter, .. } = self;
        let bytes = match source {
            Source::Sse(splitter, decoder) => match encoder {
                None => pass(splitter, decoder.as_mut(), meter, *hide_usage, data)?,
                Some(encoder) => translate(splitter, decoder.as_mut(), encoder.as_mut(), meter, data)?,
            },
            Source::EventStream(parser, decoder) => {
                translate_binary(parser, decoder, encoder.as_deref_mut(), meter, &data)?
            }
        };
        Ok(match &mut self.ids {
            Some(ids) => ids.rewrite(bytes),
            None => bytes,
        })
    }

    /// The backend's body ended: the last bytes for the client.
    ///
    /// # Errors
    /// [`FormatError::CutShort`] when the model had not finished.
    pub fn finish(&mut self) -> Result<Bytes, FormatError> {
        let Self { source, encoder, meter, .. } = self;
        let (decoder, rest): (&mut dyn StreamDecoder, Bytes) = match source {
            Source::Sse(splitter, decoder) => (decoder.as_mut(), splitter.take_rest()),
            Source::EventStream(_, decoder) => (decoder, Bytes::new()),
        };
        let mut out = Vec::new();
        decoder.finish(&mut |event| {
            meter.read(&event);
            if let Some(encoder) = encoder {
                encoder.write(&event, &mut out);
            }
        })?;
        Ok(if encoder.is_some() { out.into() } else { rest })
    }
}

/// Bytes pass, and are read along.
fn pass(
    splitter: &mut Splitter,
    decoder: &mut dyn StreamDecoder,
    meter: &mut Meter,
    hide_usage: bool,
    data: Bytes,
) -> Result<Bytes, FormatError> {
    let passed = splitter.push(data, |event| {
        meter.begin_event();
        // What cannot be read passes: the client may understand more than the gateway does.
        let _ = decoder.read(event.name, event.data, &mut |step| meter.read(&step));
        if hide_usage && meter.was_only_usage() { Action::Drop } else { Action::Keep }
    });
    passed.map_err(|error| FormatError::invalid(error.to_string(), None))
}

/// Every event is read and told anew.
fn translate(
    splitter: &mut Splitter,
    decoder: &mut dyn StreamDecoder,
    encoder: &mut dyn StreamEncoder,
    meter: &mut Meter,
    data: Bytes,
) -> Result<Bytes, FormatError> {
    let (mut out, mut failed) = (Vec::new(), None);
    let split = splitter.push(data, |event| {
        if failed.is_none() {
            let read = decoder.read(event.name, event.data, &mut |step| {
                meter.read(&step);
                encoder.write(&step, &mut out);
            });
            failed = read.err();
        }
        Action::Keep
    });
    split.map_err(|error| FormatError::invalid(error.to_string(), None))?;
    failed.map_or(Ok(out.into()), Err)
}

/// The same for binary events.
fn translate_binary(
    parser: &mut event_stream::Parser,
    decoder: &mut bedrock::stream::Decoder,
    mut encoder: Option<&mut (dyn StreamEncoder + 'static)>,
    meter: &mut Meter,
    data: &[u8],
) -> Result<Bytes, FormatError> {
    let (mut out, mut failed) = (Vec::new(), None);
    let split = parser.push(data, |message| {
        if failed.is_none() {
            let read = decoder.read_message(&message, &mut |event| {
                meter.read(&event);
                if let Some(encoder) = &mut encoder {
                    encoder.write(&event, &mut out);
                }
            });
            failed = read.err();
        }
    });
    split.map_err(|error| FormatError::invalid(error.to_string(), None))?;
    failed.map_or(Ok(out.into()), Err)
}
