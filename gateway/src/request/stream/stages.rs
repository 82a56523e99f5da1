//! The stages of a stream: decode, filters, encode. Pure: bytes in, bytes out.
//!
//! ```text
//! backend's bytes ─▶ decode ─▶ meter ─▶ filters ─▶ encode ─▶ client's bytes
//!                       └───────── native: bytes pass ─────────┘
//! ```
//! Where client and backend speak the same format and no filter is on, bytes pass untouched and are only read along.
//! Where the provider keeps answers, the events that name one pass with the ids that its owner sees.
//! A filter works on events, so with one the stream is encoded again in its own format. The meter reads before the
//! filters: what the model produced is what is paid for, whatever of it the client sees.

use bytes::Bytes;
use tollgate_crossing::Decoder;
use tollgate_crossing::crossing::StreamCrossing;
use tollgate_formats::FormatError;
use tollgate_formats::bedrock::{self, event_stream};
use tollgate_formats::exchange::{StreamDecoder, StreamEncoder, StreamEvent};
use tollgate_formats::sse::{Action, Event, Splitter};

use super::meter::Meter;
use crate::stored::shown_ids::ShownIds;

/// Looks at each event of an answer before the client does.
pub trait Filter {
    /// Takes an event and hands on what the client may have now: the event, another one, several, or none while it is
    /// held back.
    fn event(&mut self, event: &StreamEvent<'_>, next: &mut dyn FnMut(&StreamEvent<'_>));

    /// The backend's stream ended: hands on what is still held back.
    fn end(&mut self, next: &mut dyn FnMut(&StreamEvent<'_>));
}

/// How a stream is set up.
pub struct StageOptions {
    /// Reads the backend's events, and writes the client's where those differ.
    pub crossing: StreamCrossing,
    /// What looks at events in between, in this order.
    pub filters: Vec<Box<dyn Filter>>,
    /// Largest event that is read, bytes.
    pub max_event: usize,
    /// Whether an event that only reports usage is taken out, where bytes pass.
    pub hide_usage: bool,
    /// Ids of stored answers as their owner sees them, where bytes pass.
    pub ids: Option<ShownIds>,
}

/// One stream on its way through the stages.
pub struct Stages {
    decode: Decode,
    encode: Encode,
    meter: Meter,
}

enum Decode {
    Sse(Splitter, Box<dyn StreamDecoder>),
    EventStream(event_stream::Parser, bedrock::stream::Decoder),
}

enum Encode {
    /// Bytes pass.
    Native { hide_usage: bool, ids: Option<Box<ShownIds>> },
    /// Events are written anew.
    Events { filters: Vec<Box<dyn Filter>>, encoder: Option<Box<dyn StreamEncoder>>, out: Vec<u8> },
}

impl Stages {
    /// The stages of one answer.
    #[must_use]
    pub fn new(options: StageOptions) -> Self {
        let StageOptions { crossing, filters, max_event, hide_usage, ids } = options;
        let StreamCrossing { decoder, encoder } = crossing;
        let (decode, binary) = match decoder {
            Decoder::Sse(decoder) => (Decode::Sse(Splitter::new(max_event), decoder), false),
            Decoder::EventStream(decoder) => {
                (Decode::EventStream(event_stream::Parser::new(max_event), decoder), true)
            }
        };
        // Binary events that nobody translates are read for their usage alone.
        let native = encoder.is_none() && filters.is_empty() && !binary;
        let encode = if native {
            Encode::Native { hide_usage, ids: ids.map(Box::new) }
        } else {
            Encode::Events { filters, encoder, out: Vec::new() }
        };
        Self { decode, encode, meter: Meter::default() }
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
        let Self { decode, encode, meter } = self;
        Ok(match (decode, encode) {
            (Decode::Sse(splitter, decoder), Encode::Native { hide_usage, ids }) => {
                pass(splitter, decoder.as_mut(), meter, *hide_usage, ids.as_deref(), data)?
            }
            (Decode::Sse(splitter, decoder), encode) => {
                let mut failed = None;
                let split = splitter.push(data, |event| {
                    if failed.is_none() {
                        let mut step = |step: StreamEvent<'_>| encode.event(&step, meter);
                        failed = decoder.read(event.name, event.data, &mut step).err();
                    }
                    Action::Keep
                });
                split.map_err(|error| FormatError::invalid(error.to_string(), None))?;
                failed.map_or(Ok(()), Err)?;
                encode.take()
            }
            (Decode::EventStream(parser, decoder), encode) => {
                let mut failed = None;
                let split = parser.push(&data, |message| {
                    if failed.is_none() {
                        let mut step = |step: StreamEvent<'_>| encode.event(&step, meter);
                        failed = decoder.read_message(&message, &mut step).err();
                    }
                });
                split.map_err(|error| FormatError::invalid(error.to_string(), None))?;
                failed.map_or(Ok(()), Err)?;
                encode.take()
            }
        })
    }

    /// The backend's body ended: the last bytes for the client.
    ///
    /// # Errors
    /// [`FormatError::CutShort`] when the model had not finished.
    pub fn finish(&mut self) -> Result<Bytes, FormatError> {
        let Self { decode, encode, meter } = self;
        let (decoder, rest): (&mut dyn StreamDecoder, Bytes) = match (decode, &mut *encode) {
            (Decode::Sse(splitter, decoder), Encode::Native { hide_usage, ids }) => {
                let rest = splitter.end(|event| {
                    let (action, read) = judged(event, decoder.as_mut(), meter, *hide_usage, ids.as_deref());
                    read.ok().map(|()| action)
                });
                (decoder.as_mut(), rest)
            }
            (Decode::Sse(splitter, decoder), encode) => {
                let mut step = |step: StreamEvent<'_>| encode.event(&step, meter);
                let rest = splitter.end(|event| {
                    let read = decoder.read(event.name, event.data, &mut step);
                    read.ok().map(|()| Action::Keep)
                });
                (decoder.as_mut(), rest)
            }
            (Decode::EventStream(_, decoder), _) => (decoder, Bytes::new()),
        };
        decoder.finish(&mut |event| encode.event(&event, meter))?;
        Ok(match encode {
            Encode::Native { .. } => rest,
            Encode::Events { .. } => encode.end(),
        })
    }
}

impl Encode {
    fn event(&mut self, event: &StreamEvent<'_>, meter: &mut Meter) {
        meter.read(event);
        if let Self::Events { filters, encoder, out } = self {
            through(filters, event, &mut |event| write(encoder, event, out));
        }
    }

    /// Lets go what filters hold back, each through those after it.
    fn end(&mut self) -> Bytes {
        if let Self::Events { filters, encoder, out } = self {
            for at in 0..filters.len() {
                let (first, after) = filters.split_at_mut(at + 1);
                if let Some(filter) = first.last_mut() {
                    filter.end(&mut |event| through(after, event, &mut |event| write(encoder, event, out)));
                }
            }
        }
        self.take()
    }

    fn take(&mut self) -> Bytes {
        match self {
            Self::Native { .. } => Bytes::new(),
            Self::Events { out, .. } => std::mem::take(out).into(),
        }
    }
}

fn write(encoder: &mut Option<Box<dyn StreamEncoder>>, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
    if let Some(encoder) = encoder {
        encoder.write(event, out);
    }
}

/// An event through the filters, one after the other.
fn through(filters: &mut [Box<dyn Filter>], event: &StreamEvent<'_>, last: &mut dyn FnMut(&StreamEvent<'_>)) {
    match filters.split_first_mut() {
        None => last(event),
        Some((first, rest)) => first.event(event, &mut |event| through(rest, event, last)),
    }
}

