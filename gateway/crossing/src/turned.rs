//! Answers that come in another way than they were asked for: events where one body was wanted, one body where events
//! were, events under the type of something else.

use bytes::Bytes;
use tollgate_formats::bedrock::event_stream::Parser;
use tollgate_formats::exchange::{AnswerHead, Gathered, StreamEvent, retell};
use tollgate_formats::sse::{Action, Splitter};
use tollgate_formats::{Answer, FormatError};

use super::crossing::{Crossing, generated};
use super::incoming::Incoming;
use super::way_back::WayBack;
use super::wire::Decoder;

/// Whether a body begins as server-sent events do; `None` while there is too little of it. JSON never begins so.
#[must_use]
pub fn begins_as_events(body: &[u8]) -> Option<bool> {
    const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    if FIELDS.iter().any(|field| body.starts_with(field)) {
        return Some(true);
    }
    let may_become = |field: &&[u8]| field.starts_with(body);
    if FIELDS.iter().any(may_become) { None } else { Some(false) }
}

impl Crossing {
    /// Whether its backend streams server-sent events.
    #[must_use]
    pub fn streams_events(self) -> bool {
        matches!(self.wire.decoder(), Decoder::Sse(_)) && !self.client.embeds()
    }

    /// A whole answer, told as the stream that the client asked for.
    ///
    /// # Errors
    /// As [`Crossing::answer`].
    pub fn as_stream(
        self,
        body: &[u8],
        shown: AnswerHead,
        include_usage: bool,
        way_back: &WayBack,
    ) -> Result<Incoming, FormatError> {
        let mut answer = self.wire.decode_answer(body).map_err(|fault| self.wire.error_in(body, fault))?;
        way_back.answer(&mut answer);
        let mut out = Vec::new();
        let mut encoder = self.encoder(self.head(&answer, shown), include_usage);
        retell(&answer, encoder.as_mut(), &mut out);
        Ok(incoming(&answer, out))
    }

    /// A stream that nobody asked for, gathered into one answer; single events are read up to `max_event` bytes.
    ///
    /// # Errors
    /// When it is not what the backend's format says, was cut, or ended with an error.
    pub fn gathered(
        self,
        body: Bytes,
        shown: AnswerHead,
        max_event: usize,
        way_back: &WayBack,
    ) -> Result<Incoming, FormatError> {
        let mut gathered = Gathered::default();
        let mut take = |event: StreamEvent<'_>| gathered.take(&event);
        let mut fault = None;
        match self.wire.decoder() {
            Decoder::Sse(mut decoder) => {
                let mut splitter = Splitter::new(max_event);
                let split = splitter.push(body, |event| {
                    if fault.is_none() {
                        fault = decoder.read(event.name, event.data, &mut take).err();
                    }
                    Action::Keep
                });
                split.map_err(|error| FormatError::invalid(error.to_string(), None))?;
                let _ = splitter
                    .end(|event| decoder.read(event.name, event.data, &mut take).ok().map(|()| Action::Keep));
                fault.map_or_else(|| decoder.finish(&mut take), Err)?;
            }
            Decoder::EventStream(mut decoder) => {
                let read = Parser::new(max_event).push(&body, |message| {
                    if fault.is_none() {
                        fault = decoder.read_message(&message, &mut take).err();
                    }
                });
                read.map_err(|error| FormatError::invalid(error.to_string(), None))?;
                fault.map_or_else(|| finish(&mut decoder, &mut take), Err)?;
            }
        }
        let mut answer = gathered.into_answer()?;
        way_back.answer(&mut answer);
        let body = self.client.encode_answer(&answer, &self.head(&answer, shown));
        Ok(incoming(&answer, body))
    }

    /// Where both speak the same format the provider's own names are shown, as in answers that pass.
    fn head(self, answer: &Answer<'_>, shown: AnswerHead) -> AnswerHead {
        if !self.is_native() {
            return shown;
        }
        let given = |text: &str, own: String| if text.is_empty() { own } else { text.to_owned() };
        AnswerHead {
            id: given(&answer.id, shown.id),
            model: given(&answer.model, shown.model),
            created_s: answer.created_s.unwrap_or(shown.created_s),
            ..shown
        }
    }
}

