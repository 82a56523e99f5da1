//! The way of one exchange between a client's API format and a backend's: requests one way, answers, streams
//! and errors the other. Where both speak the same format, bytes pass and are only read along.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use tollgate_formats::adapt::adapt;
use tollgate_formats::exchange::{AnswerHead, Part, Stop, StreamEncoder, ToolNames};
use tollgate_formats::view::{Change, View};
use tollgate_formats::{
    Answer, FormatError, OnUnmappable, TargetModel, Unmapped, anthropic, openai_chat, openai_media,
};

use super::client::ClientFormat;
use super::embeddings::{self, Embeddings};
use super::incoming::Incoming;
use super::way_back::WayBack;
use super::wire::{Decoder, Wire};

/// The two formats of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// What the client speaks.
    pub client: ClientFormat,
    /// What the backend is spoken to in.
    pub wire: Wire,
}

/// What an alias wants of a translation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// What happens to parameters that the backend's format has no place for.
    pub on_unmappable: OnUnmappable,
    /// Whether prompts are marked for the provider's cache where the client set no mark.
    pub marks_prompt: bool,
}

/// A request on its way to a backend.
#[derive(Debug)]
pub struct Outgoing {
    /// Its body.
    pub body: Bytes,
    /// Parameters that were left out.
    pub dropped: Vec<Cow<'static, str>>,
    /// What its answer's way back must know.
    pub way_back: WayBack,
    /// What the answer needs where embeddings are translated.
    pub embeddings: Option<Embeddings>,
}

impl Outgoing {
    fn of(body: Bytes, dropped: Vec<Cow<'static, str>>) -> Self {
        Self { body, dropped, way_back: WayBack::default(), embeddings: None }
    }
}

/// How much must be known of a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// What it used; what it says only where that must be counted.
    Usage,
    /// What it says, and how it ended.
    Content,
}

/// Reads a stream along, and translates it where the formats differ.
pub struct StreamCrossing {
    /// Reads the backend's events.
    pub decoder: Decoder,
    /// Writes the client's; `None` if bytes pass.
    pub encoder: Option<Box<dyn StreamEncoder>>,
}

impl Crossing {
    /// Whether both sides speak the same format.
    #[must_use]
    pub const fn is_native(self) -> bool {
        self.wire.is_native_to(self.client)
    }

    /// Whether its answers may be kept by the provider under an id: requests that are translated say not to.
    #[must_use]
    pub fn stores_answers(self) -> bool {
        self.is_native() && self.wire == Wire::Responses
    }

    /// The request for the backend. `view` was read from `body`; `extra` is changed where bytes pass. `betas` are those
    /// of Anthropic's API that the client asks for.
    ///
    /// # Errors
    /// When the backend's format cannot carry it.
    pub fn request(
        self,
        view: &View<'_>,
        body: &Bytes,
        target: TargetModel<'_>,
        policy: Policy,
        extra: SmallVec<[Change; 1]>,
        betas: &[&str],
    ) -> Result<Outgoing, FormatError> {
        if self.is_native() {
            let mut changes: SmallVec<[Change; 3]> = SmallVec::new();
            changes.extend(self.client.model_change(view, target.name));
            changes.extend(extra);
            if view.stream && !view.include_usage {
                changes.extend(self.client.usage_change(view));
            }
            let mut body = self.client.for_provider(view.rewrite(body, &changes), target.name)?;
            let word = target.traits.output.word;
            if self.client == ClientFormat::Chat && openai_chat::bound::is_foreign(view, word) {
                body = openai_chat::bound::worded(&body, word);
            }
            if self.wire == Wire::Messages {
                let (known, changed) = anthropic::request::known_to_model(body, target);
                body = anthropic::request::own_thoughts(known, target);
                return Ok(Outgoing::of(body, changed.into_iter().map(Cow::Borrowed).collect()));
            }
            let (body, label) = self.client.without_foreign(view, body);
            return Ok(Outgoing::of(body, label));
        }
        let mut unmapped = Unmapped::new(policy.on_unmappable);
        if self.client.embeds() {
            let (embeddings, last) =
                Embeddings::request(self.client, self.wire, body, target.name, &mut unmapped)?;
            let outgoing = Outgoing::of(last, unmapped.dropped().to_vec());
            return Ok(Outgoing { embeddings: Some(embeddings), ..outgoing });
        }
        let body = self.client.prepare(body);
        let mut request = self.client.decode(&body)?;
        request.betas = betas.iter().map(|beta| Cow::Borrowed(*beta)).collect();
        request.marks_prompt = policy.marks_prompt;
        let fitted = adapt(&mut request, target, self.wire.place());
        request.hints.iter().for_each(|name| unmapped.hint(name.clone().into_owned()));
        let encoded = self.wire.encode(&request, target, &mut unmapped)?;
        let given = |names: ToolNames| (!names.is_empty()).then(|| Arc::new(names));
        let way_back = WayBack {
            legacy_functions: request.legacy_functions,
            tool_names: given(request.tool_names),
            fitted: given(fitted),
            origin: Some(target.origin.into()),
        };
        Ok(Outgoing { way_back, ..Outgoing::of(encoded.into(), unmapped.dropped().to_vec()) })
    }

