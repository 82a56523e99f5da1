//! Case → ledger row, on one page.
//!
//! | case | outcome | status | code | circuit |
//! |---|---|---|---|---|
//! | the answer reached its end | ok | the client's | – | success |
//! | the backend failed: no connection, time-out, 5xx, 429, nonsense | upstream_error | 0 before the client saw anything | the failure's | failure |
//! | the backend refused this request (4xx) | upstream_error | its status | backend_refused | failure only if the status speaks of the backend |
//! | the stream broke after it had begun | upstream_error | 200 | the failure's | failure |
//! | the backend ended its stream with an error | upstream_error | 200 | backend_stream_error | failure |
//! | the gateway had no memory for the answer | upstream_error | 0 | overloaded | neutral |
//! | the client left, before or while the answer came | client_abort | 0 or 200 | – | neutral |
//! | the client broke off its own upload | client_abort | the refusal's | the refusal's | neutral |
//! | another call of the same request answered first | hedge_lost | 0 | – | neutral |
//! | a bug unwound through the call | gateway_error | 0 | – | neutral |
//!
//! A call that was given up costs its prompt once its request has gone out, and nothing before.
//!
//! Without an attempt: refused by the gateway (rejected), answered from the cache (cache_hit), and an attempt whose
//! gateway died (recovered, written from the intent at the next start).

use std::time::Duration;

use tollgate_backends::{AttemptClass, FailureKind};
use tollgate_schemas::usage::Outcome;

use super::measure::Produced;

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// For the ledger.
    pub outcome: Outcome,
    /// Status the client saw; 0 where none was sent.
    pub status: u16,
    /// Stable code of the error, where there was one.
    pub error_code: Option<&'static str>,
    /// For the circuit.
    pub class: AttemptClass,
    /// How long the backend asked to be left alone.
    pub retry_after: Option<Duration>,
    pub produced: Produced<'a>,
}

impl<'a> Ending<'a> {
    /// The answer reached its end.
    #[must_use]
    pub fn ok(status: u16, produced: Produced<'a>) -> Self {
        Self {
            outcome: Outcome::Ok,
            status,
            error_code: None,
            class: AttemptClass::Success,
            retry_after: None,
            produced,
        }
    }

    #[must_use]
    pub fn failed(kind: FailureKind, status: u16, code: &'static str, produced: Produced<'a>) -> Self {
        Self {
            outcome: Outcome::UpstreamError,
            status,
            error_code: Some(code),
            class: AttemptClass::Failure(kind),
            retry_after: None,
            produced,
        }
    }

    /// The backend refused this very request. `class` says whether the status speaks of the backend all the same.
    #[must_use]
    pub fn backend_refused(status: u16, class: AttemptClass, produced: Produced<'a>) -> Self {
        let failed = Self::failed(FailureKind::Status(status), status, "backend_refused", produced);
        Self { class, ..failed }
    }

    /// The gateway had no memory for the answer; the backend is not to blame.
    #[must_use]
    pub fn no_memory(kind: FailureKind, code: &'static str, produced: Produced<'a>) -> Self {
        Self { class: AttemptClass::Neutral, ..Self::failed(kind, 0, code, produced) }
    }

    /// The client went away.
    #[must_use]
    pub fn client_abort(status: u16, produced: Produced<'a>) -> Self {
        Self {
            outcome: Outcome::ClientAbort,
            status,
            error_code: None,
            class: AttemptClass::Neutral,
            retry_after: None,
            produced,
        }
    }

    /// The client broke off the upload of its own request.
    #[must_use]
    pub fn upload_broke_off(status: u16, code: &'static str, produced: Produced<'a>) -> Self {
        Self { error_code: Some(code), ..Self::client_abort(status, produced) }
    }

    /// Whatever came of the answer, the client had gone before.
    #[must_use]
    pub fn without_client(self) -> Self {
        Self { outcome: Outcome::ClientAbort, ..self }
    }
}

impl Ending<'_> {
    /// Another call for the same request answered first. The model may have read the prompt if it was sent by then.
    #[must_use]
    pub fn hedge_lost(sent: bool) -> Self {
        Self { outcome: Outcome::HedgeLost, ..Self::client_abort(0, Self::prompt_alone(sent)) }
    }

    /// Dropped while the call was under way: the client went away, or a bug unwinds through here.
    #[must_use]
    pub fn abandoned(panicking: bool, sent: bool) -> Self {
        let outcome = if panicking { Outcome::GatewayError } else { Outcome::ClientAbort };
        Self { outcome, ..Self::client_abort(0, Self::prompt_alone(sent)) }
    }

    fn prompt_alone(sent: bool) -> Produced<'static> {
        Produced { prompt_sent: sent, ..Produced::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of this page, row by row.
    #[test]
    fn every_case_has_its_row() {
        use AttemptClass::{Failure, Neutral, Success};
        let none = Produced::default;
        let refused = Failure(FailureKind::Status(403));
        let cases: [(Ending<'_>, Outcome, u16, Option<&str>, AttemptClass); 10] = [
            (Ending::ok(200, none()), Outcome::Ok, 200, None, Success),
            (
                Ending::failed(FailureKind::Connect, 0, "backend_unreachable", none()),
                Outcome::UpstreamError,
                0,
                Some("backend_unreachable"),
                Failure(FailureKind::Connect),
            ),
            (
                Ending::backend_refused(403, refused, none()),
                Outcome::UpstreamError,
                403,
                Some("backend_refused"),
                refused,
            ),
            (
                Ending::backend_refused(400, Neutral, none()),
                Outcome::UpstreamError,
                400,
                Some("backend_refused"),
                Neutral,
            ),
            (
                Ending::failed(FailureKind::Stream, 200, "backend_stream_error", none()),
                Outcome::UpstreamError,
                200,
                Some("backend_stream_error"),
                Failure(FailureKind::Stream),
            ),
            (
                Ending::no_memory(FailureKind::Stalled, "overloaded", none()),
                Outcome::UpstreamError,
                0,
                Some("overloaded"),
                Neutral,
            ),
            (Ending::ok(200, none()).without_client(), Outcome::ClientAbort, 200, None, Success),
            (
                Ending::upload_broke_off(408, "body_timeout", none()),
                Outcome::ClientAbort,
                408,
                Some("body_timeout"),
                Neutral,
            ),
            (Ending::hedge_lost(true), Outcome::HedgeLost, 0, None, Neutral),
            (Ending::abandoned(true, true), Outcome::GatewayError, 0, None, Neutral),
        ];
        for (ending, outcome, status, code, class) in cases {
            let got = (ending.outcome, ending.status, ending.error_code, ending.class);
            assert_eq!(got, (outcome, status, code, class));
        }
        assert_eq!(Ending::abandoned(false, true).outcome, Outcome::ClientAbort);
    }

    #[test]
    fn a_call_that_was_abandoned_may_have_cost_its_prompt_once_that_was_sent() {
        for sent in [true, false] {
            assert_eq!(Ending::hedge_lost(sent).produced.prompt_sent, sent);
            assert_eq!(Ending::abandoned(false, sent).produced.prompt_sent, sent);
        }
    }
}
