//! What the log, its producers and its consumers share.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tollgate_base::time::now_ms;

use parking_lot::{Condvar, Mutex};

use super::group::{Group, MemberId};
use super::offsets::Offsets;
use super::partition::Partition;
use crate::config::EmbeddedConfig;
use crate::port::{LogError, Topic, TopicPartition, TopicSpec};
use crate::segment::files::{Files, LockGuard};
use crate::segment::{read_small, write_small};

/// Longest time an appended record waits for the sync that it shares with others.
const SYNC_EVERY: Duration = Duration::from_millis(3);

/// Records appended to a compacted topic before it is worth compacting.
const COMPACT_AFTER: u64 = 1_000;

#[derive(Debug)]
pub(super) struct Core {
    files: Arc<dyn Files>,
    root: PathBuf,
    segment_bytes: u64,
    topics: Mutex<HashMap<Topic, Arc<[Arc<Partition>]>>>,
    specs: Mutex<HashMap<Topic, TopicSpec>>,
    pub(super) groups: Mutex<BTreeMap<String, Group>>,
    pub(super) offsets: Mutex<Offsets>,
    next_member: AtomicU64,
    changes: Changes,
    work: Mutex<Work>,
    work_arrived: Condvar,
    _lock: Box<dyn LockGuard>,
}

/// What the syncing thread has to do.
#[derive(Debug, Default)]
struct Work {
    dirty: Vec<Arc<Partition>>,
    commits: bool,
    stop: bool,
}

