//! The embedded index: finding, walls, capacity, durability.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::guard::Fingerprint;
use crate::index::Meaning;
use crate::testing::{entry, id, now, partition, unit_vector};

const DIMENSIONS: usize = 16;
const ROOMY: Capacity = Capacity { per_partition: 1_000, total: 10_000 };
const G: Fingerprint = Fingerprint(7);

fn open(dir: &TempDir) -> EmbeddedIndex {
    EmbeddedIndex::open(dir.path(), DIMENSIONS, ROOMY).unwrap()
}

/// The embedded index never waits, so its futures are done at the first poll.
fn done<T>(pending: Pending<'_, T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(pending).unwrap()
}

fn query(seed: u64, min_similarity: f32) -> Query {
    let meaning = Meaning { vector: unit_vector(seed, DIMENSIONS), guard: G };
    Query { partition: partition("acme"), meaning, min_similarity, now_ms: now() }
}

/// An entry of tenant acme whose vector is `unit_vector(seed)`.
fn stored(seed: u64) -> Entry {
    Entry {
        meaning: Some(Meaning { vector: unit_vector(seed, DIMENSIONS), guard: G }),
        ..entry("acme", seed)
    }
}

fn exact_id(index: &EmbeddedIndex, seed: u64) -> Option<EventId> {
    done(index.exact(&partition("acme"), &format!("key-{seed}"), now())).map(|found| found.event_id)
}

#[test]
fn an_entry_is_found_by_key_and_by_meaning_with_its_answer() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir);
    done(index.upsert(vec![stored(1), stored(2)]));
    let exact = done(index.exact(&partition("acme"), "key-1", now())).unwrap();
    assert_eq!((exact.event_id, exact.similarity), (id(1), 1.0));
    assert_eq!(exact.response.get(), r#"{"answer":1}"#);
    let near = done(index.search(&query(2, 0.9))).unwrap();
    assert_eq!((near.event_id, near.response.get()), (id(2), r#"{"answer":2}"#));
    assert!(near.similarity > 0.999);
}

#[test]
fn an_entry_is_not_found_elsewhere_below_the_threshold_with_another_guard_or_after_its_time() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir);
    done(index.upsert(vec![stored(1)]));
    let base = query(1, 0.9);
    assert!(done(index.search(&base)).is_some());
    let elsewhere = Query { partition: partition("umbrella"), ..base.clone() };
    assert!(done(index.search(&elsewhere)).is_none());
    assert!(done(index.search(&query(2, 0.9))).is_none());
    let meaning = Meaning { guard: Fingerprint(8), ..base.meaning.clone() };
    assert!(done(index.search(&Query { meaning, ..base.clone() })).is_none());
    let later = stored(1).expires_at_ms;
    assert!(done(index.search(&Query { now_ms: later, ..base })).is_none());
    assert!(done(index.exact(&partition("acme"), "key-1", later)).is_none());
}

#[test]
fn the_newest_answer_to_a_question_replaces_the_older_one() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir);
    let older = Entry { event_id: id(10), stored_at_ms: now() - 5, ..stored(1) };
    done(index.upsert(vec![older.clone(), stored(1), older]));
    assert_eq!(exact_id(&index, 1), Some(id(1)));
    assert_eq!(done(index.stats()).entries, 1);
}

#[test]
fn writing_an_entry_twice_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir);
    done(index.upsert(vec![stored(1)]));
    let before = done(index.stats());
    done(index.upsert(vec![stored(1)]));
    assert_eq!(done(index.stats()), before);
}

