//! Random schedules against a model: begin, settle, drop, publish, sync, kills, power cuts, and faults of every
//! call to the file system, in any order. Every schedule is its seed.
//!
//! What must hold when the faults end: the process that met them accepts and publishes everything by itself, so
//! no cursor stands still. What must hold after a last restart and a full publication:
//!
//! * nothing is published that was never begun, and no settlement that was never made;
//! * what the log refused is in the dead-letter topic, or was kept and offered again;
//! * after kills alone, every begun attempt has a row, and a settlement that was written wins;
//! * after a power cut the same holds for what had been synced before it;
//! * the sequence of a boot whose records no power cut could take has no hole.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_eventlog::segment::fake::Dice;
use tollgate_schemas::ids::BootId;
use tollgate_schemas::topics::Topic;

use super::*;
use crate::{IntentTicket, LedgerError};

const SCHEDULES: u64 = 10_000;
const STEPS: usize = 16;

/// What is known of an attempt, ordered by how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Nothing,
    Begun,
    Settled,
}

#[derive(Debug)]
struct Attempt {
    begun: UsageEvent,
    /// The most that may be published.
    most: Known,
    /// What the spool holds as long as only processes die.
    written: Known,
    /// What the disk holds whatever happens.
    durable: Known,
    /// The process was killed between a failed sync and its repair, so a later sync says nothing about what
    /// was written before (the limit that the spool's header names).
    doubtful: bool,
    ticket: Option<IntentTicket>,
}

struct World {
    dice: Dice,
    files: FakeFiles,
    ledger: Ledger,
    publisher: Publisher,
    sink: Sink,
    attempts: Vec<Attempt>,
    now: Instant,
    /// Boots whose end was a power cut: numbers of what was not synced are gone with it.
    cut_boots: BTreeSet<BootId>,
}

impl World {
    fn new(seed: u64) -> Self {
        let files = FakeFiles::new();
        let sink = Sink::default();
        let (ledger, _) = open_with(&files, options_for(seed));
        let publisher = publisher(&ledger, &sink);
        Self {
            dice: Dice(seed),
            files,
            ledger,
            publisher,
            sink,
            attempts: Vec::new(),
            now: Instant::now(),
            cut_boots: BTreeSet::new(),
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_secs(1);
        match self.dice.below(16) {
            0..=4 => self.begin(),
            5..=7 => self.settle(),
            8 => self.drop_ticket(),
            9 | 10 => self.publish(),
            11 => self.sync(),
            12 => self.ledger.spool().maintain(self.now),
            13 => self.fault(),
            14 => self.kill(),
            _ => self.power_cut(),
        }
    }

    fn begin(&mut self) {
        let mut begun = begun();
        let ticket = match self.ledger.intent(&mut begun, None) {
            Ok(ticket) => Some(ticket),
            Err(LedgerError::Storage(_)) => None,
            Err(error) => panic!("{error}"),
        };
        let written = if ticket.is_some() { Known::Begun } else { Known::Nothing };
        self.attempts.push(Attempt {
            begun,
            most: written,
            written,
            durable: Known::Nothing,
            doubtful: false,
            ticket,
        });
    }

    fn settle(&mut self) {
        let pick = self.dice.next_bits() as usize;
        let open: Vec<&mut Attempt> = self.attempts.iter_mut().filter(|a| a.ticket.is_some()).collect();
        let count = open.len().max(1);
        let Some(attempt) = open.into_iter().nth(pick % count) else { return };
        let Some(ticket) = attempt.ticket.take() else { return };
        attempt.most = Known::Settled;
        if self.ledger.settle(ticket, &ended(&attempt.begun)).is_ok() {
            attempt.written = Known::Settled;
        }
    }

    fn drop_ticket(&mut self) {
        if let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.ticket.is_some()) {
            attempt.ticket = None;
        }
    }

    fn publish(&mut self) {
        let behaviours = [
            Behaviour::Take,
            Behaviour::Take,
            Behaviour::TakeAndRetry,
            Behaviour::Retry,
            Behaviour::Full,
            Behaviour::Fatal,
            Behaviour::Refuse,
            Behaviour::Refuse,
        ];
        let script: Vec<_> = (0..3).map(|_| behaviours[self.dice.below(behaviours.len())]).collect();
        self.sink.script(script);
        for _ in 0..1 + self.dice.below(3) {
            self.publisher.step(self.now, Duration::ZERO);
            self.now += Duration::from_secs(10);
        }
    }

    fn sync(&mut self) {
        if self.ledger.spool().sync().is_ok() && self.ledger.status().deferred == 0 {
            for attempt in &mut self.attempts {
                if !attempt.doubtful {
                    attempt.durable = attempt.written;
                }
            }
        }
    }