impl Core {
    pub(super) fn open(files: Arc<dyn Files>, config: &EmbeddedConfig) -> Result<Self, LogError> {
        files.create_dir(&config.path)?;
        let lock = files.lock(&config.path.join("lock")).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => LogError::Config(format!(
                "{} is used by another process; one process per event log folder",
                config.path.display()
            )),
            _ => LogError::from(error),
        })?;
        let offsets = Offsets::open(Arc::clone(&files), config.path.join("offsets"))?;
        Ok(Self {
            files,
            root: config.path.clone(),
            segment_bytes: config.segment_bytes,
            topics: Mutex::default(),
            specs: Mutex::default(),
            groups: Mutex::default(),
            offsets: Mutex::new(offsets),
            next_member: AtomicU64::new(1),
            changes: Changes::default(),
            work: Mutex::default(),
            work_arrived: Condvar::new(),
            _lock: lock,
        })
    }

    /// The topic's partitions; it is created by its own specification when it does not exist.
    pub(super) fn topic(&self, topic: Topic) -> io::Result<Arc<[Arc<Partition>]>> {
        let spec = self.specs.lock().get(&topic).copied().unwrap_or_else(|| topic.spec());
        self.topic_with(spec)
    }

    /// As [`Core::topic`], with this specification; the number of partitions of an existing topic stays.
    pub(super) fn topic_with(&self, spec: TopicSpec) -> io::Result<Arc<[Arc<Partition>]>> {
        self.specs.lock().insert(spec.topic, spec);
        let mut topics = self.topics.lock();
        if let Some(partitions) = topics.get(&spec.topic) {
            return Ok(Arc::clone(partitions));
        }
        let dir = self.root.join(spec.topic.name());
        self.files.create_dir(&dir)?;
        let count_file = dir.join("partitions");
        let known = read_small(&*self.files, &count_file)?
            .and_then(|text| String::from_utf8(text).ok()?.trim().parse::<u16>().ok());
        let count = match known {
            Some(count) => count,
            None => {
                let count = spec.partitions.max(1);
                write_small(&*self.files, &count_file, format!("{count}\n").as_bytes())?;
                count
            }
        };
        let open = |partition: u16| {
            let at = TopicPartition { topic: spec.topic, partition };
            let dir = dir.join(partition.to_string());
            Partition::open(Arc::clone(&self.files), dir, at, self.segment_bytes).map(Arc::new)
        };
        let partitions: Arc<[_]> = (0..count).map(open).collect::<io::Result<Vec<_>>>()?.into();
        topics.insert(spec.topic, Arc::clone(&partitions));
        Ok(partitions)
    }

    pub(super) fn max_record_bytes(&self, topic: Topic) -> usize {
        let specs = self.specs.lock();
        specs.get(&topic).map_or_else(|| topic.spec().max_record_bytes, |spec| spec.max_record_bytes) as usize
    }

    pub(super) fn next_member(&self) -> MemberId {
        self.next_member.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks for a sync of the partition within [`SYNC_EVERY`].
    pub(super) fn mark_dirty(&self, partition: &Arc<Partition>) {
        let mut work = self.work.lock();
        if !work.dirty.iter().any(|known| Arc::ptr_eq(known, partition)) {
            work.dirty.push(Arc::clone(partition));
            self.work_arrived.notify_one();
        }
    }

    /// Asks for a sync of committed offsets.
    pub(super) fn mark_committed(&self) {
        let mut work = self.work.lock();
        work.commits = true;
        self.work_arrived.notify_one();
    }

    /// How often something changed. Read before looking for work and given to [`Core::wait_for_change`] afterwards,
    /// so that no change in between is missed.
    pub(super) fn change_count(&self) -> u64 {
        *self.changes.count.lock()
    }

    /// Waits until something changes after `seen`; false if the deadline passes first.
    pub(super) fn wait_for_change(&self, seen: u64, deadline: Instant) -> bool {
        let mut count = self.changes.count.lock();
        while *count == seen {
            if self.changes.changed.wait_until(&mut count, deadline).timed_out() {
                return *count != seen;
            }
        }
        true
    }

    /// Wakes all threads that wait for a change.
    pub(super) fn announce_change(&self) {
        *self.changes.count.lock() += 1;
        self.changes.changed.notify_all();
    }

    /// The syncing thread: groups syncs, cleans from time to time, ends after [`Core::stop`].
    pub(super) fn run(&self, clean_every: Duration) {
        let mut clean_at = Instant::now() + clean_every;
        loop {
            let stop = self.wait_for_work(clean_at);
            self.sync_all();
            if stop {
                return;
            }
            if Instant::now() >= clean_at {
                clean_at = Instant::now() + clean_every;
                if let Err(error) = self.clean(now_ms(), COMPACT_AFTER) {
                    tracing::warn!(%error, "retention of the embedded log failed");
                }
            }
        }
    }

    /// Waits for something to sync and then for what else comes within [`SYNC_EVERY`]; true to stop.
    fn wait_for_work(&self, until: Instant) -> bool {
        let mut work = self.work.lock();
        while work.dirty.is_empty() && !work.commits && !work.stop {
            if self.work_arrived.wait_until(&mut work, until).timed_out() {
                return work.stop;
            }
        }
        let gather_until = Instant::now() + SYNC_EVERY;
        while !work.stop && !self.work_arrived.wait_until(&mut work, gather_until).timed_out() {}
        work.stop
    }

    /// Syncs everything that is dirty and wakes whoever waits for it.
    pub(super) fn sync_all(&self) {
        let dirty = {
            let mut work = self.work.lock();
            work.commits = false;
            std::mem::take(&mut work.dirty)
        };
        for partition in &dirty {
            if let Err(error) = partition.sync() {
                tracing::error!(%error, dir = %partition.dir.display(), "sync failed; records are sent again");
            }
        }
        // Also when nothing was committed since: a sync that failed is tried again with the next work of any kind.
        if let Err(error) = self.offsets.lock().sync() {
            tracing::error!(%error, "committed offsets could not be made durable");
        }
        if !dirty.is_empty() {
            self.announce_change();
        }
    }

    pub(super) fn stop(&self) {
        self.work.lock().stop = true;
        self.work_arrived.notify_one();
    }

    /// Retention by age; compaction of topics whose retention is 0. A partition that cannot be cleaned does not keep
    /// the others from it.
    ///
    /// # Errors
    /// The first failure, after all partitions were tried.
    pub(super) fn clean(&self, now_ms: i64, compact_after: u64) -> io::Result<()> {
        let open: Vec<_> =
            self.topics.lock().iter().map(|(topic, parts)| (*topic, Arc::clone(parts))).collect();
        let mut outcome = Ok(());
        for (topic, partitions) in open {
            let spec = self.specs.lock().get(&topic).copied().unwrap_or_else(|| topic.spec());
            let retention_ms = i64::from(spec.retention_hours) * 3_600_000;
            for partition in partitions.iter() {
                let cleaned = match retention_ms {
                    0 => partition.compact(now_ms, compact_after),
                    age_ms => partition.retain(now_ms, age_ms),
                };
                outcome = outcome.and(cleaned);
            }
        }
        outcome
    }
}

/// Counts what producers, consumers and tails may wait for: syncs and rebalances.
#[derive(Debug, Default)]
struct Changes {
    count: Mutex<u64>,
    changed: Condvar,
}
