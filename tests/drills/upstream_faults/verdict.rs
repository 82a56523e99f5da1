//! Holds what became of a request against what must become of it.

use std::fmt;

use tollgate_schemas::usage::{Outcome, UsageEvent};

use super::cases::{Case, Fate};
use super::seen::{Exchange, Seen};

/// How much of the time to wait may have passed before the client is told, s.
const WAITED_S: u64 = 5;

/// The code of an error that a backend has made up itself.
const WHATEVER: &str = "(its own)";

/// One attempt in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    outcome: Outcome,
    code: Option<String>,
}

impl Row {
    fn ok() -> Self {
        Self { outcome: Outcome::Ok, code: None }
    }

    fn failed(code: &str) -> Self {
        Self { outcome: Outcome::UpstreamError, code: Some(code.to_owned()) }
    }
}

impl From<&UsageEvent> for Row {
    fn from(event: &UsageEvent) -> Self {
        Self { outcome: event.outcome, code: event.error_code.as_deref().map(str::to_owned) }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.outcome) {
            (None, Outcome::Ok) => f.write_str("ok"),
            (Some(code), Outcome::UpstreamError) => f.write_str(code),
            (code, outcome) => write!(f, "{outcome:?} {code:?}"),
        }
    }
}

/// What may become of a request: what its client sees, and its rows.
type Ends = Vec<(Seen, Vec<Row>)>;

/// What may become of a request, with or without a second backend that is in order.
fn ends(fate: Fate, second: bool) -> Ends {
    let elsewhere = |code: &str| (Seen::Good, vec![Row::failed(code), Row::ok()]);
    let error = |status, code: &str| (Seen::Error(status, code.to_owned()), vec![Row::failed(code)]);
    let event = |code: &str| (Seen::ErrorEvent(code.to_owned()), vec![Row::failed(code)]);
    match fate {
        Fate::Elsewhere(_, code) | Fate::Told(_, code) | Fate::Begun(_, code) if second => {
            vec![elsewhere(code)]
        }
        Fate::Told(status, code) => {
            vec![(Seen::Error(status, WHATEVER.to_owned()), vec![Row::failed(code)])]
        }
        Fate::Elsewhere(status, code) => vec![error(status, code)],
        Fate::Begun(status, code) => vec![error(status, code), event(code)],
        Fate::Unread(_, code) if second => vec![elsewhere(code), event(code)],
        Fate::Unread(status, code) => vec![error(status, code), event(code)],
        Fate::Midway(code) => vec![event(code)],
        Fate::Refused(status) => {
            vec![(Seen::Error(status, WHATEVER.to_owned()), vec![Row::failed("backend_refused")])]
        }
        Fate::Harmless => vec![(Seen::Good, vec![Row::ok()])],
    }
}

/// What is wrong with the end of a request; `None` if it is an allowed one.
pub(super) fn complaint(
    case: &Case,
    stream: bool,
    second: bool,
    got: &Exchange,
    rows: &[Row],
) -> Option<String> {
    let fate = if stream { case.stream } else { case.plain };
    let ends = ends(fate, second);
    if !ends.iter().any(|(seen, expected)| is_same(seen, &got.seen) && expected == rows) {
        let expected = ends.iter().map(|(seen, rows)| format!("{seen} [{}]", list(rows)));
        return Some(format!("expected {}", expected.collect::<Vec<_>>().join(" or ")));
    }
    let wait = case.retry_after_s.filter(|_| !second)?;
    let told = got.retry_after_s.is_some_and(|told| told <= wait && told + WAITED_S >= wait);
    (!told).then(|| format!("Retry-After is {:?} and not about {wait}", got.retry_after_s))
}

fn is_same(expected: &Seen, got: &Seen) -> bool {
    match (expected, got) {
        (Seen::Error(status, code), Seen::Error(got, _)) if code == WHATEVER => status == got,
        _ => expected == got,
    }
}

/// Rows in one line.
pub(super) fn list(rows: &[Row]) -> String {
    rows.iter().map(Row::to_string).collect::<Vec<_>>().join(", ")
}
