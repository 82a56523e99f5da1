//! Parts of an answer, whole or step by step, with the proofs of thoughts that they carry.

use super::proof;
use crate::calls::Arguments;
use crate::exchange::{Image, Media, Part, Source};
use crate::json::Object;

/// Writes parts in their order. A proof of thoughts without a text stands at the part that follows, as with Google:
/// clients that leave thoughts out of the conversation keep it.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    waiting: Option<String>,
}

/// A part as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum PartOut<'p> {
    Text(&'p str),
    Thought(&'p str),
    Call { id: &'p str, name: &'p str, arguments: &'p str },
    Data { media_type: &'p str, data: &'p str },
}

impl PartOut<'_> {
    /// Writes the part with the proof that stands at it.
    pub(super) fn write(self, out: &mut Vec<u8>, proof: Option<&str>) {
        let mut part = Object::new(out);
        match self {
            Self::Text(text) => {
                part.put("text", text);
            }
            Self::Thought(text) => {
                part.put("text", text).put("thought", &true);
            }
            Self::Call { id, name, arguments } => {
                part.object("functionCall", |call| {
                    call.given("id", (!id.is_empty()).then_some(id));
                    call.put("name", name).put("args", &Arguments(arguments));
                });
            }
            Self::Data { media_type, data } => {
                part.object("inlineData", |inline| {
                    inline.put("mimeType", media_type).put("data", data);
                });
            }
        }
        part.given("thoughtSignature", proof);
        part.end();
    }
}

impl Proofs {
    /// A proof that waits for the next part; gives the one that waited before, which has a part of its own.
    pub(super) fn wait(&mut self, proof: String) -> Option<String> {
        self.waiting.replace(proof)
    }

    /// The proof that waits, if there is one.
    pub(super) fn take(&mut self) -> Option<String> {
        self.waiting.take()
    }

    /// Hands on a part of a whole answer, and whatever has to stand before it.
    pub(super) fn part(&mut self, part: &Part<'_>, out: &mut dyn FnMut(PartOut<'_>, Option<&str>)) {
        let Part::Reasoning { text, signature, redacted } = part else {
            if let Some(part) = visible(part) {
                let proof = self.take();
                out(part, proof.as_deref());
            }
            return;
        };
        let proof = match (signature, redacted) {
            (Some(signature), _) => Some(proof::shown(signature).into_owned()),
            (None, Some(redacted)) => Some(proof::shown_redacted(redacted)),
            (None, None) => None,
        };
        match proof {
            Some(proof) if text.is_empty() => {
                if let Some(earlier) = self.wait(proof) {
                    out(PartOut::Thought(""), Some(&earlier));
                }
            }
            proof => {
                self.end(out);
                if !text.is_empty() {
                    out(PartOut::Thought(text), proof.as_deref());
                }
            }
        }
    }

    /// A proof after which nothing comes.
    pub(super) fn end(&mut self, out: &mut dyn FnMut(PartOut<'_>, Option<&str>)) {
        if let Some(proof) = self.take() {
            out(PartOut::Thought(""), Some(&proof));
        }
    }
}

/// What a client sees of a part; `None` if answers of this format cannot hold it.
fn visible<'p>(part: &'p Part<'_>) -> Option<PartOut<'p>> {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => Some(PartOut::Text(text)),
        Part::ToolCall(call) => {
            Some(PartOut::Call { id: &call.id, name: &call.name, arguments: &call.arguments })
        }
        Part::Image(Image { media_type, source: Source::Base64(data), .. })
        | Part::Audio(Media { media_type, source: Source::Base64(data), .. }) => {
            Some(PartOut::Data { media_type, data })
        }
        _ => None,
    }
}
