//! What delivery reports lead to: the next one, again, a dead letter, or a new producer.

use std::io;
use std::time::{Duration, Instant};

use tollgate_eventlog::{Delivery, DeliveryError, Topic};

use super::super::lsn::Lsn;
use super::super::status::count;
use super::{Publisher, wrap};

/// Deliveries of a content event that may fail before it is shed.
const CONTENT_TRIES: u8 = 5;

impl Publisher {
    pub(super) fn collect(&mut self, now: Instant, wait: Duration) {
        let Some(producer) = &mut self.producer else { return };
        let mut done = std::mem::take(&mut self.done);
        producer.poll(wait, &mut done);
        let (mut taken, mut trouble) = (false, None);
        for Delivery { token, result } in done.drain(..) {
            match result {
                Ok(_) => {
                    taken = true;
                    self.delivered(token);
                }
                Err(DeliveryError::Retry(reason)) => {
                    self.retry(token);
                    trouble = Some(reason);
                }
                Err(DeliveryError::Refused(reason)) => self.refused(now, token, &reason),
                Err(DeliveryError::Fatal(reason)) => {
                    self.start_over();
                    trouble = Some(reason);
                    break;
                }
            }
        }
        done.clear();
        self.done = done;
        match (taken, trouble) {
            (true, None) if self.pace.succeeded() => tracing::info!("usage events are published again"),
            (true, Some(_)) => self.pace.hiccup(now),
            (false, Some(reason)) => self.trouble(now, &reason),
            _ => {}
        }
    }

    fn delivered(&mut self, token: u64) {
        self.retries.remove(&token);
        if self.window.finish(token) && self.dead_lettering.remove(&token).is_some() {
            count(&self.spool.counters.dead_letters);
        }
    }

    /// Usage is sent again for ever; content must not hold it up, so its tries are counted.
    fn retry(&mut self, token: u64) {
        let Some(slot) = self.window.get(token) else { return };
        if slot.is_content {
            let tries = self.retries.entry(token).or_default();
            *tries += 1;
            if *tries >= CONTENT_TRIES {
                self.retries.remove(&token);
                count(&self.spool.counters.shed);
                self.window.finish(token);
                return;
            }
        }
        self.send_later(token);
    }

    /// The log will never take this record as it is.
    pub(super) fn refused(&mut self, now: Instant, token: u64, reason: &str) {
        let Some(slot) = self.window.get(token) else { return };
        let record = match self.read_again(slot.source) {
            Ok(Some(record)) => record,
            Ok(None) => return self.give_up(token),
            Err(error) => {
                tracing::error!(%error, "the spool cannot be read");
                self.send_later(token);
                return;
            }
        };
        if record.topic != Topic::Usage {
            // Content must not end in a topic that others read.
            tracing::warn!(topic = record.topic.name(), reason, "content event refused by the event log");
            return self.give_up(token);
        }
        if self.dead_lettering.insert(token, reason.to_owned()).is_none() {
            tracing::error!(reason, "usage event refused by the event log; it goes to the dead letters");
            self.send(now, wrap::dead_letter(record, reason), token);
            return;
        }
        match self.keep_locally(slot.source) {
            Ok(()) => self.give_up(token),
            Err(error) => {
                // Many events may wait for room among the letters: the first one says so for all of them.
                if self.pace.failed(now) {
                    tracing::error!(%error, "dead letters cannot be kept; their events wait in the spool");
                }
                self.send_later(token);
            }
        }
    }

    pub(super) fn give_up(&mut self, token: u64) {
        count(&self.spool.counters.dead_letters);
        self.forget(token);
    }

    pub(super) fn forget(&mut self, token: u64) {
        self.dead_lettering.remove(&token);
        self.retries.remove(&token);
        self.window.finish(token);
    }

    /// Keeps a record among the dead letters on the disk; one that cannot be read any more is given up.
    fn keep_locally(&mut self, source: Lsn) -> io::Result<()> {
        let Some(record) = self.rereader.read(source)? else { return Ok(()) };
        self.spool.keep_letter(record)
    }

    /// Drops the producer; everything behind the cursor is sent again by the next one.
    fn start_over(&mut self) {
        self.producer = None;
        // What is reported by now counts; the rest is read again.
        let advance = self.window.advance(&mut self.progress.open);
        self.progress.cursor = advance.cursor.unwrap_or(self.progress.cursor);
        self.progress.published += advance.published;
        self.window.clear();
        self.resend.clear();
        self.dead_lettering.clear();
        self.retries.clear();
        self.ahead = self.progress.open.iter().map(|(intent, at)| (*intent, *at)).collect();
        self.tail.seek(self.progress.cursor);
    }

    /// Says once that the log is in trouble, and pauses.
    pub(super) fn trouble(&mut self, now: Instant, reason: &str) {
        if self.pace.failed(now) {
            tracing::warn!(reason, "usage events cannot be published; they wait in the spool");
        }
    }
}
