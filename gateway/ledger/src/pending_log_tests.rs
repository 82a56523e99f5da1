//! Crashes and faults of the log of what is pending.

use std::collections::BTreeMap;
use std::path::Path;

use tollgate_eventlog::segment::fake::{Dice, FakeFiles};

use super::*;

const DIR: &str = "/pending";

fn open(files: &FakeFiles) -> PendingLog {
    PendingLog::open_with(Arc::new(files.clone()), DIR.into()).unwrap()
}

fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

fn found(log: &PendingLog) -> BTreeMap<Uuid, Vec<u8>> {
    log.all().into_iter().collect()
}

#[test]
fn what_is_put_is_found_after_a_kill_and_what_is_removed_is_not() {
    let files = FakeFiles::new();
    let log = open(&files);
    for number in 0..3 {
        log.put(id(number), vec![number as u8; 9]).unwrap();
    }
    log.put(id(1), b"changed".to_vec()).unwrap();
    log.remove(&[id(0), id(7)]).unwrap();
    let expected = BTreeMap::from([(id(1), b"changed".to_vec()), (id(2), vec![2; 9])]);
    assert_eq!(found(&open(&files.after_kill())), expected);
    let twice = files.after_kill();
    drop(open(&twice));
    assert_eq!(found(&open(&twice.after_kill())), expected);
}

#[test]
fn the_log_is_written_anew_when_most_of_it_is_not_wanted_any_more() {
    let files = FakeFiles::new();
    let log = open(&files);
    log.put(id(1), vec![1; 100]).unwrap();
    for number in 2..200 {
        log.put(id(number), vec![0; 64 << 10]).unwrap();
        log.remove(&[id(number)]).unwrap();
    }
    let segments = list_segments(&files, Path::new(DIR)).unwrap();
    assert_eq!(segments.len(), 1);
    let mut bytes = 0;
    files.damage(&segment_path(Path::new(DIR), segments[0]), |data| bytes = data.len());
    assert!(bytes < 2 << 20, "{bytes}");
    assert_eq!(found(&open(&files.after_kill())), BTreeMap::from([(id(1), vec![1; 100])]));
}

#[test]
fn what_a_full_disk_refuses_is_written_when_there_is_room() {
    let files = FakeFiles::new();
    let log = open(&files);
    files.set_free_bytes(Some(10));
    assert!(log.put(id(1), vec![1; 100]).is_err());
    assert!(!log.is_written());
    assert!(log.sync().is_err());
    files.set_free_bytes(None);
    log.sync().unwrap();
    assert!(log.is_written());
    for seed in 0..10 {
        assert_eq!(found(&open(&files.after_power_cut(seed))).len(), 1);
    }
}

#[test]
fn a_failed_sync_is_made_good_in_another_file() {
    let files = FakeFiles::new();
    let log = open(&files);
    log.put(id(1), vec![1; 100]).unwrap();
    files.fail_syncs(1);
    assert!(log.sync().is_err());
    log.sync().unwrap();
    for seed in 0..20 {
        assert_eq!(found(&open(&files.after_power_cut(seed))).len(), 1, "{seed}");
    }
}

/// Puts, removals, syncs, faults and kills in any order: what was put and not removed is there, and whatever was synced
/// outlives a power cut.
#[test]
fn a_thousand_random_schedules_keep_what_was_put() {
    for seed in 0..1_000 {
        let mut dice = Dice(seed);
        let mut files = FakeFiles::new();
        let mut log = open(&files);
        let (mut kept, mut durable) = (BTreeMap::new(), BTreeMap::new());
        for step in 0..30_u64 {
            match dice.below(10) {
                0..=3 if log.put(id(step), vec![step as u8; 40]).is_ok() => {
                    kept.insert(id(step), vec![step as u8; 40]);
                }
                0..=3 => {
                    files.heal();
                    log.sync().unwrap();
                    kept.insert(id(step), vec![step as u8; 40]);
                    durable = kept.clone();
                }
                4 | 5 => {
                    if let Some(gone) = kept.keys().nth(dice.below(kept.len().max(1))).copied() {
                        let removed = log.remove(&[gone]);
                        kept.remove(&gone);
                        durable.remove(&gone);
                        if removed.is_err() {
                            files.heal();
                            log.sync().unwrap();
                            durable = kept.clone();
                        }
                    }
                }
                6 if log.sync().is_ok() => durable = kept.clone(),
                7 => files.set_free_bytes(Some(dice.below(200) as u64)),
                8 => {
                    files = files.after_kill();
                    log = open(&files);
                    assert_eq!(found(&log), kept, "seed {seed}");
                    durable = kept.clone();
                }
                _ => files.fail_syncs(1),
            }
        }
        let after = found(&open(&files.after_power_cut(seed)));
        for (id, content) in &durable {
            assert_eq!(after.get(id), Some(content), "seed {seed}");
        }
    }
}
