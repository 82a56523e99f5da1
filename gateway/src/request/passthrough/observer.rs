//! Reads an answer along that passes as it is: what was used, by which model, whether it came to its end. What it
//! cannot read it lets be; the bytes are no concern of it. Pure but for the memory it counts.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tollgate_admission::Held;
use tollgate_config::ServerConfig;
use tollgate_crossing::Decoder;
use tollgate_crossing::known::{self, AnswerFacts, Reading};
use tollgate_formats::Usage;
use tollgate_formats::bedrock::{self, event_stream};
use tollgate_formats::exchange::{StreamDecoder, StreamEvent};
use tollgate_formats::openai_media::usage::Along;
use tollgate_formats::sse::{Action, Splitter};

use crate::books::measure::Produced;
use crate::headers::has_type;
use crate::request::stream::meter::Meter;

/// Reads one answer along.
pub struct Observer {
    source: Source,
    heard: Heard,
}

/// What was heard so far.
#[derive(Debug, Default)]
struct Heard {
    usage: Option<Usage>,
    model: Option<String>,
    /// What a whole answer says, where it does not say what was used.
    text: Option<String>,
    /// What events say.
    meter: Meter,
    /// Bytes of which no more is known.
    unread: u64,
    done: bool,
    failed: bool,
}

enum Source {
    /// Nothing can be read of it, or nothing more.
    Blind,
    /// Read at its end.
    Whole { reading: Reading, body: BytesMut, limit: usize, held: Held },
    /// Server-sent events of an API format.
    Events(Splitter, Box<dyn StreamDecoder>),
    /// The same about media.
    Media(Splitter, Along),
    /// Amazon's binary events of Converse.
    Converse(event_stream::Parser, Box<bedrock::stream::Decoder>),
    /// Amazon's binary events of InvokeModel.
    Invoke(event_stream::Parser),
}

impl Observer {
    /// Of a successful answer with this head; `reading` where it is known. Whole answers and single events are
    /// read within the bounds of `server`, whole ones while there is memory to hold them in `held`.
    #[must_use]
    pub fn new(reading: Option<Reading>, headers: &HeaderMap, server: &ServerConfig, held: Held) -> Self {
        let mut heard = Heard::default();
        let compressed = headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        let Some(reading) = reading else { return Self { source: Source::Blind, heard } };
        heard.usage = reading.of_headers(headers);
        let binary = has_type(headers, "application/vnd.amazon.eventstream");
        let events = has_type(headers, "text/event-stream");
        let json = has_type(headers, "application/json");
        let event = server.max_event.as_usize();
        let source = match reading {
            _ if compressed => Source::Blind,
            Reading::Invoke if binary => Source::Invoke(event_stream::Parser::new(event)),
            Reading::Wire(wire) if binary || events => match (wire.media(), wire.decoder()) {
                (Some(kind), _) if events => Source::Media(Splitter::new(event), Along::new(kind)),
                (None, Decoder::Sse(decoder)) if events => Source::Events(Splitter::new(event), decoder),
                (None, Decoder::EventStream(decoder)) if binary => {
                    Source::Converse(event_stream::Parser::new(event), Box::new(decoder))
                }
                _ => Source::Blind,
            },
            Reading::Wire(_) if json => {
                let limit = server.max_answer(reading.is_embeddings()).as_usize();
                Source::Whole { reading, body: BytesMut::new(), limit, held }
            }
            _ => Source::Blind,
        };
        Self { source, heard }
    }

    /// The next bytes of the answer.
    pub fn read(&mut self, data: &Bytes) {
        let Self { source, heard } = self;
        let bytes = data.len() as u64;
        let readable = match source {
            Source::Blind => {
                heard.unread += bytes;
                true
            }
            Source::Whole { body, limit, held, .. } => {
                heard.unread += bytes;
                let fits = body.len() + data.len() <= *limit && held.grow(data.len() as u64);
                if fits {
                    body.extend_from_slice(data);
                }
                fits
            }
            Source::Events(splitter, decoder) => {
                let split = splitter.push(data.clone(), |event| {
                    // The client may understand more than the gateway does.
                    let _ = decoder.read(event.name, event.data, &mut |step| heard.note(&step));
                    Action::Keep
                });
                split.is_ok()
            }
            Source::Media(splitter, along) => {
                let split = splitter.push(data.clone(), |event| {
                    along.read(event.data);
                    Action::Keep
                });
                heard.usage = along.usage();
                split.is_ok()
            }
            Source::Converse(parser, decoder) => {
                let read = parser.push(data, |message| {
                    let _ = decoder.read_message(&message, &mut |step| heard.note(&step));
                });
                read.is_ok()
            }
            Source::Invoke(parser) => {
                let read = parser.push(data, |message| {
                    heard.unread += bedrock::invoke::text_bytes_of_chunk(message.payload);
                    if let Some(usage) = bedrock::invoke::usage_of_chunk(message.payload) {
                        heard.usage.get_or_insert_default().update(&usage);
                    }
                });
                read.is_ok()
            }
        };
        if !readable {
            // Its memory is given back; what was heard stays.
            *source = Source::Blind;
        }
    }

    /// The answer came to its end.
    pub fn end(&mut self) {
        self.heard.done = true;
        let Self { source, heard } = self;
        match std::mem::replace(source, Source::Blind) {
            Source::Whole { reading, body, .. } => {
                let AnswerFacts { usage, model, text } = reading.of_answer(&body.freeze());
                if usage.is_some() || text.is_some() {
                    heard.unread = 0;
                }
                heard.usage = heard.usage.or(usage);
                heard.text = text;
                heard.model = heard.model.take().or(model);
            }
            Source::Events(mut splitter, mut decoder) => {
                let _ = splitter.end(|event| {
                    let read = decoder.read(event.name, event.data, &mut |step| heard.note(&step));
                    read.ok().map(|()| Action::Keep)
                });
                // Some formats say what they owe when their bytes end.
                let _ = decoder.finish(&mut |step| heard.note(&step));
            }
            Source::Blind | Source::Media(..) | Source::Converse(..) | Source::Invoke(_) => {}
        }
    }

    /// Whether the model has said its last word, with or without the end of the bytes.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.heard.done
    }

    /// Whether the backend ended its stream with an error.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.heard.failed
    }

    /// Whether the backend has said something that is no failure, as far as can be told.
    #[must_use]
    pub fn answers(&self) -> bool {
        match self.source {
            Source::Events(..) | Source::Converse(..) => self.heard.meter.answers(),
            _ => !self.heard.failed,
        }
    }

    /// Whether the answer is a stream of events.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(
            self.source,
            Source::Events(..) | Source::Media(..) | Source::Converse(..) | Source::Invoke(_)
        )
    }

    /// The model, once it is named.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.heard.model.as_deref()
    }

    /// What the attempt produced so far.
    #[must_use]
    pub fn produced(&self) -> Produced<'_> {
        let Heard { usage, text, meter, unread, done, failed, .. } = &self.heard;
        let read = meter.produced();
        Produced {
            usage: *usage,
            complete: *done && !failed,
            text: text.as_deref().unwrap_or(read.text),
            text_beyond: read.text_beyond.saturating_add(*unread),
            body: 0,
            prompt_sent: true,
        }
    }
}

impl Heard {
    fn note(&mut self, step: &StreamEvent<'_>) {
        self.meter.read(step);
        match step {
            StreamEvent::Start { model, .. } if self.model.is_none() => self.model = known::name(model),
            StreamEvent::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            StreamEvent::End => self.done = true,
            StreamEvent::Failed(_) => (self.done, self.failed) = (true, true),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "observer_tests.rs"]
mod tests;
