//! The consumer thread: read, price, store, commit, in this order.
//!
//! Invariants: an offset is committed only after everything below it is stored; the group member is polled
//! all the time, also while an insert is being repeated; at most one insert is in flight, and at most one
//! batch more is collected meanwhile. What each failure costs is said at its step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tollgate_base::time::now_ms;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tollgate_eventlog::{Consumer, EventLog, InRecord, LogError, Polled, Topic, TopicPartition};

use crate::batch::{Batcher, Item, Limits, PartitionBatch};
use crate::dead_letter::{DeadLetter, Reason};
use crate::dead_letter_topic::DeadLetterTopic;
use crate::decode::{Decoded, Unreadable, decode};
use crate::price_book::PriceBook;
use crate::row::{BootRow, UsageRow};
use crate::store::{Block, LedgerStore};
use crate::telemetry::{Health, Metrics};

/// Longest poll; also how late a stop is noticed at worst.
const POLL: Duration = Duration::from_millis(100);
/// Poll while an insert is in flight, so that its end is noticed soon.
const POLL_IN_FLIGHT: Duration = Duration::from_millis(10);
/// A log that does not answer is not asked again at once.
const POLL_FAILED: Duration = Duration::from_secs(1);
/// How long a stop waits for the insert in insert.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// First and longest pause between two tries of an insert.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) group: String,
    pub(crate) store: LedgerStore,
    pub(crate) book: Arc<PriceBook>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) health: Arc<Health>,
    /// Inserts run here and not on the consumer's thread, which has to go on polling.
    pub(crate) runtime: Handle,
}
#[derive(Debug)]
pub(crate) struct ConsumerThread {
    stop: Arc<Stop>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ConsumerThread {
    /// Joins the group and begins to read.
    ///
    /// # Errors
    /// When the log refuses the configuration, or no thread can be made.
    pub(crate) fn start(parts: Parts) -> Result<Self, LogError> {
        if let Err(error) = parts.log.ensure_topics(&[Topic::Usage.spec(), Topic::UsageDeadLetter.spec()]) {
            // Harmless: the first producer creates the topics too.
            tracing::warn!(%error, "topics could not be made; going on");
        }
        let consumer = parts.log.consumer(&parts.group, &[Topic::Usage])?;
        let stop = Arc::new(Stop::default());
        let reader = Reader {
            consumer,
            dead_letters: DeadLetterTopic::new(Arc::clone(&parts.log), parts.metrics.clone()),
            batcher: Batcher::new(parts.limits),
            pending_insert: None,
            paused: false,
            stop: Arc::clone(&stop),
            parts,
        };
        let thread = std::thread::Builder::new()
            .name("accounting-consumer".to_owned())
            .spawn(move || reader.run())
            .map_err(LogError::from)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stores and commits what has been read, within a few seconds, then leaves the group. Blocks.
    pub(crate) fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the consumer thread panicked");
        }
    }
}

impl Drop for ConsumerThread {
    fn drop(&mut self) {
        self.stop.request();
    }
}

