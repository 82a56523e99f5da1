//! Requests for each backend's format.

use bytes::Bytes;
use tollgate_families::{ApiFormat, Families, Lookup};
use tollgate_formats::adapt::{Place, adapt};
use tollgate_formats::exchange::Request;
use tollgate_formats::{
    FormatError, OnUnmappable, TargetModel, Unmapped, anthropic, bedrock, gemini, openai_chat,
    openai_responses,
};

use super::clients::Client;

/// Marks the proofs of thoughts of the backend's model.
pub(crate) const ORIGIN: &str = "own";

pub(crate) struct Backend {
    pub(crate) name: &'static str,
    /// The member of its requests that holds the conversation.
    pub(crate) conversation: &'static str,
    /// Whether proofs of thoughts have a place there.
    pub(crate) takes_proofs: bool,
    model: &'static str,
    format: ApiFormat,
    place: Place,
    encode: fn(&Request<'_>, TargetModel<'_>, &mut Unmapped) -> Result<Vec<u8>, FormatError>,
}

impl Backend {
    pub(crate) fn sent(&self, client: &Client, body: &[u8]) -> Vec<u8> {
        let traits = Families::built_in().resolve(&Lookup::new(self.model, self.format));
        let target = TargetModel { name: self.model, origin: ORIGIN, traits: &traits };
        let body = (client.prepare)(&Bytes::copy_from_slice(body));
        let mut request = (client.decode)(&body).unwrap();
        request.marks_prompt = true;
        adapt(&mut request, target, self.place);
        (self.encode)(&request, target, &mut Unmapped::new(OnUnmappable::Reject)).unwrap()
    }
}

pub(crate) const BACKENDS: [Backend; 5] = [
    Backend {
        name: "Chat",
        conversation: "messages",
        takes_proofs: false,
        model: "gpt-4.1",
        format: ApiFormat::OpenAi,
        place: openai_chat::request::PLACE,
        encode: openai_chat::request::encode,
    },
    Backend {
        name: "Responses",
        conversation: "input",
        takes_proofs: true,
        model: "gpt-5.4",
        format: ApiFormat::OpenAi,
        place: openai_responses::request::PLACE,
        encode: openai_responses::request::encode,
    },
    Backend {
        name: "Anthropic",
        conversation: "messages",
        takes_proofs: true,
        model: "claude-sonnet-4-5",
        format: ApiFormat::Anthropic,
        place: anthropic::request::PLACE,
        encode: anthropic::request::encode,
    },
    Backend {
        name: "Bedrock",
        conversation: "messages",
        takes_proofs: true,
        model: "anthropic.claude-sonnet-4-5-20250929-v1:0",
        format: ApiFormat::Bedrock,
        place: bedrock::request::PLACE,
        encode: bedrock::request::encode,
    },
    Backend {
        name: "Gemini",
        conversation: "contents",
        takes_proofs: true,
        model: "gemini-2.5-flash",
        format: ApiFormat::Gemini,
        place: gemini::request::PLACE,
        encode: gemini::request::encode,
    },
];
