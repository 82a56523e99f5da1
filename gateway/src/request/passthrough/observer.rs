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
                let limit = server.max_answer.as_usize();
                Source::Whole { reading, body: BytesMut::new(), limit, held }
            }
            _ => Source::Blind,
        };
        Self { source, heard }
    }

    /// The next bytes of the answer.
    pub fn read(&mut self, data: &Bytes) {
        let Self { source, heard } = self;
        let readable = match source {
            Source::Blind => true,
            Source::Whole { body, limit, held, .. } => {
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
                let AnswerFacts { usage, model } = reading.of_answer(&body.freeze());
                heard.usage = heard.usage.or(usage);
                heard.model = heard.model.take().or(model);
            }
            Source::Events(_, mut decoder) => {
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
    pub fn produced(&self) -> Produced<'static> {
        Produced {
            usage: self.heard.usage,
            complete: self.heard.done && !self.heard.failed,
            prompt_sent: true,
            ..Produced::default()
        }
    }
}

impl Heard {
    fn note(&mut self, step: &StreamEvent<'_>) {
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