/// A request to stop, and a sleep that ends with it.
#[derive(Debug, Default)]
struct Stop {
    requested: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Stop {
    fn request(&self) {
        let _guard = self.lock.lock();
        self.requested.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    fn requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    fn sleep(&self, time: Duration) {
        let mut guard = self.lock.lock();
        if !self.requested() {
            self.changed.wait_for(&mut guard, time);
        }
    }
}

/// The insert in flight, and the offsets to commit when it is done.
struct PendingInsert {
    offsets: Vec<(TopicPartition, u64)>,
    done: oneshot::Receiver<()>,
    task: tokio::task::JoinHandle<()>,
}

struct Reader {
    parts: Parts,
    consumer: Box<dyn Consumer>,
    dead_letters: DeadLetterTopic,
    batcher: Batcher,
    pending_insert: Option<PendingInsert>,
    paused: bool,
    stop: Arc<Stop>,
}

impl Reader {
    fn run(mut self) {
        while !self.stop.requested() {
            self.finish_insert();
            self.start_due_insert(Instant::now());
            self.apply_back_pressure();
            self.dead_letters.poll();
            self.read();
        }
        self.finish();
    }

    /// One poll.
    fn read(&mut self) {
        match self.consumer.poll(self.poll_time(Instant::now())) {
            Ok(polled) => {
                self.parts.health.log_answered();
                self.handle(polled);
            }
            Err(error) => {
                // Costs time only: nothing was taken over, the same records come later.
                tracing::warn!(%error, "the event log could not be read");
                self.parts.health.log_failed(&error);
                self.parts.metrics.poll_failures.inc();
                self.stop.sleep(POLL_FAILED);
            }
        }
        self.parts.metrics.set_lag(self.consumer.lag());
    }

    fn poll_time(&self, now: Instant) -> Duration {
        match (&self.pending_insert, self.batcher.due_in(now)) {
            (Some(_), _) => POLL_IN_FLIGHT,
            (None, Some(due)) => due.min(POLL),
            (None, None) => POLL,
        }
    }

    fn handle(&mut self, polled: Polled) {
        match polled {
            Polled::Idle => {}
            Polled::Records(records) => records.into_iter().for_each(|record| self.accept(record)),
            Polled::Assigned(partitions) => {
                tracing::info!(count = partitions.len(), "partitions assigned");
                self.lead(&partitions, true);
            }
            Polled::Revoked(partitions) => {
                // Their records are read again by the next owner. What is in flight may be stored twice
                // then, which the ledger's key makes harmless; its offset is not ours to commit any more.
                tracing::info!(count = partitions.len(), "partitions revoked");
                self.lead(&partitions, false);
                self.batcher.revoke(&partitions);
                if let Some(insert) = &mut self.pending_insert {
                    insert.offsets.retain(|(partition, _)| !partitions.contains(partition));
                }
            }
        }
    }

    /// The member that reads partition 0 does the group's common work.
    fn lead(&self, partitions: &[TopicPartition], leads: bool) {
        if partitions.iter().any(|at| at.topic == Topic::Usage && at.partition == 0) {
            self.parts.health.set_leader(leads);
        }
    }

    fn accept(&mut self, record: InRecord) {
        let at = record.at;
        if at.partition == 0 {
            self.parts.health.set_leader(true);
        }
        let item = read_item(record, &self.parts.book);
        match &item {
            Item::Usage(row) => self.parts.metrics.usage_read(row, now_ms()),
            Item::Boot(_) => self.parts.metrics.boot_read(),
            Item::DeadLetter(letter) => {
                // The ledger's row is the durable one. The copy on the topic is for replay tools; when it
                // cannot be sent, a metric says so and the row remains.
                tracing::warn!(
                    reason = letter.reason.as_str(),
                    detail = letter.detail,
                    partition = at.partition,
                    offset = at.offset,
                    "record set aside as a dead letter"
                );
                self.parts.metrics.dead_letter_read(letter.reason);
                self.dead_letters.send(letter);
            }
        }
        self.batcher.push(at, item, Instant::now());
    }

    fn start_due_insert(&mut self, now: Instant) {
        if self.pending_insert.is_none()
            && let Some(batches) = self.batcher.take_due(now)
        {
            self.insert(batches);
        }
    }

    fn insert(&mut self, batches: Vec<PartitionBatch>) {
        let offsets = batches.iter().map(|batch| (batch.partition, batch.next_offset())).collect();
        let blocks = batches.into_iter().flat_map(PartitionBatch::into_blocks).collect();
        let (report, done) = oneshot::channel();
        let parts = self.parts.clone();
        let task = self.parts.runtime.spawn(async move {
            insert_until_known(&parts.store, blocks, &parts.metrics, &parts.health).await;
            let _ = report.send(());
        });
        self.pending_insert = Some(PendingInsert { offsets, done, task });
    }

    /// Commits the offsets of the insert in flight if it is done.
    fn finish_insert(&mut self) {
        let Some(mut insert) = self.pending_insert.take() else { return };
        match insert.done.try_recv() {
            Ok(()) => self.commit(&insert.offsets),
            Err(oneshot::error::TryRecvError::Empty) => self.pending_insert = Some(insert),
            Err(oneshot::error::TryRecvError::Closed) => {
                // The task was cancelled with its runtime: nothing is committed, all of it is read again.
                tracing::error!("an insert ended without an outcome; its records are read again later");
                self.stop.request();
            }
        }
    }

    fn commit(&mut self, offsets: &[(TopicPartition, u64)]) {
        for (partition, next_offset) in offsets {
            if let Err(error) = self.consumer.commit(*partition, *next_offset) {
                // Costs a second delivery of stored records after a restart, which the ledger's key absorbs.
                tracing::warn!(%error, partition = partition.partition, next_offset, "offset not committed");
                self.parts.metrics.commit_failures.inc();
            }
        }
    }

    /// Stops reading while a full batch waits for the insert in flight; goes on when it has left.
    fn apply_back_pressure(&mut self) {
        let wanted = self.pending_insert.is_some() && self.batcher.is_full();
        if wanted == self.paused {
            return;
        }
        match self.consumer.pause(wanted) {
            Ok(()) => self.paused = wanted,
            // Costs memory while it lasts; tried again in the next round.
            Err(error) => tracing::warn!(%error, wanted, "the consumer could not be paused or resumed"),
        }
    }

    /// Stores and commits what was read, if that works within the grace time; else it is read again.
    fn finish(mut self) {
        let deadline = Instant::now() + STOP_GRACE;
        self.wait_for_insert(deadline);
        if self.pending_insert.is_none() {
            let rest = self.batcher.take();
            if !rest.is_empty() {
                self.insert(rest);
                self.wait_for_insert(deadline);
            }
        }
        if let Some(insert) = self.pending_insert.take() {
            insert.task.abort();
        }
        self.dead_letters.close();
    }

    fn wait_for_insert(&mut self, deadline: Instant) {
        while self.pending_insert.is_some() && Instant::now() < deadline {
            self.finish_insert();
            if self.pending_insert.is_some() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Reads and prices one record; what the ledger cannot hold becomes a dead letter with all its bytes.
fn read_item(record: InRecord, book: &PriceBook) -> Item {
    let read = decode(&record).and_then(|decoded| match decoded {
        Decoded::Usage(event) => match UsageRow::price(*event, record.at, book) {
            Ok(row) => Ok(Item::Usage(Box::new(row))),
            Err(error) => Err(Unreadable::new(Reason::OutOfRange, error)),
        },
        Decoded::BootClosed(closed) => Ok(Item::Boot(BootRow(closed))),
    });
    read.unwrap_or_else(|Unreadable { reason, detail }| {
        Item::DeadLetter(Box::new(DeadLetter::new(record, reason, detail)))
    })
}

/// Inserts every block, repeating each until the store has said yes. An error leaves it open whether the
/// rows are in: the same bytes with the same token are sent again, and the ledger's key absorbs what was
/// stored twice.
async fn insert_until_known(store: &LedgerStore, blocks: Vec<Block>, metrics: &Metrics, health: &Health) {
    for block in blocks {
        let mut pause = BACK_OFF.0;
        loop {
            let began = Instant::now();
            match store.insert(&block).await {
                Ok(()) => {
                    metrics.inserted(block.table, block.rows, began.elapsed());
                    health.store_answered();
                    break;
                }
                Err(error) => {
                    let (table, rows) = (block.table, block.rows);
                    tracing::warn!(%error, table, rows, retry_in_ms = pause.as_millis(), "insert failed");
                    metrics.insert_failures.inc();
                    health.store_failed(&error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(BACK_OFF.1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
