//! The request path's side of the ledger.
//!
//! Invariants:
//!
//! * an intent is in the spool when [`Ledger::intent`] returns a ticket, and a ticket ends in exactly one
//!   record: a settlement, or a release when it is dropped;
//! * a call is one serialisation into a buffer that is used again and one write under a short lock: no
//!   message to another thread, and no wait for the disk unless [`FsyncPolicy::Each`] asks for it;
//! * sequence numbers have no holes: an event gets its number under the spool's lock, and the number is used
//!   up only when the spool has taken the event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_base::time::now_ms;
use tollgate_eventlog::segment::files::{Files, OsFiles};
use tollgate_schemas::ids::BootId;
use tollgate_schemas::usage::UsageEvent;

use super::content::ContentMessage;
use super::error::LedgerError;
use super::options::{FsyncPolicy, LedgerOptions, OnFull, Recovered};
use super::record::Kind;
use super::recorder::Recorder;
use super::spool::{Spool, SpoolOptions, volume};
use super::status::{LedgerStatus, count, get};
use super::ticket::IntentTicket;

/// The ledger of this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    recorder: Arc<Recorder>,
    on_full: OnFull,
    next_intent: AtomicU64,
}

impl Ledger {
    /// Opens the spool and recovers what earlier processes left, before it returns.
    ///
    /// # Errors
    /// When another process uses the folder or its files cannot be read.
    pub fn open(options: LedgerOptions) -> Result<(Self, Recovered), LedgerError> {
        let max_bytes = volume::bounded(&options.dir, options.max_bytes);
        let segment_bytes = volume::segment_bytes(options.segment_bytes, max_bytes);
        let options = LedgerOptions { max_bytes, segment_bytes, ..options };
        Self::open_with(Arc::new(OsFiles), options)
    }