/// Bytes pass, and are read along.
fn pass(
    splitter: &mut Splitter,
    decoder: &mut dyn StreamDecoder,
    meter: &mut Meter,
    hide_usage: bool,
    ids: Option<&ShownIds>,
    data: Bytes,
) -> Result<Bytes, FormatError> {
    // What cannot be read passes: the client may understand more than the gateway does.
    let passed = splitter.push(data, |event| judged(event, decoder, meter, hide_usage, ids).0);
    passed.map_err(|error| FormatError::invalid(error.to_string(), None))
}

/// What happens to an event that passes, and whether it could be read.
fn judged(
    event: Event<'_>,
    decoder: &mut dyn StreamDecoder,
    meter: &mut Meter,
    hide_usage: bool,
    ids: Option<&ShownIds>,
) -> (Action, Result<(), FormatError>) {
    meter.begin_event();
    let read = decoder.read(event.name, event.data, &mut |step| meter.read(&step));
    let action = if hide_usage && meter.was_only_usage() {
        Action::Drop
    } else {
        ids.and_then(|ids| ids.in_event(event.data)).map_or(Action::Keep, Action::Replace)
    };
    (action, read)
}

#[cfg(test)]
mod tests {
    use tollgate_crossing::{ClientFormat, Crossing, WayBack, Wire};
    use tollgate_formats::exchange::{AnswerHead, Delta};

    use crate::stored::response_ids::{ResponseIds, StoredAt};

    use super::*;

