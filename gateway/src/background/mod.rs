//! What becomes of answers whose models go on after them: each is settled once, by whoever sees its end first.
//!
//! | seen by | says |
//! |---|---|
//! | a client that fetches or cancels it | its status and usage ([`seen`]) |
//! | a client that has it streamed again | its usage, with the last event ([`settle`]) |
//! | the gateway, which asks for it ([`polls`]) | its status and usage; or that it is given up |
//!
//! The row that was written with the answer is replaced by a later version of the same event: what its provider says
//! wins over an answer that was given up, whatever comes first, and also where two replicas write one.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_base::time::now_ms;
use tollgate_crossing::crossing::Reading;
use tollgate_crossing::{ClientFormat, Crossing, Incoming, WayBack, Wire};
use tollgate_formats::exchange::AnswerHead;
use tollgate_formats::openai_responses::work::{Stage, Work};
use tollgate_ledger::LedgerError;
use tollgate_limits::Consumed;
use tollgate_schemas::ids::EventId;
use tollgate_schemas::usage::UsageEvent;

use self::row::{End, ended};
use crate::books::measure::Produced;
use crate::gateway::Gateway;
use crate::pending::entry::Entry;
use crate::pending::table::GivenUp;
use crate::policies::content_events::CompletionRecorder;

pub mod polls;
mod row;

/// The one pair of formats that has such answers.
pub const NATIVE: Crossing = Crossing { client: ClientFormat::Responses, wire: Wire::Responses };

/// Settles an answer that its backend calls by this id, if this is its end and it is not settled yet.
pub fn seen(gateway: &Arc<Gateway>, backend: &str, response: &str, body: &Bytes) {
    if let Some(entry) = gateway.pending.find(backend, response) {
        let _ = read(gateway, &entry, body);
    }
}

/// Reads what a provider says of an answer, and settles it at its end. `None` if that is nothing about it.
fn read(gateway: &Arc<Gateway>, entry: &Entry, body: &Bytes) -> Option<Stage> {
    let work = Work::of(body).filter(|work| *work.id == *entry.response)?;
    if !work.stage.is_running() {
        let incoming =
            NATIVE.answer(body.clone(), AnswerHead::default, Reading::Content, &WayBack::default()).ok()?;
        let Incoming { usage, text, body, .. } = &incoming;
        let body = body.len() as u64;
        let produced =
            Produced { usage: *usage, complete: true, text, text_beyond: 0, body, prompt_sent: true };
        settle(gateway, entry.id(), work.stage, produced);
    }
    Some(work.stage)
}

/// Writes the end of an answer down, unless that is done already.
pub fn settle(gateway: &Arc<Gateway>, id: EventId, stage: Stage, produced: Produced<'_>) {
    write(gateway, id, End::Said(stage, produced));
}

/// Writes down that nobody will know how an answer ended.
fn give_up(gateway: &Arc<Gateway>, id: EventId, why: GivenUp) {
    write(gateway, id, End::GivenUp(why));
}

fn write(gateway: &Arc<Gateway>, id: EventId, end: End<'_>) {
    let Some(entry) = gateway.pending.take(id) else { return };
    let before = &entry.event;
    let (event, disbelieved) = ended(before, &end, now_ms());
    match gateway.ledger.correct(&event) {
        Ok(()) => {}
        Err(error @ LedgerError::Unwritable(_)) => {
            tracing::error!(event_id = %id, %error, "the end of a background answer is lost");
        }
        Err(error) => {
            tracing::warn!(event_id = %id, %error, "the end of a background answer waits for the ledger");
            return gateway.pending.put_back(entry);
        }
    }
    gateway.pending.ended(id);
    charge(gateway, before, &event);
    gateway.metrics.ended_late(before, &event);
    gateway.metrics.pending().ended(end.name());
    if disbelieved {
        gateway.metrics.disbelieved_reports.inc();
    }
    tracing::info!(event_id = %id, backend = %event.call.backend, how = end.name(), "a background answer is settled");
    let recorder = CompletionRecorder::new(gateway, &gateway.snapshot.load().content);
    if let (Some(recorder), End::Said(_, produced)) = (recorder, &end) {
        recorder.record(&event, produced.text, produced.text_beyond > 0, None);
    }
}

/// Charges the limits of who called what was not charged before. A subscription that has gone has none.
fn charge(gateway: &Gateway, before: &UsageEvent, after: &UsageEvent) {
    let more = Consumed {
        input: after.input_tokens().saturating_sub(before.input_tokens()),
        output: after.output_tokens().saturating_sub(before.output_tokens()),
    };
    let payer = &before.payer;
    if let Some(caller) = gateway.snapshot.load().keys.of_payer(&payer.subscription, &payer.key_id) {
        gateway.limiters.charge(&caller.limits, &more);
    }
}
