//! Spool to event log.
//!
//! Invariants:
//!
//! * the cursor moves over records that the log has reported as taken (or that are dead letters) and over
//!   nothing else;
//! * only places of records are kept in memory, never records: what must be sent again is read again;
//! * nothing moves before a read that can fail: a record that cannot be read now keeps its place in the spool
//!   or in the queue, and is read again later;
//! * no record holds the cursor for good: one that cannot be read for [`patience::MOST_TRIES`] tries is passed over,
//!   counted and logged, and its event is missing in the ledger;
//! * no record blocks the others: one that the log refuses goes to the dead-letter topic, and if that
//!   refuses it too, into a local file;
//! * a publisher can be dropped at any moment; a new one starts at the last reported cursor, and what was
//!   in flight is published twice, which no report shows.
//!
//! Modules in reading order: `deliveries` (what reports lead to), `window` (how far the cursor may move), `pace` (when
//! to try again), `patience` (with what cannot be read), `wrap` (record to CloudEvent).

mod deliveries;
mod pace;
mod patience;
#[cfg(test)]
mod tests;
mod window;
mod wrap;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_eventlog::{Delivery, EventLog, OutRecord, Producer, SendError};

use self::pace::Pace;
use self::patience::Patience;
use self::window::{Effect, Slot, Window};
use super::lsn::Lsn;
use super::record::{self, Kind};
use super::spool::{Progress, Rereader, Spool, Tail};
use super::status::count;

/// Records that are not finished, at most.
const MAX_IN_FLIGHT: usize = 4_096;
/// Records between cursor and reading end at most, those included that publish nothing.
const MAX_SLOTS: usize = 65_536;
/// Their bytes, at most.
const MAX_BYTES: usize = 8 << 20;
/// Records read from the spool in one step at most, so that a step stays short.
const MAX_READ: usize = 2_048;
/// Progress is reported at most this often while records keep coming.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Everything that can be published is, or the log must be left alone for now.
    Idle,
    /// There is more to do.
    Busy,
}

pub(crate) struct Publisher {
    spool: Arc<Spool>,
    log: Arc<dyn EventLog>,
    gateway_id: Arc<str>,
    producer: Option<Box<dyn Producer>>,
    tail: Tail,
    window: Window,
    /// Cursor, and the intents that are open as of the cursor.
    progress: Progress,
    reported: (Lsn, Option<Instant>),
    /// Intents that are open as of the reading end.
    ahead: HashMap<u64, Lsn>,
    rereader: Rereader,
    /// Tokens to send again, or for the first time if the producer had no room: exactly those of the window
    /// that wait to be sent.
    resend: VecDeque<u64>,
    /// Why the log refused the events that go to the dead-letter topic, by token.
    dead_lettering: BTreeMap<u64, String>,
    /// How often content was tried.
    retries: BTreeMap<u64, u8>,
    done: Vec<Delivery>,
    pace: Pace,
    patience: Patience,
}

impl Publisher {
    /// A publisher that goes on where the spool's progress stands.
    pub(crate) fn new(spool: Arc<Spool>, log: Arc<dyn EventLog>, gateway_id: Arc<str>) -> Self {
        let progress = spool.progress();
        Self {
            log,
            gateway_id,
            producer: None,
            tail: Tail::new(Arc::clone(&spool), progress.cursor),
            window: Window::default(),
            reported: (progress.cursor, None),
            ahead: progress.open.iter().map(|(intent, at)| (*intent, *at)).collect(),
            progress,
            rereader: Rereader::new(Arc::clone(&spool)),
            resend: VecDeque::new(),
            dead_lettering: BTreeMap::new(),
            retries: BTreeMap::new(),
            done: Vec::new(),
            pace: Pace::default(),
            patience: Patience::default(),
            spool,
        }
    }

