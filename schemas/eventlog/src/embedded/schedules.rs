//! Random schedules of records, polls, commits, faults, kills and power cuts. Every schedule is its seed.
//!
//! What must hold:
//!
//! * a consumer sees only records that were taken over, and an offset never shows two different records;
//! * once the faults end, consumer and tail get to the end of the log;
//! * every record that was reported as delivered was then seen by the group, whose consumers commit what they get;
//! * the newest delivered record of each key of a compacted topic, or a newer one, is still there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::consumer::EmbeddedConsumer;
use super::core::Core;
use super::producer::EmbeddedProducer;
use super::tail::EmbeddedTail;
use crate::config::EmbeddedConfig;
use crate::port::{
    Consumer as _, InRecord, LogError, OutRecord, Polled, Position, Producer as _, SendError, Tail as _,
    Topic, TopicPartition,
};
use crate::segment::fake::{Dice, FakeFiles};

const SCHEDULES: u64 = 10_000;
const STEPS: usize = 24;
/// Calls after which whatever still fails or waits is taken to stand still.
const PATIENCE: usize = 60;
const KEYS: usize = 5;

struct World {
    dice: Dice,
    files: FakeFiles,
    process: Process,
    sent: Vec<(Topic, Bytes)>,
    delivered: BTreeMap<u64, Position>,
    /// What each offset showed to whoever read it.
    shown: BTreeMap<Position, u64>,
    seen_by_group: BTreeSet<u64>,
}

/// What a kill ends.
struct Process {
    core: Arc<Core>,
    producer: EmbeddedProducer,
    consumer: EmbeddedConsumer,
    tail: EmbeddedTail,
    /// Behind what consumer and tail got last, by partition.
    consumed: BTreeMap<TopicPartition, u64>,
    tailed: BTreeMap<TopicPartition, u64>,
    uncommitted: BTreeMap<TopicPartition, u64>,
}

