//! Embeddings between the client's format and a backend's.
//!
//! Where both speak OpenAI's, bytes pass. The other formats take a few texts a call: one request becomes several
//! calls, and their vectors are joined in the order of its inputs.

use bytes::Bytes;
use http::HeaderMap;
use tollgate_formats::exchange::{AnswerHead, Vectors};
use tollgate_formats::openai_embeddings::request::{Encoding, Input};
use tollgate_formats::{FormatError, Unmapped, Usage, bedrock, gemini, openai_embeddings};
use tollgate_tokens::Budget;

use super::client::ClientFormat;
use super::incoming::Incoming;
use super::prompt;
use super::wire::Wire;

/// Most calls for one request.
const MAX_CALLS: usize = 256;
/// Most inputs of one request, as OpenAI has it (API reference, "Create embeddings").
const MAX_INPUTS: usize = 2_048;

/// A request for embeddings in a backend's format, and what its answer needs.
#[derive(Debug)]
pub struct Embeddings {
    client: ClientFormat,
    wire: Wire,
    model: Box<str>,
    encoding: Encoding,
    inputs: usize,
    /// The client's body, for counting where the backend does not say what it used.
    asked: Bytes,
    /// Bodies of the calls that go before the last one.
    before: Vec<Bytes>,
}

/// The answer to one call.
#[derive(Debug)]
pub struct Part {
    /// Its body.
    pub body: Bytes,
    /// Tokens of its input, where its head says so.
    input_tokens: Option<u64>,
}

impl Part {
    /// From the head and the body of the answer.
    #[must_use]
    pub fn new(headers: &HeaderMap, body: Bytes) -> Self {
        let tokens = headers.get(bedrock::embeddings::INPUT_TOKENS_HEADER);
        let input_tokens = tokens.and_then(|value| value.to_str().ok()?.parse().ok());
        Self { body, input_tokens }
    }
}

/// The answer of a backend that speaks the client's format.
///
/// # Errors
/// When it is no list of embeddings.
pub fn answer(client: ClientFormat, body: Bytes) -> Result<Incoming, FormatError> {
    let usage = client.usage_of_vectors(&body)?;
    Ok(incoming(body, usage))
}

impl Embeddings {
    /// A request for `model` in the backend's format, and the body of its last call.
    ///
    /// # Errors
    /// When the format cannot carry it, or not in a bounded number of calls.
    pub fn request(
        client: ClientFormat,
        wire: Wire,
        body: &Bytes,
        model: &str,
        unmapped: &mut Unmapped,
    ) -> Result<(Self, Bytes), FormatError> {
        let request = client.decode_embeddings(body)?;
        let inputs = match &request.input {
            Input::Texts(texts) => texts.len(),
            Input::Tokens(tokens) => tokens.len(),
        };
        at_most(inputs, inputs, MAX_INPUTS)?;
        let bodies = match wire {
            Wire::Invoke => bedrock::embeddings::encode(&request, model, unmapped)?,
            Wire::Embeddings => vec![openai_embeddings::backend::encode(&request, model, unmapped)?],
            _ => gemini::embeddings::encode(&request, model, unmapped)?,
        };
        at_most(bodies.len(), inputs, MAX_CALLS)?;
        let mut before: Vec<Bytes> = bodies.into_iter().map(Bytes::from).collect();
        let last = before.pop().unwrap_or_default();
        let encoding = request.encoding;
        Ok((Self { client, wire, model: model.into(), encoding, inputs, asked: body.clone(), before }, last))
    }

    /// Bodies of the calls that go before the last one.
    #[must_use]
    pub fn before(&self) -> &[Bytes] {
        &self.before
    }