    /// Sends what can be sent, waits up to `wait` for reports, and moves the cursor.
    pub(crate) fn step(&mut self, now: Instant, wait: Duration) -> Step {
        let mut more = false;
        if self.pace.may_send(now) && self.connect(now) {
            more = match self.fill(now) {
                Ok(more) => more,
                Err(error) => {
                    self.pace.failed(now);
                    tracing::error!(%error, "the spool cannot be read");
                    false
                }
            };
        }
        self.collect(now, if more { Duration::ZERO } else { wait });
        let advance = self.window.advance(&mut self.progress.open);
        self.progress.cursor = advance.cursor.unwrap_or(self.progress.cursor);
        self.progress.published += advance.published;
        self.report(now, false);
        debug_assert_eq!(self.window.to_send(), self.resend.len(), "an unfinished record is in no queue");
        debug_assert!(self.producer.is_some() || self.window.sent() == 0, "nobody will report");
        let waiting = self.producer.as_ref().is_some_and(|producer| producer.in_flight() > 0);
        if more || waiting { Step::Busy } else { Step::Idle }
    }

    /// Reports progress to the spool, unless it has just done so and `at_once` does not insist.
    pub(crate) fn report(&mut self, now: Instant, at_once: bool) {
        let (cursor, at) = self.reported;
        let recent = at.is_some_and(|at| now.saturating_duration_since(at) < REPORT_EVERY);
        if at_once || !recent || self.window.unfinished() == 0 && cursor != self.progress.cursor {
            self.progress.oldest_ms =
                self.window.oldest_ms().or_else(|| self.next_written_ms().unwrap_or_default());
            self.spool.set_progress(self.progress.clone());
            self.reported = (self.progress.cursor, Some(now));
        }
    }

    pub(crate) fn is_drained(&mut self) -> bool {
        self.window.unfinished() == 0 && matches!(self.next_written_ms(), Ok(None))
    }

    /// When the next record to read was written; `None` at the end of the spool.
    fn next_written_ms(&mut self) -> io::Result<Option<i64>> {
        let Some((span, payload)) = self.tail.next()? else { return Ok(None) };
        let written_ms = record::head(payload).map_or(0, |head| head.written_ms);
        self.tail.seek(span.start);
        Ok(Some(written_ms))
    }

    fn connect(&mut self, now: Instant) -> bool {
        if self.producer.is_none() {
            match self.log.producer() {
                Ok(producer) => self.producer = Some(producer),
                Err(error) => self.trouble(now, &error.to_string()),
            }
        }
        self.producer.is_some()
    }

    /// Sends until the window or the producer is full, or the spool is read; true when there is more.
    ///
    /// # Errors
    /// When a record could not be read. It keeps its place, and holds up no other one.
    fn fill(&mut self, now: Instant) -> io::Result<bool> {
        let unread = match self.send_again(now) {
            Ok(true) => None,
            Ok(false) => return Ok(false),
            Err(error) => Some(error),
        };
        self.rereader.close();
        let more = self.send_new(now)?;
        unread.map_or(Ok(more), Err)
    }

