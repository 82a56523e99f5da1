//! The formats of clients and of backends, and the way of a request between them.

use bytes::Bytes;
use tollgate_families::{ApiFormat, Families, Lookup};
use tollgate_formats::adapt::{Place, adapt};
use tollgate_formats::exchange::Request;
use tollgate_formats::{
    FormatError, OnUnmappable, TargetModel, Unmapped, anthropic, bedrock, gemini, openai_chat,
    openai_completions, openai_responses,
};

use super::probe::Probe;

/// Marks the proofs of thoughts of the backend's model.
const ORIGIN: &str = "own";

pub(crate) struct Client {
    pub(crate) title: &'static str,
    /// The backend's format in which its bytes pass, of those that are shown.
    pub(crate) own: &'static str,
    pub(crate) minimal: &'static str,
    pub(crate) probes: &'static [Probe],
    prepare: fn(&Bytes) -> Bytes,
    decode: for<'a> fn(&'a [u8]) -> Result<Request<'a>, FormatError>,
}

pub(crate) struct Backend {
    pub(crate) title: &'static str,
    pub(crate) model: &'static str,
    format: ApiFormat,
    place: Place,
    encode: fn(&Request<'_>, TargetModel<'_>, &mut Unmapped) -> Result<Vec<u8>, FormatError>,
}

/// A request for a backend, and what is named in the header.
pub(crate) struct Sent {
    pub(crate) body: Vec<u8>,
    pub(crate) dropped: Vec<String>,
}

impl Client {
    pub(crate) fn send(
        &self,
        backend: &Backend,
        body: &[u8],
        policy: OnUnmappable,
    ) -> Result<Sent, FormatError> {
        let traits = Families::built_in().resolve(&Lookup::new(backend.model, backend.format));
        let target = TargetModel { name: backend.model, origin: ORIGIN, traits: &traits };
        let mut unmapped = Unmapped::new(policy);
        let body = (self.prepare)(&Bytes::copy_from_slice(body));
        let mut request = (self.decode)(&body)?;
        adapt(&mut request, target, backend.place);
        request.hints.iter().for_each(|name| unmapped.hint(name.clone().into_owned()));
        let body = (backend.encode)(&request, target, &mut unmapped)?;
        Ok(Sent { body, dropped: unmapped.dropped().iter().map(ToString::to_string).collect() })
    }
}

pub(crate) const CLIENTS: [Client; 5] = [
    Client {
        title: "OpenAI Chat Completions",
        own: "OpenAI Chat",
        minimal: super::openai_chat::MINIMAL,
        probes: super::openai_chat::PROBES,
        prepare: Bytes::clone,
        decode: openai_chat::request::decode,
    },
    Client {
        title: "OpenAI Responses",
        own: "OpenAI Responses",
        minimal: super::openai_responses::MINIMAL,
        probes: super::openai_responses::PROBES,
        prepare: Bytes::clone,
        decode: openai_responses::request::decode,
    },
    Client {
        title: "Anthropic Messages",
        own: "Anthropic",
        minimal: super::anthropic::MINIMAL,
        probes: super::anthropic::PROBES,
        prepare: Bytes::clone,
        decode: anthropic::request::decode,
    },
    Client {
        title: "Gemini generateContent",
        own: "Gemini",
        minimal: super::gemini::MINIMAL,
        probes: super::gemini::PROBES,
        prepare: gemini::client::schema::in_json_schema,
        decode: |body| gemini::client::request::decode(body, false),
    },
    Client {
        title: "OpenAI Completions",
        own: "",
        minimal: super::openai_completions::MINIMAL,
        probes: super::openai_completions::PROBES,
        prepare: Bytes::clone,
        decode: openai_completions::request::decode,
    },
];

pub(crate) const BACKENDS: [Backend; 5] = [
    Backend {
        title: "OpenAI Chat",
        model: "gpt-4.1",
        format: ApiFormat::OpenAi,
        place: openai_chat::request::PLACE,
        encode: openai_chat::request::encode,
    },
    Backend {
        title: "OpenAI Responses",
        model: "gpt-5.4",
        format: ApiFormat::OpenAi,
        place: openai_responses::request::PLACE,
        encode: openai_responses::request::encode,
    },
    Backend {
        title: "Anthropic",
        model: "claude-sonnet-4-5",
        format: ApiFormat::Anthropic,
        place: anthropic::request::PLACE,
        encode: anthropic::request::encode,
    },
    Backend {
        title: "Bedrock",
        model: "anthropic.claude-sonnet-4-5-20250929-v1:0",
        format: ApiFormat::Bedrock,
        place: bedrock::request::PLACE,
        encode: bedrock::request::encode,
    },
    Backend {
        title: "Gemini",
        model: "gemini-2.5-flash",
        format: ApiFormat::Gemini,
        place: gemini::request::PLACE,
        encode: gemini::request::encode,
    },
];