    const CHUNKS: [&str; 4] = [
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"he"}}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"llo"}}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ];

    /// Holds text back until the stream ends, then lets it go in capitals.
    #[derive(Default)]
    struct HoldsBack(String);

    impl Filter for HoldsBack {
        fn event(&mut self, event: &StreamEvent<'_>, next: &mut dyn FnMut(&StreamEvent<'_>)) {
            match event {
                StreamEvent::Delta { delta: Delta::Text(text), .. } => self.0.push_str(text),
                StreamEvent::PartEnd { index } => {
                    let text = std::mem::take(&mut self.0).to_uppercase();
                    next(&StreamEvent::Delta { index: *index, delta: Delta::Text(text.into()) });
                    next(event);
                }
                other => next(other),
            }
        }

        fn end(&mut self, _next: &mut dyn FnMut(&StreamEvent<'_>)) {}
    }

    fn shown() -> AnswerHead {
        AnswerHead { id: "chatcmpl-1".into(), model: "alias".into(), created_s: 1, ..AnswerHead::default() }
    }

    #[test]
    fn a_stream_of_a_stored_answer_shows_its_owner_s_id_however_it_is_cut() {
        let ids = ResponseIds::new(b"secret").unwrap();
        let at = StoredAt { backend: "openai".into(), model: "gpt".into(), id: "resp_a".into() };
        let shown_id = ids.seal("checkout", &at).unwrap();
        let event =
            |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{rest}}}\n\n");
        let response = |status: &str, id: &str| {
            let rest = format!(
                r#""response":{{"id":"{id}","object":"response","status":"{status}","output":[],"usage":null}}"#
            );
            event(&format!("response.{status}"), &rest)
        };
        let said =
            event("response.output_text.delta", r#""output_index":0,"content_index":0,"delta":"resp_a""#);
        let stream =
            |id: &str| [response("in_progress", id), said.clone(), response("completed", id)].concat();
        let sent = stream("resp_a");
        for cut in [1, 7, 64, sent.len()] {
            let way = Crossing { client: ClientFormat::Responses, wire: Wire::Responses };
            let owned = ShownIds::of_new(ids.clone(), "checkout", "openai", "gpt");
            let mut stages = Stages::new(StageOptions {
                crossing: way.stream(shown(), true, &WayBack::default()),
                filters: Vec::new(),
                max_event: 1 << 20,
                hide_usage: false,
                ids: Some(owned),
            });
            let mut got = Vec::new();
            for piece in sent.as_bytes().chunks(cut) {
                got.extend_from_slice(&stages.push(Bytes::copy_from_slice(piece)).unwrap());
            }
            assert_eq!(String::from_utf8(got).unwrap(), stream(&shown_id), "cut at {cut}");
        }
    }

    fn streamed(filters: Vec<Box<dyn Filter>>) -> (Vec<Bytes>, String, usize) {
        let way = Crossing { client: ClientFormat::Chat, wire: Wire::Chat };
        let mut crossing = way.stream(shown(), true, &WayBack::default());
        if !filters.is_empty() {
            crossing.encoder = Some(way.encoder(shown(), true));
        }
        let mut stages =
            Stages::new(StageOptions { crossing, filters, max_event: 1 << 20, hide_usage: false, ids: None });
        let sent: Vec<Bytes> = CHUNKS.iter().map(|chunk| format!("data: {chunk}\n\n").into()).collect();
        let mut got = String::new();
        for chunk in &sent {
            got.push_str(std::str::from_utf8(&stages.push(chunk.clone()).unwrap()).unwrap());
        }
        got.push_str(std::str::from_utf8(&stages.finish().unwrap()).unwrap());
        let counted = stages.meter().text().0.len();
        (sent, got, counted)
    }

    /// What a stream without its last line feed gives, by chunk and at its end.
    fn unended(client: ClientFormat) -> (String, Option<u64>, Result<(), FormatError>) {
        let way = Crossing { client, wire: Wire::Chat };
        let crossing = way.stream(shown(), true, &WayBack::default());
        let options =
            StageOptions { crossing, filters: Vec::new(), max_event: 1 << 20, hide_usage: false, ids: None };
        let mut stages = Stages::new(options);
        let last = r#"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
        let sent = format!("data: {}\n\n{last}\n", CHUNKS[0]);
        let mut got = stages.push(sent.into()).unwrap().to_vec();
        let ended = stages.finish().map(|rest| got.extend_from_slice(&rest));
        (String::from_utf8(got).unwrap(), stages.meter().produced().usage.map(|usage| usage.input), ended)
    }

    #[test]
    fn a_last_event_without_its_blank_line_ends_the_stream_and_its_usage_counts() {
        let (native, counted, ended) = unended(ClientFormat::Chat);
        assert_eq!((counted, ended), (Some(7), Ok(())));
        assert!(native.contains(r#""prompt_tokens":7"#) && native.ends_with("\n\n"), "{native}");
        let (translated, counted, ended) = unended(ClientFormat::Messages);
        assert_eq!((counted, ended), (Some(7), Ok(())));
        assert!(translated.contains(r#""stop_reason":"end_turn""#), "{translated}");
        assert!(translated.contains("message_stop"), "{translated}");
    }

    #[test]
    fn a_native_stream_without_a_filter_passes_byte_for_byte() {
        let (sent, got, _) = streamed(Vec::new());
        assert_eq!(got.as_bytes(), sent.concat());
    }

    #[test]
    fn a_filter_may_hold_back_and_change_a_native_stream() {
        let (_, got, counted) = streamed(vec![Box::new(HoldsBack::default())]);
        assert!(got.contains(r#""content":"HELLO""#) && !got.contains("llo"), "{got}");
        assert!(got.ends_with("data: [DONE]\n\n"), "{got}");
        assert_eq!(counted, "hello".len(), "what the model produced is metered");
    }
}
