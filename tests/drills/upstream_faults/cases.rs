//! The faults, and what must become of a request that meets one.

use std::collections::BTreeMap;

use tollgate_tests::sim::Port;
use tollgate_tests::sim::faults::{Faults, StatusFault};
use tollgate_tests::sim::raw::{Part, Place, RawFault};

/// Largest answer that the gateway takes, bytes.
pub(super) const MAX_ANSWER: usize = 256 << 10;
/// Largest event of a stream that it takes, bytes.
pub(super) const MAX_EVENT: usize = 64 << 10;
/// What backends ask for that say when to come back, s.
const WAIT_S: u64 = 30;

/// A fault of a backend.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// Its name in the table, of letters, digits and dashes.
    pub(super) name: String,
    /// Where it happens.
    pub(super) fault: Fault,
    /// What becomes of a request for a whole answer.
    pub(super) plain: Fate,
    /// What becomes of a request for a stream.
    pub(super) stream: Fate,
    /// `Retry-After` that a client must be told when there is no other backend, s.
    pub(super) retry_after_s: Option<u64>,
}

/// Where a fault happens.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// In the answer.
    Answer(Box<Faults>),
    /// At the port.
    Port(Port),
}

/// What must become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Another backend answers it; without one the client gets this error.
    Elsewhere(u16, &'static str),
    /// As [`Fate::Elsewhere`], but the client is told with this status what the backend said; the code is the row's.
    Told(u16, &'static str),
    /// As [`Fate::Elsewhere`]; but as the answer's head was good, the stream may have begun where there is no other
    /// backend, and then ends with an error event of this code.
    Begun(u16, &'static str),
    /// As [`Fate::Begun`], and with another backend too: bytes came, but no whole event.
    Unread(u16, &'static str),
    /// The stream, of which the client has a part, ends with an error event of this code.
    Midway(&'static str),
    /// The backend's refusal is the client's: it is the request that is at fault.
    Refused(u16),
    /// The client does not notice.
    Harmless,
}

const BROKEN: &str = "backend_broken_answer";
const TIMEOUT: &str = "backend_timeout";

/// Every fault.
pub(super) fn all() -> Vec<Case> {
    let mut cases = connection();
    cases.extend(malformed());
    cases.extend(excessive());
    cases.extend(statuses());
    cases.extend(waits());
    cases
}

/// Stalled, half-closed, reset, not reachable.
fn connection() -> Vec<Case> {
    let mut cases = vec![
        port("port-closed", Port::Closed, Fate::Elsewhere(502, "backend_unreachable")),
        port("port-deaf", Port::Deaf, Fate::Elsewhere(504, TIMEOUT)),
    ];
    for (name, fault) in [
        ("stall", RawFault::Stall as fn(Place) -> RawFault),
        ("finish", RawFault::Finish),
        ("reset", RawFault::Reset),
    ] {
        let (status, code) = if name == "stall" { (504, TIMEOUT) } else { (502, BROKEN) };
        let early = Fate::Elsewhere(status, code);
        let begun = Fate::Begun(status, code);
        cases.push(raw(&format!("{name}-before-head"), fault(Place::BeforeHead), early, early));
        cases.push(raw(&format!("{name}-in-head"), fault(Place::InHead), early, early));
        cases.push(raw(&format!("{name}-after-head"), fault(Place::AfterHead), early, begun));
        cases.push(raw(&format!("{name}-in-body"), fault(Place::InBody), early, Fate::Midway(code)));
    }
    cases
}

/// No HTTP, no JSON, no events.
fn malformed() -> Vec<Case> {
    let broken = Fate::Elsewhere(502, BROKEN);
    let unread = Fate::Unread(502, BROKEN);
    let midway = Fate::Midway(BROKEN);
    let json = Faults { malformed_json: true, ..Faults::default() };
    let event = Faults { malformed_sse: true, ..Faults::default() };
    let no_done = Faults { close_without_usage: true, ..Faults::default() };
    vec![
        raw("garbage-head", RawFault::GarbageHead, broken, broken),
        // The stream is whole before anybody can tell that its length is wrong.
        raw("length-too-long", RawFault::LengthTooLong, broken, Fate::Harmless),
        raw("length-too-short", RawFault::LengthTooShort, broken, midway),
        raw("length-no-number", RawFault::LengthNoNumber, broken, broken),
        raw("garbage-chunk", RawFault::GarbageChunk, broken, midway),
        // Events pass as they come; what is no text in them is the client's to replace.
        raw("not-utf8", RawFault::NotUtf8, broken, Fate::Harmless),
        raw("binary", RawFault::Binary, broken, unread),
        raw("truncated", RawFault::Truncated, broken, midway),
        // Compressed though nobody asked for it: it is read.
        raw("gzip", RawFault::Gzip, Fate::Harmless, Fate::Harmless),
        raw("interim-answer", RawFault::Interim, Fate::Harmless, Fate::Harmless),
        answer("broken-json", json, broken, Fate::Harmless),
        answer("broken-event", event, Fate::Harmless, Fate::Harmless),
        answer("no-done", no_done, Fate::Harmless, Fate::Harmless),
        told("failure-as-event", "server_error", Fate::Told(500, "backend_error")),
        told("limit-as-event", "rate_limit_error", Fate::Told(429, "backend_rate_limited")),
    ]
}

/// Too large, too slow, without end.
fn excessive() -> Vec<Case> {
    let broken = Fate::Elsewhere(502, BROKEN);
    let late = Fate::Elsewhere(504, TIMEOUT);
    let large = Faults { oversized_bytes: Some(MAX_ANSWER + MAX_ANSWER / 4), ..Faults::default() };
    // Too slow for the whole, and quick enough for the first event of a stream.
    let drip = |from| RawFault::Drip { from, pause_ms: if from == Part::Head { 100 } else { 25 } };
    vec![
        // A stream has no size, only its events have.
        answer("oversized", large, broken, Fate::Harmless),
        raw("endless-head", RawFault::Endless(Part::Head), broken, broken),
        raw("endless-body", RawFault::Endless(Part::Body), broken, Fate::Unread(502, BROKEN)),
        raw("endless-interim", RawFault::EndlessInterim, late, late),
        raw("drip-head", drip(Part::Head), late, late),
        raw("drip-body", drip(Part::Body), late, Fate::Midway(TIMEOUT)),
    ]
}

/// Every status that means something, and one of each kind that does not.
fn statuses() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |codes: &[u16], fate: &dyn Fn(u16) -> Fate| {
        for &code in codes {
            cases.push(status(&format!("status-{code}"), StatusFault::code(code), fate(code)));
        }
    };
    add(&[400, 405, 409, 413, 415, 422, 501, 505], &Fate::Refused);
    add(&[401], &|_| Fate::Elsewhere(502, "backend_credentials"));
    // The model is not to be had there, for which the backend gives a reason of its own.
    add(&[403, 404], &|code| Fate::Told(code, "backend_error"));
    add(&[500, 502, 503, 504], &|code| Fate::Told(code, "backend_error"));
    for (code, told) in [(408, 504), (499, 502), (529, 503), (599, 502)] {
        add(&[code], &|_| Fate::Told(told, "backend_error"));
    }
    add(&[204, 300, 304], &|_| Fate::Elsewhere(502, BROKEN));
    for code in [301, 302, 307] {
        let headers = BTreeMap::from([("location".to_owned(), "http://127.0.0.1:9/v1/elsewhere".to_owned())]);
        let fault = StatusFault { headers, ..StatusFault::code(code) };
        cases.push(status(&format!("redirect-{code}"), fault, Fate::Elsewhere(502, BROKEN)));
    }
    for code in [400, 404, 503] {
        let body = Some("<html><body>no JSON here</body></html>".to_owned());
        let fault = StatusFault { body, ..StatusFault::code(code) };
        let fate = if code == 400 { Fate::Refused(code) } else { Fate::Told(code, "backend_error") };
        cases.push(status(&format!("html-{code}"), fault, fate));
    }
    cases
}

/// All the ways to say when to come back.
fn waits() -> Vec<Case> {
    let busy = || StatusFault::code(429);
    let header = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
    let seconds = StatusFault { retry_after_s: Some(WAIT_S), ..busy() };
    let date = StatusFault { retry_after_date_s: Some(30), ..busy() };
    let millis = StatusFault { headers: header("retry-after-ms", (WAIT_S * 1000).to_string()), ..busy() };
    let reset = StatusFault { headers: header("x-ratelimit-reset-requests", format!("{WAIT_S}s")), ..busy() };
    let nonsense = StatusFault { headers: header("retry-after", "soon".to_owned()), ..busy() };
    let forms = [
        ("429-seconds", seconds, Some(WAIT_S)),
        ("429-date", date, Some(WAIT_S)),
        ("429-millis", millis, Some(WAIT_S)),
        ("429-reset", reset, Some(WAIT_S)),
        ("429-nonsense", nonsense, None),
        ("429-silent", busy(), None),
    ];
    let refused = Fate::Told(429, "backend_rate_limited");
    let mut cases = Vec::new();
    for (name, fault, retry_after_s) in forms {
        cases.push(Case { retry_after_s, ..status(name, fault, refused) });
    }
    let maintenance = StatusFault { retry_after_s: Some(WAIT_S), ..StatusFault::code(503) };
    cases.push(status("503-seconds", maintenance, Fate::Told(503, "backend_error")));
    let conflict = StatusFault { retry_after_s: Some(WAIT_S), ..StatusFault::code(409) };
    cases.push(status("409-seconds", conflict, Fate::Told(409, "backend_error")));
    cases
}

fn raw(name: &str, fault: RawFault, plain: Fate, stream: Fate) -> Case {
    answer(name, Faults { raw: Some(fault), ..Faults::default() }, plain, stream)
}

fn status(name: &str, fault: StatusFault, fate: Fate) -> Case {
    answer(name, Faults { status: Some(fault), ..Faults::default() }, fate, fate)
}

/// A stream with nothing but an error in it, under a good head.
fn told(name: &str, kind: &str, stream: Fate) -> Case {
    let error = format!(r#"{{"message":"Not now","type":"{kind}","param":null,"code":null}}"#);
    let body = Some(format!("data: {{\"error\":{error}}}\n\n"));
    let content_type = Some("text/event-stream".to_owned());
    let status = Some(StatusFault { body, content_type, ..StatusFault::code(200) });
    // Gathered into one answer, it is the same error.
    answer(name, Faults { status, ..Faults::default() }, stream, stream)
}

fn answer(name: &str, faults: Faults, plain: Fate, stream: Fate) -> Case {
    let fault = Fault::Answer(Box::new(faults));
    Case { name: name.to_owned(), fault, plain, stream, retry_after_s: None }
}

fn port(name: &str, port: Port, fate: Fate) -> Case {
    Case { name: name.to_owned(), fault: Fault::Port(port), plain: fate, stream: fate, retry_after_s: None }
}
