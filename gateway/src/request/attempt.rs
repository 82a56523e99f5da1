//! The books of one upstream attempt: intent before the call, one ending after it, whatever happens.
//!
//! An attempt ends exactly once: by [`Attempt::end`], or, when the request is dropped because the client
//! went away, by its `Drop`. Ending settles the ledger, the token limits, the circuit and the metrics
//! together, so that they can never disagree.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_admission::Permit;
use tollgate_backends::retry_after::RateHeaders;
use tollgate_backends::{AttemptClass, AttemptOutcome, FailureKind, InFlight};
use tollgate_ledger::{IntentTicket, LedgerError};
use tollgate_limits::Consumed;
use tollgate_schemas::ids::EventId;
use tollgate_schemas::usage::{Outcome, UsageEvent, VERSION_FINAL};

use super::event::now_ms;
use super::measure::{Measure, Produced, Prompt, measure};
use crate::gateway::Gateway;
use crate::policies::token_limit::Reserved;

/// One call of one backend, from its intent to its settlement.
pub struct Attempt {
    gateway: Arc<Gateway>,
    event: Box<UsageEvent>,
    open: Option<Open>,
    prompt: Prompt,
    started: Instant,
    first_byte: Option<Duration>,
}

/// What must be given back when the attempt ends.
struct Open {
    ticket: IntentTicket,
    in_flight: InFlight,
    reserved: Reserved,
    /// Its place among the requests that run at its backend.
    permit: Option<Permit>,
}

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
    /// What it produced.
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

    /// The backend failed.
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
}

impl Ending<'_> {
    /// Another call for the same request answered first. The model may have read the prompt by then.
    #[must_use]
    pub fn hedge_lost() -> Self {
        let produced = Produced { prompt_sent: true, ..Produced::default() };
        Self { outcome: Outcome::HedgeLost, ..Self::client_abort(0, produced) }
    }
}

impl Attempt {
    /// Opens the books: the intent is in the spool when this returns. Gives the reservation back when the
    /// ledger refuses.
    ///
    /// # Errors
    /// When the ledger cannot take the intent; nothing may be called then.
    pub fn open(
        gateway: Arc<Gateway>,
        event: UsageEvent,
        prompt: Prompt,
        in_flight: InFlight,
        reserved: Reserved,
        traceparent: Option<&str>,
    ) -> Result<Self, LedgerError> {
        let ticket = gateway.ledger.intent(&event, traceparent)?;
        let open = Open { ticket, in_flight, reserved, permit: None };
        Ok(Self {
            gateway,
            event: Box::new(event),
            open: Some(open),
            prompt,
            started: Instant::now(),
            first_byte: None,
        })
    }

    /// The id of its usage event.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        self.event.event_id
    }

    /// The event as it stands.
    #[must_use]
    pub fn event(&self) -> &UsageEvent {
        &self.event
    }

    /// Names the model, where only the answer says which it was.
    pub fn set_model(&mut self, model: &str) {
        self.event.call.model = model.into();
    }

    /// Notes that the answer turned out to be a stream.
    pub fn set_stream(&mut self) {
        self.event.call.stream = true;
    }

    /// Time spent in the gateway before the call, for the event.
    pub fn set_gateway_time(&mut self, spent: Duration) {
        self.event.timing.gateway_us = u32::try_from(spent.as_micros()).unwrap_or(u32::MAX);
    }

    /// Tells the backend's actor what the provider says about its rate limits.
    pub fn note_rates(&self, headers: &http::HeaderMap) {
        let Some(open) = &self.open else { return };
        let rates = RateHeaders::from_headers(headers, now_ms());
        if !rates.is_empty() {
            open.in_flight.note_rates(&rates);
        }
    }

    /// Notes that the first byte of the answer's body has come.
    pub fn mark_first_byte(&mut self) {
        self.first_byte.get_or_insert_with(|| self.started.elapsed());
    }

    /// Forgets the prompt: the provider has reported.
    pub fn release_prompt(&mut self) {
        self.prompt.release();
    }

    /// Keeps a place at the backend until the attempt ends.
    pub fn keep(&mut self, permit: Option<Permit>) {
        if let Some(open) = &mut self.open {
            open.permit = permit;
        }
    }

    /// Takes over the reservation of an attempt that was given up for this one, in place of its own.
    pub fn take_over(&mut self, reserved: Reserved) {
        if let Some(open) = &mut self.open {
            open.reserved = reserved;
        }
    }

    /// The limit with the least left, for the client's headers.
    #[must_use]
    pub fn tightest_limit(&self) -> Option<tollgate_limits::Balance> {
        self.open.as_ref().and_then(|open| open.reserved.tightest())
    }

    /// Ends an attempt that is followed by another one: the reservation goes on to that.
    pub fn end_for_next(&mut self, ending: Ending<'_>) -> Reserved {
        self.close(ending).map(|(reserved, _)| reserved).unwrap_or_default()
    }

    /// Ends the attempt; later calls do nothing.
    pub fn end(&mut self, ending: Ending<'_>) {
        if let Some((reserved, consumed)) = self.close(ending) {
            reserved.settle(&consumed);
        }
    }

    fn close(&mut self, ending: Ending<'_>) -> Option<(Reserved, Consumed)> {
        let Open { ticket, in_flight, reserved, permit: _permit } = self.open.take()?;
        let measured = measure(&self.prompt, &self.event.call.model, ending.produced);
        let consumed = measured.consumed();
        let latency = self.started.elapsed();
        self.write_ending(&ending, measured, latency);
        if let Err(error) = self.gateway.ledger.settle(ticket, &self.event) {
            // The ledger keeps the event and writes it as soon as it can.
            tracing::error!(event_id = %self.event.event_id, error = %error, "settle record is delayed");
        }
        in_flight.report(AttemptOutcome {
            class: ending.class,
            latency,
            first_byte: self.first_byte,
            retry_after: ending.retry_after,
            tokens: Some(consumed.tokens()),
        });
        self.gateway.metrics.attempt_ended(&self.event);
        Some((reserved, consumed))
    }

    fn write_ending(&mut self, ending: &Ending<'_>, measured: Measure, latency: Duration) {
        let event = &mut *self.event;
        event.version = VERSION_FINAL;
        event.lines = measured.lines;
        event.usage_source = measured.source;
        event.outcome = ending.outcome;
        event.http_status = ending.status;
        event.error_code = ending.error_code.map(Into::into);
        event.ended_at_ms = now_ms().max(event.event_time_ms);
        event.timing.latency_ms = millis(latency);
        event.timing.ttft_ms = self.first_byte.map_or(0, millis);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.open.is_some() {
            // Dropped while waiting for the backend: the client went away, or a bug unwinds through here.
            let outcome = if std::thread::panicking() { Outcome::GatewayError } else { Outcome::ClientAbort };
            let sent = Produced { prompt_sent: true, ..Produced::default() };
            self.end(Ending { outcome, ..Ending::client_abort(0, sent) });
        }
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
