//! Runs the inputs of a golden file through a pair of formats and writes the whole file anew.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_families::{Families, Lookup};
use tollgate_formats::adapt::adapt;
use tollgate_formats::exchange::proofs;
use tollgate_formats::exchange::{AnswerHead, StreamEvent, ToolNames, renaming};
use tollgate_formats::sse::{Action, Splitter};
use tollgate_formats::{FormatError, OnUnmappable, TargetModel, Unmapped};

use super::file::Case;
use super::order::Order;
use super::pretty::pretty;
use super::{Backend, Client, Format};

/// Marks the proofs of thoughts of the backend's model.
const ORIGIN: &str = "golden";

/// What the file should look like.
pub(crate) fn run(case: &Case<'_>, client: &Format, backend: &Format) -> String {
    let client = client.client.as_ref().unwrap_or_else(|| panic!("no client speaks {}", client.name));
    let backend = backend.backend.as_ref().unwrap_or_else(|| panic!("no backend speaks {}", backend.name));
    let head = AnswerHead {
        id: "answer-1".to_owned(),
        model: "alias".to_owned(),
        created_s: 1_700_000_000,
        ..AnswerHead::default()
    };
    let out = case.prose.to_owned();
    let mut page = Page { client, backend, out, head, include_usage: false, fitted: ToolNames::default() };
    if let Some((how, body)) = case.section_from("client request") {
        page.request(how, body);
    }
    if let Some(body) = case.section("backend answer") {
        page.answer(body);
    }
    if let Some(body) = case.section("backend stream") {
        page.stream(body);
    }
    if let Some((status, body)) = case.section_from("backend error") {
        page.error(status, body);
    }
    let mut out = page.out.trim_end_matches('\n').to_owned();
    out.push('\n');
    out
}

/// A file as it is written.
struct Page<'f> {
    client: &'f Client,
    backend: &'f Backend,
    out: String,
    /// What the client is shown of an answer to the request.
    head: AnswerHead,
    include_usage: bool,
    fitted: ToolNames,
}

impl Page<'_> {
    fn section(&mut self, title: &str, body: &str) {
        self.out.push_str(&format!("=== {title}\n{body}\n\n"));
    }

    fn request(&mut self, how: &str, body: &str) {
        self.section(format!("client request {how}").trim_end(), body);
        let policy = if how.ends_with("(drop)") { OnUnmappable::Drop } else { OnUnmappable::Reject };
        let named = how.trim_end_matches("(drop)").trim().strip_prefix("for ");
        let model = named.unwrap_or(self.backend.model);
        let mut unmapped = Unmapped::new(policy);
        let body = (self.client.prepare)(&Bytes::copy_from_slice(body.as_bytes()));
        let encoded = (self.client.decode_request)(&body).and_then(|mut request| {
            self.include_usage = request.include_usage;
            self.head.legacy_functions = request.legacy_functions;
            let traits = Families::built_in().resolve(&Lookup::new(model, self.backend.format));
            let target = TargetModel { name: model, origin: ORIGIN, traits: &traits };
            self.fitted = adapt(&mut request, target, self.backend.place);
            self.head.tool_names = Some(Arc::new(std::mem::take(&mut request.tool_names)));
            request.hints.iter().for_each(|name| unmapped.hint(name.clone().into_owned()));
            (self.backend.encode_request)(&request, target, &mut unmapped)
        });
        self.section("backend request", &json_or_refusal(encoded));
        if !unmapped.dropped().is_empty() {
            self.section("dropped", &unmapped.dropped().join("\n"));
        }
    }

    fn answer(&mut self, body: &str) {
        self.section("backend answer", body);
        let encoded = (self.backend.decode_answer)(body.as_bytes()).map(|mut answer| {
            renaming::shown_answer(&mut answer, &self.fitted);
            proofs::mark_answer(&mut answer, ORIGIN);
            (self.client.encode_answer)(&answer, &self.head)
        });
        self.section("client answer", &json_or_refusal(encoded));
    }

    fn stream(&mut self, body: &str) {
        self.section("backend stream", body);
        let sse = format!("{body}\n\n");
        let stream = |chunks: &[&[u8]]| {
            stream(self.client, self.backend, chunks, &self.head, &self.fitted, self.include_usage)
        };
        let whole = stream(&[sse.as_bytes()]);
        let pieces: Vec<&[u8]> = sse.as_bytes().chunks(1).collect();
        assert_eq!(stream(&pieces), whole, "cut after every byte");
        self.section("client stream", whole.trim_end_matches('\n'));
    }

    fn error(&mut self, status: &str, body: &str) {
        self.section(&format!("backend error {status}"), body);
        let error = (self.backend.decode_error)(status.parse().unwrap(), body.as_bytes());
        let encoded = (self.client.encode_error)(&error.shown(Some("request-1")));
        self.section("client error", &json_or_refusal(Ok(encoded)));
    }
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
    fitted: &ToolNames,
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
            let renamed = renaming::shown_event(&event, fitted);
            let marked = proofs::mark_event(&event, ORIGIN);
            encoder.write(renamed.as_ref().or(marked.as_ref()).unwrap_or(&event), &mut out);
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