fn finish(
    decoder: &mut impl tollgate_formats::exchange::StreamDecoder,
    take: &mut dyn FnMut(StreamEvent<'_>),
) -> Result<(), FormatError> {
    decoder.finish(take)
}

fn incoming(answer: &Answer<'_>, body: Vec<u8>) -> Incoming {
    let (usage, stop) = (answer.usage, Some(answer.stop));
    Incoming { body: body.into(), usage, text: generated(answer), stop, plain: false }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::client::ClientFormat;
    use crate::wire::Wire;

    const WHOLE: &str = r#"{"id":"c1","object":"chat.completion","created":5,"model":"gpt","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;
    const EVENTS: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"gpt\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\"}}]}\n\ndata: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\ndata: [DONE]\n";

    fn shown() -> AnswerHead {
        AnswerHead { id: "own".into(), model: "alias".into(), ..AnswerHead::default() }
    }

    #[test]
    fn a_whole_answer_to_a_stream_request_is_told_as_a_stream_of_the_clients_format() {
        let chat = Crossing { client: ClientFormat::Chat, wire: Wire::Chat };
        let told = chat.as_stream(WHOLE.as_bytes(), shown(), true, &WayBack::default()).unwrap();
        let text = String::from_utf8(told.body.to_vec()).unwrap();
        assert!(text.contains(r#""content":"Hello""#) && text.contains(r#""id":"c1""#), "{text}");
        assert!(text.contains(r#""prompt_tokens":7"#) && text.ends_with("data: [DONE]\n\n"), "{text}");
        assert_eq!((told.usage.unwrap().input, &*told.text), (7, "Hello"));
        let messages = Crossing { client: ClientFormat::Messages, wire: Wire::Chat };
        let told = messages.as_stream(WHOLE.as_bytes(), shown(), true, &WayBack::default()).unwrap();
        let text = String::from_utf8(told.body.to_vec()).unwrap();
        assert!(text.starts_with("event: message_start\n") && text.contains(r#""model":"alias""#), "{text}");
        assert!(text.contains(r#""text":"Hello""#) && text.contains("event: message_stop"), "{text}");
    }

    #[test]
    fn events_that_nobody_asked_for_are_gathered_into_one_answer() {
        for client in [ClientFormat::Chat, ClientFormat::Messages, ClientFormat::Responses] {
            let crossing = Crossing { client, wire: Wire::Chat };
            let gathered = crossing.gathered(EVENTS.into(), shown(), 1 << 20, &WayBack::default()).unwrap();
            let body: Value = serde_json::from_slice(&gathered.body).unwrap();
            assert!(body.to_string().contains("Hello"), "{body}");
            assert_eq!((gathered.usage.unwrap().output, &*gathered.text), (3, "Hello"));
        }
    }

    #[test]
    fn a_gathered_stream_that_was_cut_or_failed_is_no_answer() {
        let chat = Crossing { client: ClientFormat::Chat, wire: Wire::Chat };
        let cut = &EVENTS[..EVENTS.find("\n\n").unwrap() + 2];
        assert_eq!(
            chat.gathered(cut.into(), shown(), 1 << 20, &WayBack::default()).unwrap_err(),
            FormatError::CutShort
        );
        let failed = "data: {\"error\":{\"message\":\"busy\",\"code\":429}}\n\n";
        let error = chat.gathered(failed.into(), shown(), 1 << 20, &WayBack::default()).unwrap_err();
        assert!(matches!(error, FormatError::Provider(error) if error.status == Some(429)));
    }

    #[test]
    fn events_are_told_from_json_by_their_beginning() {
        for body in ["data: {}", "event: x\n", ": ping\n", "\n\ndata:{}", "\u{feff}data: 1"] {
            assert_eq!(begins_as_events(body.as_bytes()), Some(true), "{body}");
        }
        for body in ["{\"data\":1}", "[", "dates", "<html>", "error"] {
            assert_eq!(begins_as_events(body.as_bytes()), Some(false), "{body}");
        }
        for body in ["", "  ", "da", "even"] {
            assert_eq!(begins_as_events(body.as_bytes()), None, "{body}");
        }
    }
}