    /// The vectors of all calls, in their order.
    fn joined<'a>(&self, parts: impl IntoIterator<Item = &'a Part>) -> Result<Vectors, FormatError> {
        let mut all = Vectors::default();
        for part in parts {
            let read = match self.wire {
                Wire::Invoke => bedrock::embeddings::decode(&part.body, &self.model, part.input_tokens),
                Wire::Embeddings => openai_embeddings::backend::decode(&part.body),
                _ => gemini::embeddings::decode(&part.body),
            };
            all.append(read.map_err(|fault| self.wire.error_in(&part.body, fault))?);
        }
        Ok(all)
    }

    /// What some of the calls used, where their answers say so.
    #[must_use]
    pub fn usage<'a>(&self, parts: impl IntoIterator<Item = &'a Part>) -> Option<Usage> {
        self.joined(parts).ok().and_then(|vectors| vectors.usage)
    }

    /// The answer for the client, from the answers to all calls.
    ///
    /// # Errors
    /// When one is not what the backend's format says, or vectors are missing.
    pub fn answer<'a>(
        &self,
        parts: impl IntoIterator<Item = &'a Part>,
        shown: &AnswerHead,
    ) -> Result<Incoming, FormatError> {
        let Vectors { vectors, usage } = {
            let joined = self.joined(parts)?;
            joined.check(self.inputs)?;
            joined
        };
        // An answer always has a usage; the ledger counts for itself, and says that it did.
        let told = usage.unwrap_or_else(|| self.counted());
        let body = self.client.encode_vectors(&vectors, self.encoding, &shown.model, &told);
        Ok(incoming(body.into(), usage))
    }

    fn counted(&self) -> Usage {
        let count = prompt::count(self.client, &self.model, &self.asked, Budget::inline());
        Usage { embedding: count.map_or(0, |count| count.tokens), ..Usage::default() }
    }
}

fn at_most(count: usize, inputs: usize, most: usize) -> Result<(), FormatError> {
    if count <= most {
        return Ok(());
    }
    let message = format!(
        "the model behind this alias cannot embed {inputs} inputs in one request; send at most {most} at a time"
    );
    Err(FormatError::invalid(message, "input"))
}

