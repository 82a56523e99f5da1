//! What a client saw of one exchange.

use std::fmt;

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tollgate_schemas::ids::RequestId;
use tollgate_tests::harness::http::{Client, Reply};

/// How an exchange ended for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// A whole, good answer.
    Good,
    /// An error: its status and its code.
    Error(u16, String),
    /// A stream that began and ended with an error event of this code.
    ErrorEvent(String),
    /// What no client may see.
    Wrong(String),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => write!(f, "200"),
            Self::Error(status, code) => write!(f, "{status} {code}"),
            Self::ErrorEvent(code) => write!(f, "200, then {code}"),
            Self::Wrong(what) => write!(f, "WRONG: {what}"),
        }
    }
}

/// One exchange.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) seen: Seen,
    /// The request's id, where there was an answer.
    pub(super) id: Option<RequestId>,
    /// The `Retry-After` of the answer, s.
    pub(super) retry_after_s: Option<u64>,
}

/// Sends a request and waits for its end.
pub(super) async fn exchange(client: &Client, path: &str, body: &Value) -> Exchange {
    match client.send(Method::POST, path, Bytes::from(body.to_string())).await {
        Ok(reply) => Exchange {
            seen: judge(&reply),
            id: reply.header("x-request-id").parse().ok().map(RequestId),
            retry_after_s: reply.header("retry-after").parse().ok(),
        },
        Err(reason) => Exchange { seen: Seen::Wrong(format!("{reason:#}")), id: None, retry_after_s: None },
    }
}

fn judge(reply: &Reply) -> Seen {
    let status = reply.status.as_u16();
    let kind = reply.header("content-type");
    if kind.starts_with("text/event-stream") {
        return if status == 200 {
            judge_events(&reply.text())
        } else {
            wrong("events with an error's status")
        };
    }
    let labelled = kind.starts_with("application/json");
    let Ok(json) = serde_json::from_slice::<Value>(&reply.body) else {
        if labelled {
            return Seen::Wrong(format!("{status} with a body that is labelled as JSON and is none"));
        }
        return if status == 200 { wrong("200 without JSON") } else { Seen::Error(status, "-".to_owned()) };
    };
    if status != 200 {
        return Seen::Error(status, code_of(&json).unwrap_or("-").to_owned());
    }
    let text = &json["choices"][0]["message"]["content"];
    if text.is_string() { Seen::Good } else { wrong("200 without an answer") }
}

fn judge_events(text: &str) -> Seen {
    let events = text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect::<Vec<_>>();
    let json = |event: &str| serde_json::from_str::<Value>(event).unwrap_or(Value::Null);
    let finished = events.iter().any(|event| json(event)["choices"][0]["finish_reason"].is_string());
    let Some(&last) = events.last() else { return wrong("a stream without an event") };
    if !text.ends_with("\n\n") {
        return wrong("a stream that ends in an event");
    }
    match code_of(&json(last)) {
        Some(code) => Seen::ErrorEvent(code.to_owned()),
        None if finished => Seen::Good,
        None => wrong("a stream cut silently"),
    }
}

fn code_of(json: &Value) -> Option<&str> {
    json["error"]["code"].as_str()
}

fn wrong(what: &str) -> Seen {
    Seen::Wrong(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    const LAST: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

    fn judged(events: &[&str]) -> Seen {
        judge_events(&events.concat())
    }

    #[test]
    fn streams_are_good_with_their_last_word_and_never_without() {
        assert_eq!(judged(&[WORD, LAST, "data: [DONE]\n\n"]), Seen::Good);
        assert_eq!(judged(&[WORD, LAST]), Seen::Good);
        assert!(matches!(judged(&[WORD]), Seen::Wrong(_)));
        assert!(matches!(judged(&[WORD, LAST, "data: {"]), Seen::Wrong(_)));
        assert!(matches!(judged(&[]), Seen::Wrong(_)));
    }

    #[test]
    fn an_error_event_counts_by_its_code() {
        let error = "data: {\"error\":{\"code\":\"backend_timeout\"}}\n\n";
        assert_eq!(judged(&[WORD, error]), Seen::ErrorEvent("backend_timeout".to_owned()));
    }
}