#[test]
fn the_oldest_entry_leaves_when_a_partition_or_the_index_is_full() {
    let dir = TempDir::new().unwrap();
    let capacity = Capacity { per_partition: 2, total: 3 };
    let index = EmbeddedIndex::open(dir.path(), DIMENSIONS, capacity).unwrap();
    let at = |seed: u64, age_ms: i64| Entry { stored_at_ms: now() - age_ms, ..stored(seed) };
    done(index.upsert(vec![at(1, 3), at(2, 9), at(3, 1)]));
    assert_eq!([1, 2, 3].map(|seed| exact_id(&index, seed).is_some()), [true, false, true]);
    done(index.upsert(vec![entry("umbrella", 20), entry("initech", 21)]));
    assert_eq!([1, 3].map(|seed| exact_id(&index, seed).is_some()), [false, true]);
    assert_eq!(done(index.stats()).entries, 3);
}

#[test]
fn a_sweep_forgets_what_has_expired() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir);
    done(index.upsert(vec![Entry { expires_at_ms: now() + 1, ..stored(1) }, stored(2)]));
    done(index.sweep(now()));
    assert_eq!(done(index.stats()).entries, 2);
    done(index.sweep(now() + 1));
    assert_eq!(done(index.stats()).entries, 1);
    assert_eq!(exact_id(&index, 2), Some(id(2)));
}

#[test]
fn an_invalidation_forgets_what_it_names_and_nothing_else() {
    let all = CacheInvalidate { tenant: "acme".into(), scope: None, model: None, stored_before_ms: None };
    for (filter, left) in [
        (all.clone(), 1),
        (CacheInvalidate { tenant: "nobody".into(), ..all.clone() }, 3),
        (CacheInvalidate { scope: Some("tenant".into()), ..all.clone() }, 1),
        (CacheInvalidate { scope: Some("team:x".into()), ..all.clone() }, 3),
        (CacheInvalidate { model: Some("gpt".into()), ..all.clone() }, 1),
        (CacheInvalidate { model: Some("o5".into()), ..all.clone() }, 3),
        (CacheInvalidate { stored_before_ms: Some(now()), ..all.clone() }, 2),
    ] {
        let dir = TempDir::new().unwrap();
        let index = open(&dir);
        let old = Entry { stored_at_ms: now() - 1, ..stored(2) };
        done(index.upsert(vec![stored(1), old, entry("umbrella", 3)]));
        done(index.invalidate(&filter));
        assert_eq!(done(index.stats()).entries, left, "{filter:?}");
        drop(index);
        assert_eq!(done(open(&dir).stats()).entries, left, "after reopening: {filter:?}");
    }
}

#[test]
fn entries_and_removals_survive_reopening() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir);
    done(index.upsert(vec![stored(1), stored(2), stored(3)]));
    done(index.remove(&[id(2), id(99)]));
    drop(index);
    let index = open(&dir);
    assert_eq!([1, 2, 3].map(|seed| exact_id(&index, seed).is_some()), [true, false, true]);
    assert_eq!(done(index.search(&query(3, 0.9))).unwrap().event_id, id(3));
}

#[test]
fn a_torn_tail_costs_only_what_was_not_acknowledged() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir);
    done(index.upsert(vec![stored(1)]));
    let acknowledged = done(index.stats()).bytes;
    done(index.upsert(vec![stored(2)]));
    let end = done(index.stats()).bytes;
    drop(index);
    let file = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|ext| ext == "seg")).unwrap();
    for length in (acknowledged..end).rev() {
        std::fs::File::options().write(true).open(&file).unwrap().set_len(length).unwrap();
        let index = open(&dir);
        assert_eq!([1, 2].map(|seed| exact_id(&index, seed).is_some()), [true, false], "cut at {length}");
    }
}

#[test]
fn vectors_of_another_length_are_forgotten_with_their_model() {
    let dir = TempDir::new().unwrap();
    done(open(&dir).upsert(vec![stored(1)]));
    let index = EmbeddedIndex::open(dir.path(), 8, ROOMY).unwrap();
    assert_eq!(done(index.stats()).entries, 0);
    done(index.upsert(vec![stored(1)]));
    assert!(exact_id(&index, 1).is_some(), "kept for exact matches");
    assert!(done(index.search(&query(1, 0.0))).is_none(), "but never compared");
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = TempDir::new().unwrap();
    let _index = open(&dir);
    assert!(EmbeddedIndex::open(dir.path(), DIMENSIONS, ROOMY).is_err());
}

