//! The books of one upstream attempt: intent before the call, one ending after it, whatever happens.
//!
//! An attempt ends exactly once: by [`Attempt::end`], or, when the request is dropped because the client
//! went away, by its `Drop`. Ending settles the ledger, the token limits, the circuit and the metrics
//! together, so that they can never disagree.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_admission::Permit;
use tollgate_backends::retry_after::RateHeaders;
use tollgate_backends::sent::Sent;
use tollgate_backends::{AttemptOutcome, InFlight};
use tollgate_base::time::now_ms;
use tollgate_ledger::{IntentTicket, LedgerError};
use tollgate_limits::{Consumed, Reservation};
use tollgate_schemas::usage::{UsageEvent, VERSION_FINAL};
use tracing::Span;

use super::ending::Ending;
use super::measure::{Basis, Measure, measure};
use crate::gateway::Gateway;
use crate::telemetry::spans;

/// Code of a row whose model goes on after its answer.
const PENDING_CODE: &str = "background_pending";

/// One call of one backend, from its intent to its settlement.
pub struct Attempt {
    gateway: Arc<Gateway>,
    event: Box<UsageEvent>,
    open: Option<Open>,
    basis: Basis,
    sent: Sent,
    started: Instant,
    first_byte: Option<Duration>,
    span: Span,
    /// What the provider calls the answer, where its model may go on after it.
    work: Option<Arc<str>>,
}

/// What must be given back when the attempt ends.
struct Open {
    ticket: IntentTicket,
    in_flight: InFlight,
    reserved: Reservation,
    /// Its place among the requests that run at its backend.
    permit: Option<Permit>,
}

impl Attempt {
    /// Opens the books: the intent is in the spool when this returns. Gives the reservation back when the
    /// ledger refuses.
    ///
    /// # Errors
    /// When the ledger cannot take the intent; nothing may be called then.
    pub fn open(
        gateway: Arc<Gateway>,
        mut event: UsageEvent,
        basis: Basis,
        in_flight: InFlight,
        reserved: Reservation,
        traceparent: Option<&str>,
    ) -> Result<Self, LedgerError> {
        let ticket = gateway.ledger.intent(&mut event, traceparent)?;
        let span = spans::attempt(&event);
        let open = Open { ticket, in_flight, reserved, permit: None };
        Ok(Self {
            gateway,
            event: Box::new(event),
            open: Some(open),
            basis,
            sent: Sent::default(),
            started: Instant::now(),
            first_byte: None,
            span,
            work: None,
        })
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

    /// For whoever makes the call: whether it has gone out. Given up before, it costs nothing.
    #[must_use]
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Notes that a good answer has begun, whatever comes of it.
    pub fn mark_answers(&mut self) {
        if let Some(open) = &mut self.open {
            open.in_flight.answers();
        }
    }

    /// Notes that the first byte of the answer's body has come.
    pub fn mark_first_byte(&mut self) {
        self.first_byte.get_or_insert_with(|| self.started.elapsed());
    }

    /// Notes that the model may go on after its answer, under this id of its provider's. It is kept for the next
    /// process now, before the client can know the id.
    pub fn works_as(&mut self, response: &str) {
        // Without a number of its own an event has no later version: it is served unmetered, and counted as such.
        if self.event.ledger.seq == 0 {
            return;
        }
        let response: Arc<str> = response.into();
        self.gateway.pending.hold(&self.event, &response);
        self.work = Some(response);
    }

    /// Whether the model may go on after its answer.
    #[must_use]
    pub fn works(&self) -> bool {
        self.work.is_some()
    }

    /// Tokens of its prompt as the gateway counts them; `None` if it is not measured by tokens.
    #[must_use]
    pub fn prompt_tokens(&self) -> Option<u64> {
        self.basis.prompt(&self.event.call.model).map(|(_, count)| count.tokens)
    }

    /// Forgets the prompt: the provider has reported.
    pub fn release_prompt(&mut self) {
        self.basis.release();
    }

    /// Keeps a place at the backend until the attempt ends.
    pub fn keep(&mut self, permit: Option<Permit>) {
        if let Some(open) = &mut self.open {
            open.permit = permit;
        }
    }

    /// Takes over the reservation of an attempt that was given up for this one, in place of its own.
    pub fn take_over(&mut self, reserved: Reservation) {
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
    pub fn end_for_next(&mut self, ending: Ending<'_>) -> Reservation {
        self.close(ending, false).map(|(reserved, _)| reserved).unwrap_or_default()
    }

    /// Ends the attempt although its model goes on: what it uses after this is settled when that ends.
    pub fn end_working(&mut self, ending: Ending<'_>) {
        if let Some((reserved, consumed)) = self.close(ending, true) {
            reserved.settle(&consumed);
        }
    }

    /// Ends the attempt; later calls do nothing.
    pub fn end(&mut self, ending: Ending<'_>) {
        if let Some((reserved, consumed)) = self.close(ending, false) {
            reserved.settle(&consumed);
        }
    }

    fn close(&mut self, ending: Ending<'_>, goes_on: bool) -> Option<(Reservation, Consumed)> {
        let Open { ticket, in_flight, reserved, permit: _permit } = self.open.take()?;
        if goes_on {
            self.basis.release_uncountable(&self.event.call.model);
        }
        let measured = measure(&self.basis, &self.event.call.model, ending.produced);
        let consumed = measured.consumed();
        self.note_disbelief(measured.disbelieved);
        let latency = self.started.elapsed();
        self.write_ending(&ending, measured, latency);
        self.note_work(goes_on);
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
        spans::attempt_ended(&self.span, &self.event);
        Some((reserved, consumed))
    }

    /// What goes on is kept before the row is settled: a crash in between loses nothing.
    fn note_work(&mut self, goes_on: bool) {
        match self.work.take() {
            Some(response) if goes_on => {
                self.event.error_code = Some(PENDING_CODE.into());
                self.gateway.pending.begin(&self.event, &response);
            }
            Some(_) => self.gateway.pending.ended(self.event.event_id),
            None => {}
        }
    }

    fn note_disbelief(&self, reported: Option<u64>) {
        let Some(tokens) = reported else { return };
        let call = &self.event.call;
        self.gateway.metrics.disbelieved_reports.inc();
        tracing::warn!(event_id = %self.event.event_id, backend = %call.backend, model = %call.model, tokens,
            "a backend reports more usage than one call can have; it is estimated instead");
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
            let ending = Ending::abandoned(std::thread::panicking(), self.sent.is_sent());
            if self.works() { self.end_working(ending) } else { self.end(ending) }
        }
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
