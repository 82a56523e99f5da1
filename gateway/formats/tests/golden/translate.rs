//! Runs the inputs of a golden file through a pair of formats and writes the whole file anew.

use bytes::Bytes;
use tollgate_formats::exchange::{AnswerHead, StreamEvent};
use tollgate_formats::sse::{Action, Splitter};
use tollgate_formats::{FormatError, OnUnmappable, Unmapped};

use super::file::Case;
use super::order::Order;
use super::pretty::pretty;
use super::{Backend, Client, Format};

/// The model's name at the backend.
const BACKEND_MODEL: &str = "backend-model";

/// What the file should look like.
pub(crate) fn run(case: &Case<'_>, client: &Format, backend: &Format) -> String {
    let client = client.client.as_ref().unwrap_or_else(|| panic!("no client speaks {}", client.name));
    let backend = backend.backend.as_ref().unwrap_or_else(|| panic!("no backend speaks {}", backend.name));
    let mut out = case.prose.to_owned();
    let mut section = |title: &str, body: &str| out.push_str(&format!("=== {title}\n{body}\n\n"));
    let mut shown = AnswerHead {
        id: "answer-1".to_owned(),
        model: "alias".to_owned(),
        created_s: 1_700_000_000,
        ..AnswerHead::default()
    };
    let mut include_usage = false;
    if let Some((how, body)) = case.section_from("client request") {
        section(format!("client request {how}").trim_end(), body);
        let policy = if how == "(drop)" { OnUnmappable::Drop } else { OnUnmappable::Reject };
        let mut unmapped = Unmapped::new(policy);
        let request = (client.decode_request)(body.as_bytes());
        if let Ok(request) = &request {
            include_usage = request.include_usage;
            shown.legacy_functions = request.legacy_functions;
        }
        let encoded =
            request.and_then(|request| (backend.encode_request)(&request, BACKEND_MODEL, &mut unmapped));
        section("backend request", &json_or_refusal(encoded));
        if !unmapped.dropped().is_empty() {
            section("dropped", &unmapped.dropped().join("\n"));
        }
    }
    if let Some(body) = case.section("backend answer") {
        section("backend answer", body);
        let answer = (backend.decode_answer)(body.as_bytes());
        let encoded = answer.map(|answer| (client.encode_answer)(&answer, &shown));
        section("client answer", &json_or_refusal(encoded));
    }
    if let Some(body) = case.section("backend stream") {
        section("backend stream", body);
        let sse = format!("{body}\n\n");
        let whole = stream(client, backend, &[sse.as_bytes()], &shown, include_usage);
        let pieces: Vec<&[u8]> = sse.as_bytes().chunks(1).collect();
        assert_eq!(stream(client, backend, &pieces, &shown, include_usage), whole, "cut after every byte");
        section("client stream", whole.trim_end_matches('\n'));
    }
    if let Some((status, body)) = case.section_from("backend error") {
        section(&format!("backend error {status}"), body);
        let error = (backend.decode_error)(status.parse().unwrap(), body.as_bytes());
        let encoded = (client.encode_error)(&error.shown(Some("request-1")));
        section("client error", &json_or_refusal(Ok(encoded)));
    }
    let mut out = out.trim_end_matches('\n').to_owned();
    out.push('\n');
    out
}

fn json_or_refusal(json: Result<Vec<u8>, FormatError>) -> String {
    match json {
        Ok(json) => pretty(std::str::from_utf8(&json).unwrap()),
        Err(error) => format!("refused: {error}"),
    }
}

/// A stream that breaks ends with a line that says why.
fn stream(
    client: &Client,
    backend: &Backend,
    chunks: &[&[u8]],
    shown: &AnswerHead,
    include_usage: bool,
) -> String {
    let mut splitter = Splitter::new(1 << 20);
    let mut decoder = (backend.decoder)();
    let mut encoder = (client.encoder)(shown.clone(), include_usage);
    let mut order = Order::default();
    let mut out = Vec::new();
    let mut broken = None;
    // One event through both formats; none is the end of the backend's body.
    let mut take = |event: Option<(Option<&str>, &str)>| {
        let mut each = |event: StreamEvent<'_>| {
            order.check(&event);
            encoder.write(&event, &mut out);
        };
        if broken.is_none() {
            broken = match event {
                Some((name, data)) => decoder.read(name, data, &mut each).err(),
                None => decoder.finish(&mut each).err(),
            };
        }
    };
    for chunk in chunks {
        let pushed = splitter.push(Bytes::copy_from_slice(chunk), |event| {
            take(Some((event.name, event.data)));
            Action::Keep
        });
        pushed.unwrap();
    }
    take(None);
    let mut text = String::from_utf8(out).unwrap();
    if let Some(error) = broken {
        text.push_str(&format!("broken: {error}"));
    }
    text
}
