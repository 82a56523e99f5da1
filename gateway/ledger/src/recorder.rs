//! Events into frames, and frames into the spool.
//!
//! A record is one serialisation into a buffer that its thread uses again, and one write.

use std::cell::RefCell;
use std::sync::Arc;

use serde::Serialize;
use tollgate_base::time::now_ms;
use tollgate_eventlog::segment::frame::Frame;
use tollgate_schemas::ids::BootId;
use tollgate_schemas::topics::Topic;
use tollgate_schemas::usage::{BOOT_CLOSED_TYPE, BootClosed, EVENT_TYPE, LedgerPosition, UsageEvent};

use super::content::ContentMessage;
use super::error::LedgerError;
use super::record::{self, Event, Head, Kind};
use super::spool::{Class, Spool};

thread_local! {
    static FRAME: RefCell<Frame> = const { RefCell::new(Frame::new()) };
}

/// Memory that a thread keeps for its next record, bytes.
const KEEP_FRAME_BYTES: usize = 256 << 10;

/// Headers of a record in the log, names included, without the texts that differ in length.
const ENVELOPE_BYTES: usize = 512;

#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) spool: Arc<Spool>,
    pub(crate) gateway_id: Arc<str>,
    pub(crate) boot_id: BootId,
}

impl Recorder {
    /// Writes an event with the next sequence number, which is used up only if the spool takes it.
    pub(crate) fn numbered(
        &self,
        kind: Kind,
        intent: u64,
        event: &mut UsageEvent,
        traceparent: Option<&str>,
    ) -> Result<(), LedgerError> {
        let written = FRAME.with_borrow_mut(|frame| {
            let written = self.spool.write_numbered(kind, |seq| {
                event.ledger =
                    LedgerPosition { gateway_id: Arc::clone(&self.gateway_id), boot_id: self.boot_id, seq };
                self.usage(frame, kind, intent, event, traceparent)
            });
            frame.shrink_to(KEEP_FRAME_BYTES);
            written
        });
        if written.is_err() {
            event.ledger = LedgerPosition::unassigned();
        }
        written
    }

    /// Writes how an attempt ended; the event has the number of its intent.
    pub(crate) fn settlement(
        &self,
        intent: u64,
        event: &UsageEvent,
        traceparent: Option<&str>,
    ) -> Result<(), LedgerError> {
        FRAME.with_borrow_mut(|frame| {
            let sealed = self.usage(frame, Kind::Settle, intent, event, traceparent);
            let written = self.spool.write(Class::Owed { intent }, Kind::Settle, sealed?);
            frame.shrink_to(KEEP_FRAME_BYTES);
            written
        })
    }

    /// Writes a later version of an event that has its number already.
    pub(crate) fn correction(&self, event: &UsageEvent) -> Result<(), LedgerError> {
        FRAME.with_borrow_mut(|frame| {
            let sealed = self.usage(frame, Kind::Event, 0, event, None);
            let written = self.spool.write(Class::Usage, Kind::Event, sealed?);
            frame.shrink_to(KEEP_FRAME_BYTES);
            written
        })
    }

    /// Has the intent's own event published.
    pub(crate) fn release(&self, intent: u64) {
        let head = Head { kind: Kind::Release, intent, written_ms: now_ms() };
        let written = FRAME.with_borrow_mut(|frame| {
            let sealed = seal(frame, head, None, |_| Ok(()))?;
            self.spool.write(Class::Owed { intent }, Kind::Release, sealed)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "a release waits in memory");
        }
    }

    pub(crate) fn content(&self, message: &ContentMessage) -> Result<(), LedgerError> {
        let event = Event {
            topic: message.topic,
            id: message.id,
            time_ms: message.time_ms,
            sequence: None,
            kind: message.kind,
            traceparent: None,
            key: &message.key,
            subject: message.subject.as_deref(),
            data: &message.payload,
        };
        let head = Head { kind: Kind::Content, intent: 0, written_ms: now_ms() };
        FRAME.with_borrow_mut(|frame| {
            let sealed = seal(frame, head, Some(&event), |_| Ok(()))?;
            let written = self.spool.write(Class::Content, Kind::Content, sealed);
            frame.shrink_to(KEEP_FRAME_BYTES);
            written
        })
    }

    /// Writes what the last sequence number is. No further one is given afterwards.
    pub(crate) fn close(&self) -> Result<(), LedgerError> {
        FRAME.with_borrow_mut(|frame| self.spool.write_last(|last_seq| self.boot_closed(frame, last_seq)))
    }

    /// The frame of a usage event.
    ///
    /// # Errors
    /// When the event log would refuse it for its size: it must not get a number then, because it would
    /// count as lost.
    fn usage<'f>(
        &self,
        frame: &'f mut Frame,
        kind: Kind,
        intent: u64,
        event: &UsageEvent,
        traceparent: Option<&str>,
    ) -> Result<&'f mut [u8], LedgerError> {
        let envelope = Event {
            topic: Topic::Usage,
            id: event.event_id.0,
            time_ms: event.event_time_ms,
            sequence: Some(event.ledger.seq).filter(|seq| *seq > 0),
            kind: EVENT_TYPE,
            traceparent,
            key: event.payer.key_id.as_bytes(),
            subject: Some(&*event.payer.subscription).filter(|subject| !subject.is_empty()),
            data: &[],
        };
        let head = Head { kind, intent, written_ms: now_ms() };
        let sealed = seal(frame, head, Some(&envelope), |out| json(out, event))?;
        // The key is said twice in the log, once as a header.
        let bytes = sealed.len() + envelope.key.len() + self.gateway_id.len() + ENVELOPE_BYTES;
        let limit = Topic::Usage.spec().max_record_bytes as usize;
        if bytes > limit {
            return Err(LedgerError::Unwritable(format!("{bytes} bytes, and the topic takes {limit}")));
        }
        Ok(sealed)
    }

    /// The frame that says what the last sequence number of this boot was.
    fn boot_closed<'f>(&self, frame: &'f mut Frame, last_seq: u64) -> Result<&'f mut [u8], LedgerError> {
        let data = BootClosed { gateway_id: Arc::clone(&self.gateway_id), boot_id: self.boot_id, last_seq };
        let now_ms = now_ms();
        let event = Event {
            topic: Topic::Usage,
            id: self.boot_id.0,
            time_ms: now_ms,
            sequence: Some(last_seq).filter(|seq| *seq > 0),
            kind: BOOT_CLOSED_TYPE,
            traceparent: None,
            key: self.gateway_id.as_bytes(),
            subject: None,
            data: &[],
        };
        let head = Head { kind: Kind::Event, intent: 0, written_ms: now_ms };
        seal(frame, head, Some(&event), |out| json(out, &data))
    }
}

/// Encodes a record, its data appended by `data`, and seals its frame.
fn seal<'f>(
    frame: &'f mut Frame,
    head: Head,
    event: Option<&Event<'_>>,
    data: impl FnOnce(&mut Vec<u8>) -> Result<(), LedgerError>,
) -> Result<&'f mut [u8], LedgerError> {
    let mut encoded = Ok(());
    let sealed = frame.build(|out| {
        record::encode(out, head, event);
        encoded = data(out);
    });
    encoded?;
    sealed.map_err(|error| LedgerError::Unwritable(error.to_string()))
}

fn json(out: &mut Vec<u8>, data: &impl Serialize) -> Result<(), LedgerError> {
    serde_json::to_writer(out, data).map_err(|error| LedgerError::Unwritable(error.to_string()))
}