    /// As [`Ledger::open`], on another file system.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub(crate) fn open_with(
        files: Arc<dyn Files>,
        options: LedgerOptions,
    ) -> Result<(Self, Recovered), LedgerError> {
        let LedgerOptions { dir, gateway_id, fsync, max_bytes, on_full, segment_bytes } = options;
        let (spool, recovered) = Spool::open(files, SpoolOptions { dir, fsync, max_bytes, segment_bytes })?;
        let next_intent = AtomicU64::new(spool.first_intent);
        let recorder = Recorder { spool: Arc::new(spool), gateway_id, boot_id: BootId::now() };
        let inner = Inner { recorder: Arc::new(recorder), on_full, next_intent };
        Ok((Self { inner: Arc::new(inner) }, recovered))
    }

    /// Writes down that an attempt begins, before its upstream call. `event` is what will be published if
    /// this process dies: version 0, outcome recovered, estimated usage. Its [`UsageEvent::ledger`] is filled
    /// in here; whatever the caller put there is overwritten.
    ///
    /// # Errors
    /// When the attempt cannot be written down and [`OnFull::Reject`] says not to serve it then. No sequence
    /// number is used up.
    pub fn intent(
        &self,
        event: &mut UsageEvent,
        traceparent: Option<&str>,
    ) -> Result<IntentTicket, LedgerError> {
        let Inner { recorder, on_full, next_intent } = &*self.inner;
        let counters = &recorder.spool.counters;
        let intent = next_intent.fetch_add(1, Ordering::Relaxed);
        let intent = match (recorder.numbered(Kind::Intent, intent, event, traceparent), on_full) {
            (Ok(()), _) => {
                count(&counters.open_intents);
                Some(intent)
            }
            (Err(LedgerError::Full { .. } | LedgerError::Storage(_)), OnFull::AllowUnmetered) => None,
            (Err(error), _) => {
                self.count_refusal(&error);
                return Err(error);
            }
        };
        Ok(IntentTicket::new(Arc::clone(recorder), intent, traceparent))
    }

    /// Writes down how an attempt ended, before the last byte goes to the client. `event` is the one that
    /// [`Ledger::intent`] was given, changed to what is known now: its id, time and place in the sequence
    /// stay.
    ///
    /// # Errors
    /// [`LedgerError::Deferred`] when the disk refuses: the ledger keeps the event and writes it as soon as
    /// it can. There is nothing left to do for the caller but to log it.
    pub fn settle(&self, mut ticket: IntentTicket, event: &UsageEvent) -> Result<(), LedgerError> {
        let recorder = &self.inner.recorder;
        let Some(intent) = ticket.take_intent() else {
            // Perhaps there is room again. Without an intent the event has no number yet.
            let written = recorder.numbered(Kind::Event, 0, &mut event.clone(), ticket.traceparent());
            if written.is_err() {
                count(&recorder.spool.counters.unmetered);
            }
            return Ok(());
        };
        let written = recorder.settlement(intent, event, ticket.traceparent());
        if let Err(LedgerError::Unwritable(reason)) = &written {
            tracing::error!(reason, event_id = %event.event_id, "settlement replaced by the intent's event");
            recorder.release(intent);
        }
        written
    }

    /// Writes down an event without an attempt: an answer from the cache, a refusal. Its
    /// [`UsageEvent::ledger`] is filled in here.
    ///
    /// # Errors
    /// When the spool is full or the disk refuses; the event is not recorded then, and no sequence number is
    /// used up.
    pub fn record(&self, event: &mut UsageEvent, traceparent: Option<&str>) -> Result<(), LedgerError> {
        let written = self.inner.recorder.numbered(Kind::Event, 0, event, traceparent);
        written.inspect_err(|error| self.count_refusal(error))
    }

    /// Writes down a later version of an event that was recorded before, perhaps by an earlier process: its id, time and
    /// place in the sequence stay. Whoever knows that there is more to come keeps it until this and a
    /// [`Ledger::sync`] have succeeded, and may write it twice.
    ///
    /// # Errors
    /// When the spool is full or the disk refuses; nothing is recorded then.
    pub fn correct(&self, event: &UsageEvent) -> Result<(), LedgerError> {
        self.inner.recorder.correction(event)
    }

    /// Puts on the disk what was recorded so far, unless [`FsyncPolicy::None`] leaves that to the system. Blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<(), LedgerError> {
        self.spool().sync().map_err(LedgerError::Storage)
    }

    /// Hands a content event over for publishing. Content is shed first when the spool runs short.
    ///
    /// # Errors
    /// When the event was shed; it is counted.
    pub fn content(&self, message: ContentMessage) -> Result<(), LedgerError> {
        let written = self.inner.recorder.content(&message);
        if written.is_err() {
            count(&self.inner.recorder.spool.counters.shed);
        }
        written
    }

    /// The ledger at this moment.
    #[must_use]
    pub fn status(&self) -> LedgerStatus {
        let spool = &self.inner.recorder.spool;
        let gauge = spool.gauge();
        let progress = spool.progress();
        let counters = &spool.counters;
        let oldest = progress.oldest_ms.map_or(0, |written| now_ms().saturating_sub(written).max(0));
        LedgerStatus {
            refusing: gauge.refusing,
            spool_bytes: gauge.used_bytes,
            backlog_records: get(&counters.publishable).saturating_sub(progress.published),
            backlog_bytes: gauge.backlog_bytes,
            backlog_age_ms: u64::try_from(oldest).unwrap_or(0),
            open_intents: get(&counters.open_intents),
            deferred: gauge.deferred,
            shed: get(&counters.shed),
            refused: get(&counters.refused),
            unmetered: get(&counters.unmetered),
            recovered: get(&counters.recovered),
            published: progress.published,
            dead_letters: get(&counters.dead_letters),
            unreadable: get(&counters.unreadable),
            failed_fsyncs: get(&counters.failed_fsync),
            damaged_bytes: get(&counters.damaged_bytes),
            actor_restarts: get(&counters.actor_restarts),
            seq: gauge.last_seq,
        }
    }

    /// Ends the boot in good order: says what its last sequence number was and syncs. New intents are
    /// refused afterwards; open ones may still be settled. Does nothing the second time.
    ///
    /// # Errors
    /// When the disk refuses; what could not be written is kept in memory.
    pub fn close(&self) -> Result<(), LedgerError> {
        self.inner.recorder.close()?;
        self.spool().sync().map_err(LedgerError::Storage)
    }

    /// Whoever calls after the end is not refused for lack of room.
    fn count_refusal(&self, error: &LedgerError) {
        if !matches!(error, LedgerError::Closed) {
            count(&self.spool().counters.refused);
        }
    }

    pub(crate) fn spool(&self) -> &Arc<Spool> {
        &self.inner.recorder.spool
    }

    pub(crate) fn gateway_id(&self) -> &Arc<str> {
        &self.inner.recorder.gateway_id
    }

    pub(crate) fn fsync(&self) -> FsyncPolicy {
        self.inner.recorder.spool.fsync_policy()
    }
}
