//! How many tokens the prompt of a request has, whatever format it came in.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_formats::Request;
use tollgate_formats::exchange::{Image, Media, Part, Source, TurnRole};
use tollgate_formats::openai_embeddings::request::Input;
use tollgate_tokens::{
    Budget, Count, Counter, Detail, Encoding, Family, INLINE_BYTES, ImageSource, Piece, Tally, by_json_size,
    count_input,
};

use super::client::ClientFormat;

/// Sees to it that an encoding's tables are there by the time that something must be counted. They take tens of
/// megabytes and a third of a second: so they load with the first request for a model that is counted with them, while
/// its backend answers, and not on a thread that serves connections.
pub fn expect_counts(encoding: Encoding) {
    static EXPECTED: [AtomicBool; Encoding::ALL.len()] =
        [const { AtomicBool::new(false) }; Encoding::ALL.len()];
    let expected = &EXPECTED[encoding as usize];
    if !expected.load(Ordering::Relaxed) && !expected.swap(true, Ordering::Relaxed) {
        Counter::shared().preload(encoding);
    }
}

/// Tokens that a request's prompt can be at most, for next to nothing.
#[must_use]
pub fn upper_bound(model: &str, body: &[u8]) -> u64 {
    tollgate_tokens::upper_bound(model, body, None)
}

/// Counts the prompt as `model` would read it, away from this thread when it is large.
pub async fn count_anywhere(client: ClientFormat, model: &str, body: &Bytes) -> Count {
    let estimate = Count { tokens: by_json_size(body), exact: false };
    if body.len() <= INLINE_BYTES && Family::of(model).encoding().is_loaded() {
        return count(client, model, body, Budget::inline()).unwrap_or(estimate);
    }
    let (model, body) = (model.to_owned(), body.clone());
    let work = move || count(client, &model, &body, Budget::worker()).unwrap_or(estimate);
    Counter::shared().run(estimate, work).await
}

/// Counts the prompt on this thread; `None` if the body cannot be read.
#[must_use]
pub fn count(client: ClientFormat, model: &str, body: &[u8], budget: Budget) -> Option<Count> {
    #[derive(Deserialize)]
    struct Embeddings<'a> {
        #[serde(borrow)]
        input: &'a RawValue,
    }
    if client == ClientFormat::Embeddings {
        let body: Embeddings<'_> = serde_json::from_slice(body).ok()?;
        return Some(count_input(model, body.input, budget));
    }
    if client.embeds() {
        let request = client.decode_embeddings(body).ok()?;
        let Input::Texts(texts) = &request.input else { return None };
        let input = serde_json::value::to_raw_value(texts).ok()?;
        return Some(count_input(model, &input, budget));
    }
    client.decode(body).ok().map(|request| count_request(model, &request, budget))
}

/// Counts a request's prompt.
#[must_use]
pub fn count_request(model: &str, request: &Request<'_>, budget: Budget) -> Count {
    let mut tally = Tally::new(model, budget);
    for system in &request.system {
        tally.add(Piece::Message { role: "system", name: None });
        tally.add(Piece::Text(&system.text));
    }
    for turn in &request.turns {
        let role = match turn.role {
            TurnRole::User => "user",
            TurnRole::Assistant => "assistant",
            TurnRole::System => "system",
        };
        tally.add(Piece::Message { role, name: turn.name.as_deref() });
        turn.parts.iter().for_each(|part| add_part(&mut tally, part));
    }
    for tool in &request.tools {
        let parameters = tool.parameters.map_or("{}", RawValue::get);
        let name = serde_json::to_string(&tool.name).unwrap_or_default();
        let description = serde_json::to_string(&tool.description).unwrap_or_default();
        let json = format!(r#"{{"name":{name},"description":{description},"parameters":{parameters}}}"#);
        tally.add(Piece::Tool(&json));
    }
    tally.finish()
}

fn add_part(tally: &mut Tally, part: &Part<'_>) {
    match part {
        Part::Text { text, .. } | Part::Reasoning { text, .. } | Part::Refusal(text) => {
            tally.add(Piece::Text(text));
        }
        Part::Image(Image { source, detail, .. }) => {
            let detail = Detail::of(detail.as_deref());
            let source = match source {
                Source::Base64(data) => ImageSource::Base64(data),
                Source::Url(url) | Source::File(url) => ImageSource::Url(url),
            };
            tally.add(Piece::Image { detail, source });
        }
        Part::Audio(media) | Part::Document { media, .. } => {
            tally.add(Piece::Attachment { bytes: attached_bytes(media) });
        }
        Part::ToolCall(call) => {
            tally.add(Piece::Text(&call.name));
            tally.add(Piece::Text(&call.arguments));
        }
        Part::ToolResult(result) => {
            result.parts.iter().for_each(|part| add_part(tally, part));
            if let Some(json) = result.json {
                tally.add(Piece::Text(json.get()));
            }
        }
    }
}

fn attached_bytes(media: &Media<'_>) -> usize {
    match &media.source {
        Source::Base64(data) => data.len(),
        Source::Url(_) | Source::File(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::EmbedCall;
    use super::*;

    const CHAT: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"Say hi"}]}"#;

    #[test]
    fn a_prompt_counts_the_same_in_every_format() {
        let messages = br#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"Say hi"}]}"#;
        let responses = br#"{"model":"m","input":"Say hi"}"#;
        let counted = |client, body: &[u8]| count(client, "gpt-4o", body, Budget::inline()).unwrap();
        let chat = counted(ClientFormat::Chat, CHAT);
        assert!(chat.exact);
        assert_eq!(chat.tokens, 9);
        assert_eq!(counted(ClientFormat::Messages, messages), chat);
        assert_eq!(counted(ClientFormat::Responses, responses), chat);
        let gemini = br#"{"contents":[{"role":"user","parts":[{"text":"Say hi"}]}]}"#;
        assert_eq!(counted(ClientFormat::Gemini { stream: false }, gemini), chat);
        let openai = counted(ClientFormat::Embeddings, br#"{"input":["Say hi","hello"]}"#);
        let batch = br#"{"requests":[{"content":{"parts":[{"text":"Say hi"}]}},{"content":{"parts":[{"text":"hello"}]}}]}"#;
        assert_eq!(counted(ClientFormat::GeminiEmbeddings(EmbedCall::Batch), batch), openai);
    }

    #[test]
    fn the_bound_is_never_below_the_count() {
        let counted = count(ClientFormat::Chat, "gpt-4o", CHAT, Budget::inline()).unwrap();
        assert!(upper_bound("gpt-4o", CHAT) >= counted.tokens);
    }

    #[actix_rt::test]
    async fn a_large_prompt_is_counted_elsewhere_and_a_broken_one_estimated() {
        let long =
            serde_json::json!({ "messages": [{ "role": "user", "content": "hello ".repeat(20_000) }] });
        let counted = count_anywhere(ClientFormat::Chat, "gpt-4o", &Bytes::from(long.to_string())).await;
        assert!(counted.exact && counted.tokens > 20_000);
        let broken = count_anywhere(ClientFormat::Chat, "gpt-4o", &Bytes::from_static(b"{")).await;
        assert!(!broken.exact);
    }
}