    fn fault(&mut self) {
        let count = 1 + self.dice.below(4) as u32;
        match self.dice.below(10) {
            0 => self.files.fail_syncs(1),
            1 | 2 => self.files.set_free_bytes(Some(self.dice.below(3_000) as u64)),
            3 | 4 => self.files.fail_opens(count),
            5 | 6 => self.files.fail_reads(count),
            7 => self.files.fail_removes(count),
            8 => self.files.fail_dir_syncs(count),
            _ => self.files.heal(),
        }
    }

    fn kill(&mut self) {
        let files = self.files.after_kill();
        let sync_failed = self.ledger.spool().sync().is_err();
        self.attempts.iter_mut().for_each(|attempt| attempt.doubtful |= sync_failed);
        if self.dice.below(2) == 0 {
            // The process died in the middle of a write.
            let noise: Vec<u8> = (0..self.dice.below(200)).map(|_| self.dice.next_bits() as u8).collect();
            if segments(&files) > 0 {
                files.damage(&newest_segment(&files), |bytes| bytes.extend_from_slice(&noise));
            }
        }
        self.restart(files);
    }

    fn power_cut(&mut self) {
        let files = self.files.after_power_cut(self.dice.next_bits());
        // What earlier boots left in the page cache may be gone too.
        self.cut_boots.extend(self.attempts.iter().map(|attempt| attempt.begun.ledger.boot_id));
        for attempt in &mut self.attempts {
            attempt.written = attempt.durable;
        }
        self.restart(files);
    }

    fn restart(&mut self, files: FakeFiles) {
        self.ledger = open_with(&files, options_for(self.dice.next_bits())).0;
        self.publisher = publisher(&self.ledger, &self.sink);
        self.files = files;
        for attempt in &mut self.attempts {
            // The dead process's ticket acts on the disk that is gone.
            attempt.ticket = None;
        }
    }

    fn check(mut self, seed: u64) {
        self.files.heal();
        self.check_recovery(seed);
        self.sink.take_all();
        self.restart(self.files.after_kill());
        drain(&self.ledger, &self.sink);
        let letters = self.sink.events(Topic::UsageDeadLetter);
        let rows = highest(self.sink.usage().into_iter().chain(letters).collect());
        let known: BTreeMap<EventId, &Attempt> =
            self.attempts.iter().map(|attempt| (attempt.begun.event_id, attempt)).collect();
        for (id, row) in &rows {
            let most = known.get(id).map_or(Known::Nothing, |attempt| attempt.most);
            assert!(version(Some(row)) <= most, "seed {seed}: phantom {row:?}");
        }
        for attempt in &self.attempts {
            let row = version(rows.get(&attempt.begun.event_id));
            assert!(row >= attempt.written, "seed {seed}: {row:?} of {:?}", attempt.written);
        }
        self.check_sequences(seed, rows.values());
    }

    /// The process that met the faults goes on without a restart.
    fn check_recovery(&mut self, seed: u64) {
        for _ in 0..30 {
            self.now += Duration::from_secs(10);
            self.ledger.spool().maintain(self.now);
            self.publisher.step(self.now, Duration::ZERO);
        }
        self.publisher.report(self.now, true);
        let status = self.ledger.status();
        assert!(!status.refusing && status.deferred == 0, "seed {seed}: {status:?}");
        assert!(self.publisher.is_drained(), "seed {seed}: the cursor stands still: {status:?}");
        assert_eq!(status.backlog_records, 0, "seed {seed}: {status:?}");
    }

    /// Boots that only died have numbers without holes, however much was refused.
    fn check_sequences<'a>(&self, seed: u64, rows: impl Iterator<Item = &'a UsageEvent>) {
        let mut boots: BTreeMap<BootId, BTreeSet<u64>> = BTreeMap::new();
        for row in rows.filter(|row| !self.cut_boots.contains(&row.ledger.boot_id)) {
            boots.entry(row.ledger.boot_id).or_default().insert(row.ledger.seq);
        }
        for seqs in boots.values() {
            assert_eq!(seqs.last().copied(), Some(seqs.len() as u64), "seed {seed}: {seqs:?}");
        }
    }
}

fn version(row: Option<&UsageEvent>) -> Known {
    match row {
        None => Known::Nothing,
        Some(event) if event.version == VERSION_RECOVERED => Known::Begun,
        Some(_) => Known::Settled,
    }
}

fn options_for(seed: u64) -> LedgerOptions {
    LedgerOptions { segment_bytes: [1_000, 3_000, 8_000][(seed % 3) as usize], ..options() }
}

#[test]
fn ten_thousand_random_schedules_lose_nothing_and_invent_nothing() {
    for seed in 0..SCHEDULES {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.check(seed);
    }
}