    /// The answer for the client, and what the gateway must know of it. Embeddings that were translated are brought
    /// back by [`Embeddings::answer`].
    ///
    /// # Errors
    /// When it is not what the backend's format says; [`FormatError::Provider`] when it is an error of the provider's.
    pub fn answer(
        self,
        body: Bytes,
        shown: impl FnOnce() -> AnswerHead,
        reading: Reading,
        way_back: &WayBack,
    ) -> Result<Incoming, FormatError> {
        self.read(body.clone(), shown, reading, way_back).map_err(|fault| self.wire.error_in(&body, fault))
    }

    fn read(
        self,
        body: Bytes,
        shown: impl FnOnce() -> AnswerHead,
        reading: Reading,
        way_back: &WayBack,
    ) -> Result<Incoming, FormatError> {
        if self.client.embeds() {
            return embeddings::answer(self.client, body);
        }
        if let ClientFormat::Media(kind) = self.client {
            let usage = openai_media::usage::of_answer(kind, &body);
            return Ok(Incoming::metered(body, usage));
        }
        if self.is_native()
            && reading == Reading::Usage
            && let Some(usage) = self.wire.usage_alone(&body)?
        {
            return Ok(Incoming::metered(body, Some(usage)));
        }
        let mut answer = self.wire.decode_answer(&body)?;
        let wanted = reading == Reading::Content || answer.usage.is_none();
        let text = if wanted { generated(&answer) } else { String::new() };
        way_back.answer(&mut answer);
        let translated = (!self.is_native()).then(|| self.client.encode_answer(&answer, &shown()));
        let (usage, stop) = (answer.usage, Some(answer.stop));
        let plain = answer.stop == Stop::End
            && !answer.parts.is_empty()
            && answer.parts.iter().all(|part| matches!(part, Part::Text { .. }));
        Ok(Incoming { body: translated.map_or(body, Bytes::from), usage, text, stop, plain })
    }

    /// The way of a streamed answer.
    #[must_use]
    pub fn stream(self, shown: AnswerHead, include_usage: bool, way_back: &WayBack) -> StreamCrossing {
        StreamCrossing {
            decoder: self.wire.decoder(),
            encoder: (!self.is_native()).then(|| way_back.encoder(self.encoder(shown, include_usage))),
        }
    }

    /// Writes a stream in the client's format, also where the backend speaks it.
    #[must_use]
    pub fn encoder(self, shown: AnswerHead, include_usage: bool) -> Box<dyn StreamEncoder> {
        self.client.encoder(shown, include_usage)
    }
}

/// Everything the model wrote, for counting and for completion events.
pub(crate) fn generated(answer: &Answer<'_>) -> String {
    let mut text = String::new();
    for part in &answer.parts {
        match part {
            Part::Text { text: piece, .. } | Part::Reasoning { text: piece, .. } | Part::Refusal(piece) => {
                text.push_str(piece);
            }
            Part::ToolCall(call) => {
                text.push_str(&call.name);
                text.push_str(&call.arguments);
            }
            Part::Image(_) | Part::Audio(_) | Part::Document { .. } | Part::ToolResult(_) => {}
        }
    }
    text
}

#[cfg(test)]
#[path = "passing_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "crossing_tests.rs"]
mod request_tests;