fn incoming(body: Bytes, usage: Option<Usage>) -> Incoming {
    Incoming { body, usage, text: String::new(), stop: None, plain: false }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tollgate_formats::OnUnmappable;

    use super::super::client::EmbedCall;
    use super::*;

    const TITAN: &str = "amazon.titan-embed-text-v2:0";

    fn request(wire: Wire, model: &str, body: &Value) -> Result<(Embeddings, Bytes), FormatError> {
        let body = Bytes::from(body.to_string());
        Embeddings::request(
            ClientFormat::Embeddings,
            wire,
            &body,
            model,
            &mut Unmapped::new(OnUnmappable::Reject),
        )
    }

    fn part(body: &str) -> Part {
        Part { body: Bytes::copy_from_slice(body.as_bytes()), input_tokens: None }
    }

    fn answered(embeddings: &Embeddings, parts: &[Part]) -> (Value, Option<Usage>) {
        let shown = AnswerHead { model: "embed".to_owned(), ..AnswerHead::default() };
        let incoming = embeddings.answer(parts, &shown).unwrap();
        (serde_json::from_slice(&incoming.body).unwrap(), incoming.usage)
    }

    #[test]
    fn the_vectors_of_several_calls_are_one_answer_with_summed_usage() {
        let (embeddings, last) = request(Wire::Invoke, TITAN, &json!({ "input": ["a", "b"] })).unwrap();
        assert_eq!(embeddings.before(), [r#"{"inputText":"a"}"#]);
        assert_eq!(last, r#"{"inputText":"b"}"#);
        let parts = [
            part(r#"{"embedding":[1.0],"inputTextTokenCount":3}"#),
            part(r#"{"embedding":[2.0],"inputTextTokenCount":4}"#),
        ];
        let (body, usage) = answered(&embeddings, &parts);
        let vectors: Vec<&Value> =
            body["data"].as_array().unwrap().iter().map(|item| &item["embedding"]).collect();
        assert_eq!(vectors, [&json!([1.0]), &json!([2.0])]);
        assert_eq!((&body["model"], &body["usage"]["prompt_tokens"]), (&json!("embed"), &json!(7)));
        assert_eq!(usage.map(|usage| usage.embedding), Some(7));
        assert_eq!(embeddings.usage(&parts[..1]).map(|usage| usage.embedding), Some(3));
    }

    #[test]
    fn tokens_that_the_head_of_an_answer_says_are_read() {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(bedrock::embeddings::INPUT_TOKENS_HEADER),
            http::HeaderValue::from_static("12"),
        )]);
        let model = "cohere.embed-english-v3";
        let (embeddings, _) = request(Wire::Invoke, model, &json!({ "input": "a" })).unwrap();
        let parts = [Part::new(&headers, Bytes::from_static(br#"{"embeddings":{"float":[[1.0]]}}"#))];
        assert_eq!(answered(&embeddings, &parts).1.map(|usage| usage.embedding), Some(12));
    }

    #[test]
    fn usage_that_nobody_reports_is_counted_for_the_client_and_left_open_for_the_ledger() {
        let body = json!({ "input": "hello world", "encoding_format": "base64" });
        let (embeddings, _) = request(Wire::BatchEmbed, "gemini-embedding-001", &body).unwrap();
        let (body, usage) = answered(&embeddings, &[part(r#"{"embeddings":[{"values":[1.0]}]}"#)]);
        assert_eq!(usage, None);
        assert!(body["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
        assert_eq!(body["data"][0]["embedding"], "AACAPw==");
    }

    #[test]
    fn a_request_that_needs_too_many_calls_is_refused_with_the_most_that_fits() {
        let texts = |count: usize| json!({ "input": vec!["x"; count] });
        assert!(request(Wire::Invoke, TITAN, &texts(MAX_CALLS)).is_ok());
        assert!(request(Wire::BatchEmbed, "gemini-embedding-001", &texts(MAX_INPUTS)).is_ok());
        for (wire, model, count, most) in [
            (Wire::Invoke, TITAN, MAX_CALLS + 1, "256"),
            (Wire::BatchEmbed, "gemini-embedding-001", MAX_INPUTS + 1, "2048"),
        ] {
            let refusal = request(wire, model, &texts(count)).unwrap_err().to_string();
            assert!(refusal.contains(&format!("at most {most} at a time")), "{refusal}");
        }
    }

    #[test]
    fn contents_of_gemini_s_clients_are_embedded_by_other_providers() {
        let client = ClientFormat::GeminiEmbeddings(EmbedCall::One);
        let body = json!({ "content": { "parts": [{ "text": "a" }] }, "outputDimensionality": 2, "taskType": "CLUSTERING" });
        let body = Bytes::from(body.to_string());
        let mut unmapped = Unmapped::new(OnUnmappable::Reject);
        let (embeddings, last) =
            Embeddings::request(client, Wire::Embeddings, &body, "text-embedding-3-small", &mut unmapped)
                .unwrap();
        assert_eq!(last, r#"{"model":"text-embedding-3-small","input":["a"],"dimensions":2}"#);
        let answered =
            part(r#"{"data":[{"index":0,"embedding":[1.0]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#);
        let incoming = embeddings.answer([&answered], &AnswerHead::default()).unwrap();
        assert_eq!(incoming.body, r#"{"embedding":{"values":[1.0]},"usageMetadata":{"promptTokenCount":3}}"#);
        assert_eq!(incoming.usage.map(|usage| usage.embedding), Some(3));
    }

    #[test]
    fn missing_vectors_are_a_broken_answer() {
        let (embeddings, _) =
            request(Wire::BatchEmbed, "gemini-embedding-001", &json!({ "input": ["a", "b"] })).unwrap();
        let one = [part(r#"{"embeddings":[{"values":[1.0]}]}"#)];
        assert!(embeddings.answer(&one, &AnswerHead::default()).is_err());
    }
}