impl Process {
    fn start(files: &FakeFiles) -> Result<Self, LogError> {
        let config = EmbeddedConfig { path: PathBuf::from("/log"), segment_bytes: 200 };
        let core = Arc::new(Core::open(Arc::new(files.clone()), &config)?);
        Ok(Self {
            producer: EmbeddedProducer::new(Arc::clone(&core)),
            consumer: EmbeddedConsumer::join(Arc::clone(&core), "group", &[Topic::Cache])?,
            tail: EmbeddedTail::new(Arc::clone(&core), Topic::BackendState)?,
            core,
            consumed: BTreeMap::new(),
            tailed: BTreeMap::new(),
            uncommitted: BTreeMap::new(),
        })
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let files = FakeFiles::new();
        let process = Process::start(&files).unwrap();
        Self {
            dice: Dice(seed),
            files,
            process,
            sent: Vec::new(),
            delivered: BTreeMap::new(),
            shown: BTreeMap::new(),
            seen_by_group: BTreeSet::new(),
        }
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..=5 => self.send(),
            6..=8 => self.sync(),
            9..=11 => drop(self.consume()),
            12 => drop(self.tail()),
            13 => self.commit(),
            14..=16 => self.fault(),
            // Nothing is older than the retention; the compacted topic is compacted.
            17 => drop(self.process.core.clean(0, 1)),
            18 => self.restart(self.files.after_kill()),
            _ => {
                let seed = self.dice.next_bits();
                self.restart(self.files.after_power_cut(seed));
            }
        }
    }

    fn send(&mut self) {
        for _ in 0..=self.dice.below(4) {
            let topic = if self.dice.below(3) == 0 { Topic::BackendState } else { Topic::Cache };
            let number = self.sent.len() as u64;
            let key = Bytes::from(format!("key-{}", self.dice.below(KEYS)));
            let record = OutRecord {
                topic,
                key: key.clone(),
                headers: Vec::new(),
                payload: Some(Bytes::from(number.to_string())),
                timestamp_ms: 0,
            };
            match self.process.producer.send(record, number) {
                Ok(()) => self.sent.push((topic, key)),
                Err(SendError::Full(_)) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn sync(&mut self) {
        self.process.core.sync_all();
        let mut done = Vec::new();
        self.process.producer.poll(Duration::ZERO, &mut done);
        for delivery in done {
            if let Ok(position) = delivery.result {
                self.delivered.insert(delivery.token, position);
            }
        }
    }

    fn consume(&mut self) -> Result<usize, LogError> {
        let records = match self.process.consumer.poll(Duration::ZERO)? {
            Polled::Records(records) => records,
            Polled::Assigned(_) => return Ok(1),
            Polled::Idle | Polled::Revoked(_) => return Ok(0),
        };
        for record in &records {
            let number = self.show(record);
            self.seen_by_group.insert(number);
            let next = note_next(&mut self.process.consumed, record);
            self.process.uncommitted.insert(partition(record), next);
        }
        Ok(records.len())
    }

    fn tail(&mut self) -> Result<usize, LogError> {
        let mut records = Vec::new();
        let polled = self.process.tail.poll(Duration::ZERO, &mut records);
        // A caller may throw away what comes with an error.
        polled?;
        for record in &records {
            self.show(record);
            note_next(&mut self.process.tailed, record);
        }
        Ok(records.len())
    }

    fn show(&mut self, record: &InRecord) -> u64 {
        let number: u64 = std::str::from_utf8(record.payload.as_ref().unwrap()).unwrap().parse().unwrap();
        let sent = self.sent.get(number as usize);
        assert_eq!(
            sent,
            Some(&(record.at.topic, record.key.clone())),
            "record {number} was never taken over"
        );
        let before = self.shown.insert(record.at, number);
        assert!(before.is_none_or(|before| before == number), "{:?}: {before:?}, then {number}", record.at);
        number
    }

    fn commit(&mut self) {
        for (at, next) in std::mem::take(&mut self.process.uncommitted) {
            // A commit that fails only makes records be read again.
            let _ = self.process.consumer.commit(at, next);
        }
    }

    fn fault(&mut self) {
        let count = 1 + self.dice.below(3) as u32;
        match self.dice.below(9) {
            0 | 1 => self.files.fail_opens(count),
            2 | 3 => self.files.fail_reads(count),
            4 => self.files.fail_syncs(count),
            5 => self.files.fail_removes(count),
            6 => self.files.fail_renames(count),
            7 => self.files.fail_dir_syncs(count),
            _ => self.files.set_free_bytes(Some(self.dice.below(2_000) as u64)),
        }
        if self.dice.below(4) == 0 {
            self.files.heal();
        }
    }

    fn restart(&mut self, files: FakeFiles) {
        self.files = files;
        self.files.fail_opens(self.dice.below(3) as u32);
        self.files.fail_reads(self.dice.below(3) as u32);
        for _ in 0..PATIENCE {
            match Process::start(&self.files) {
                Ok(process) => return self.process = process,
                Err(_) => continue,
            }
        }
        panic!("the log does not open although the faults ended");
    }

    fn end(&mut self) {
        self.files.heal();
        let settled = (0..PATIENCE).any(|_| {
            self.sync();
            self.process.producer.in_flight() == 0
        });
        assert!(settled, "the producer stands still");
        let at_the_end = (0..PATIENCE).any(|_| matches!(self.consume(), Ok(0)));
        assert!(at_the_end && self.process.consumer.lag() == Some(0), "the consumer stands still");
        assert!((0..PATIENCE).any(|_| matches!(self.tail(), Ok(0))), "the tail stands still");
        for (number, at) in self.delivered.iter().filter(|(_, at)| at.topic == Topic::Cache) {
            assert!(self.seen_by_group.contains(number), "record {number} at {at:?} is lost");
        }
        self.check_compacted();
    }

    /// A fresh reader finds, of each key, what was delivered last or something newer.
    fn check_compacted(&self) {
        let mut newest: BTreeMap<Bytes, u64> = BTreeMap::new();
        let mut tail = EmbeddedTail::new(Arc::clone(&self.process.core), Topic::BackendState).unwrap();
        let mut records = Vec::new();
        let mut before = usize::MAX;
        while records.len() != before {
            before = records.len();
            tail.poll(Duration::ZERO, &mut records).unwrap();
        }
        for record in records {
            newest.insert(record.key, record.at.offset);
        }
        for (number, at) in self.delivered.iter().filter(|(_, at)| at.topic == Topic::BackendState) {
            let (_, key) = &self.sent[*number as usize];
            assert!(
                newest.get(key) >= Some(&at.offset),
                "record {number} at {at:?} and its successors are lost"
            );
        }
    }
}

fn partition(record: &InRecord) -> TopicPartition {
    TopicPartition { topic: record.at.topic, partition: record.at.partition }
}

/// Checks that the record is behind the one before it and returns the offset behind it.
fn note_next(places: &mut BTreeMap<TopicPartition, u64>, record: &InRecord) -> u64 {
    let next = record.at.offset + 1;
    let before = places.insert(partition(record), next);
    assert!(before.is_none_or(|before| before <= record.at.offset), "{:?} came twice or late", record.at);
    next
}

#[test]
fn random_faults_lose_no_record_show_no_other_one_and_stop_nobody_for_good() {
    let seeds = match std::env::var("TOLLGATE_SEED") {
        Ok(seed) => seed.parse().map(|seed| seed..seed + 1).unwrap(),
        Err(_) => 0..SCHEDULES,
    };
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.end();
        });
        if let Err(panic) = outcome {
            eprintln!("schedule {seed} failed");
            std::panic::resume_unwind(panic);
        }
    }
}