    /// Sends what waits to be sent again; false when the producer has no room for all of it.
    fn send_again(&mut self, now: Instant) -> io::Result<bool> {
        while let Some(&token) = self.resend.front() {
            let Some(slot) = self.window.get_to_send(token) else {
                self.resend.pop_front();
                continue;
            };
            let record = match self.read_again(slot.source) {
                Ok(record) => {
                    self.patience.succeeded(slot.source);
                    record
                }
                Err(error) if self.patience.is_over(slot.source, &error) => None,
                Err(error) => {
                    // The others have their turn before this one comes again.
                    self.resend.rotate_left(1);
                    return Err(error);
                }
            };
            self.resend.pop_front();
            if !self.send_or_finish(now, record, token) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends records of the spool that were not read yet; true when there may be more.
    fn send_new(&mut self, now: Instant) -> io::Result<bool> {
        for _ in 0..MAX_READ {
            let full = self.window.unfinished() >= MAX_IN_FLIGHT
                || self.window.bytes() >= MAX_BYTES
                || self.window.len() >= MAX_SLOTS;
            if full || self.producer.is_none() {
                return Ok(false);
            }
            let at = self.tail.at();
            match self.take_next(now) {
                Ok(Taken::Nothing | Taken::NoRoom) => return Ok(false),
                Ok(Taken::One) => self.patience.succeeded(at),
                Err(error) if self.patience.is_over(self.tail.at(), &error) => self.pass_over(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Goes on behind what cannot be read. The next process finds its intents open, if it can read them.
    fn pass_over(&mut self, error: &io::Error) {
        let span = self.tail.pass_over();
        let (segment, from, to) = (span.start.segment, span.start.offset, span.end.offset);
        tracing::error!(%error, segment, from, to, "spool records cannot be read; their events are lost");
        count(&self.spool.counters.unreadable);
        self.window.push(Slot::silent(span, Effect::None));
    }

    /// Reads one record of the spool and sends what it asks for.
    fn take_next(&mut self, now: Instant) -> io::Result<Taken> {
        let Some((span, payload)) = self.tail.next()? else { return Ok(Taken::Nothing) };
        let Some(record) = record::decode(payload) else {
            tracing::error!(segment = span.start.segment, offset = span.start.offset, "unknown spool record");
            self.window.push(Slot::silent(span, Effect::None));
            return Ok(Taken::One);
        };
        let (kind, intent, written_ms) = (record.kind, record.intent, record.written_ms);
        let (source, out) = match kind {
            Kind::Intent => {
                self.ahead.insert(intent, span.start);
                self.window.push(Slot::silent(span, Effect::Open(intent, span.start)));
                return Ok(Taken::One);
            }
            Kind::Settle | Kind::Event | Kind::Content => {
                (span.start, record.event.map(|event| wrap::wrap(&event, &self.gateway_id)))
            }
            Kind::Release => match self.ahead.get(&intent).copied() {
                Some(source) => match self.read_again(source) {
                    Ok(record) => (source, record),
                    Err(error) => {
                        self.tail.seek(span.start);
                        return Err(error);
                    }
                },
                None => {
                    // Written twice after a failed sync, or its intent is damaged.
                    tracing::warn!(intent, "nothing is known of a released intent");
                    let token = self.window.push(Slot::new(span, span.start, kind, intent, written_ms, 0));
                    self.window.finish(token);
                    return Ok(Taken::One);
                }
            },
        };
        self.ahead.remove(&intent);
        let bytes = out.as_ref().and_then(|out| out.payload.as_ref()).map_or(0, |data| data.len());
        let token = self.window.push(Slot::new(span, source, kind, intent, written_ms, bytes));
        Ok(if self.send_or_finish(now, out, token) { Taken::One } else { Taken::NoRoom })
    }

    /// Sends a record; one that cannot be read any more is given up. False when there is no room.
    fn send_or_finish(&mut self, now: Instant, record: Option<OutRecord>, token: u64) -> bool {
        match (record, self.dead_lettering.get(&token)) {
            (Some(record), Some(reason)) => self.send(now, wrap::dead_letter(record, reason), token),
            (Some(record), None) => self.send(now, record, token),
            (None, _) => {
                tracing::error!(token, "a spool record cannot be read; its event is lost");
                count(&self.spool.counters.unreadable);
                self.forget(token);
                true
            }
        }
    }

    /// Hands a record to the producer; false when it has no room, then its turn comes again first.
    fn send(&mut self, now: Instant, record: OutRecord, token: u64) -> bool {
        let sent = match &mut self.producer {
            Some(producer) => producer.send(record, token),
            None => Err(SendError::Full(record)),
        };
        match sent {
            Ok(()) => {
                self.window.mark_sent(token);
                true
            }
            Err(SendError::Full(_)) => {
                self.window.mark_to_send(token);
                self.resend.push_front(token);
                false
            }
            Err(SendError::Refused(reason)) => {
                self.refused(now, token, &reason);
                true
            }
        }
    }

    /// Has a record sent again after all others that wait for it.
    fn send_later(&mut self, token: u64) {
        self.window.mark_to_send(token);
        self.resend.push_back(token);
    }

    /// Reads the event of a record that was read before, `None` if it cannot be read any more.
    fn read_again(&mut self, source: Lsn) -> io::Result<Option<OutRecord>> {
        let event = self.rereader.read(source)?.and_then(record::decode).and_then(|record| record.event);
        Ok(event.map(|event| wrap::wrap(&event, &self.gateway_id)))
    }
}

enum Taken {
    One,
    Nothing,
    NoRoom,
}