#[test]
fn the_journal_is_rewritten_when_most_of_it_is_dead_and_answers_stay() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir);
    let answer = format!("{{\"answer\":\"{}\"}}", "x".repeat(60_000));
    let large =
        |seed: u64| Entry { response: RawValue::from_string(answer.clone()).unwrap(), ..stored(seed) };
    done(index.upsert((1..=30).map(large).collect()));
    let before = done(index.stats()).bytes;
    done(index.remove(&(3..=30).map(id).collect::<Vec<_>>()));
    done(index.upsert(vec![stored(40)]));
    assert!(done(index.stats()).bytes < before / 8);
    for index in [index, open_after(&dir)] {
        assert_eq!(exact_id(&index, 3), None);
        for (seed, response) in [(1, answer.as_str()), (40, r#"{"answer":40}"#)] {
            let found = done(index.exact(&partition("acme"), &format!("key-{seed}"), now())).unwrap();
            assert_eq!(found.response.get(), response);
            assert_eq!(done(index.search(&query(seed, 0.99))).unwrap().event_id, id(seed));
        }
        drop(index);
    }
}

/// Opens a copy, since the original is still open.
fn open_after(dir: &TempDir) -> EmbeddedIndex {
    let copy = TempDir::new().unwrap();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    EmbeddedIndex::open(copy.path(), DIMENSIONS, ROOMY).unwrap()
}

#[test]
fn a_rewrite_that_was_cut_short_is_ignored() {
    let dir = TempDir::new().unwrap();
    done(open(&dir).upsert(vec![stored(1)]));
    // What a crash leaves behind: a newer segment without its `ready` record.
    let begun = tollgate_eventlog::segment::segment_path(dir.path(), 9);
    std::fs::write(&begun, b"TGSEG\0\x01\n\x09\0\0\0\0\0\0\0half").unwrap();
    let index = open(&dir);
    assert_eq!(exact_id(&index, 1), Some(id(1)));
    assert!(!begun.exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The index against the simplest model of it: a list.
    #[test]
    fn it_behaves_like_a_list_of_entries(steps in proptest::collection::vec((0u64..8, 0usize..3, 0u8..6), 1..60)) {
        const TENANTS: [&str; 3] = ["acme", "umbrella", "initech"];
        let dir = TempDir::new().unwrap();
        let mut index = open(&dir);
        let mut model: Vec<(usize, u64)> = Vec::new();
        for (seed, tenant, step) in steps {
            let this = Entry { event_id: id(seed * 3 + tenant as u64), ..entry(TENANTS[tenant], seed) };
            match step {
                0 | 1 => {
                    done(index.upsert(vec![this]));
                    if !model.contains(&(tenant, seed)) { model.push((tenant, seed)); }
                }
                2 => {
                    done(index.remove(&[this.event_id]));
                    model.retain(|entry| *entry != (tenant, seed));
                }
                3 => {
                    let tenant_name = TENANTS[tenant].into();
                    done(index.invalidate(&CacheInvalidate { tenant: tenant_name, scope: None, model: None, stored_before_ms: None }));
                    model.retain(|entry| entry.0 != tenant);
                }
                4 => { drop(index); index = open(&dir); }
                _ => done(index.sweep(now())),
            }
            for (tenant, name) in TENANTS.into_iter().enumerate() {
                for seed in 0..8 {
                    let found = done(index.exact(&partition(name), &format!("key-{seed}"), now()));
                    prop_assert_eq!(found.map(|f| f.event_id), model.contains(&(tenant, seed)).then(|| id(seed * 3 + tenant as u64)));
                }
            }
        }
    }
}
