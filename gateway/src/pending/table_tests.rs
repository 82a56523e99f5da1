//! Who is asked when, and who takes an end.

use proptest::prelude::*;

use super::super::testing::entry;
use super::*;

const MINUTE: i64 = 60_000;

/// A table with one answer that is asked for from 0 on.
fn begun(deadline_ms: i64) -> (Table, EventId) {
    let mut table = Table::new(100);
    let entry = entry("checkout", "resp_1", deadline_ms);
    let id = entry.id();
    table.begin(entry, 0);
    (table, id)
}

#[test]
fn pauses_double_from_two_seconds_to_a_minute() {
    let (mut table, id) = begun(i64::MAX);
    let mut asked_at = Vec::new();
    for _ in 0..8 {
        let now_ms = table.next_due_ms().unwrap();
        assert!(table.next_to_ask(now_ms - 1).is_none());
        assert_eq!(table.next_to_ask(now_ms).unwrap().id(), id);
        assert!(
            table.next_to_ask(now_ms).is_none() && table.next_due_ms().is_none(),
            "asked for once at a time"
        );
        assert_eq!(table.found(id, Finding::Running, now_ms), None);
        asked_at.push(now_ms / 1_000);
    }
    assert_eq!(asked_at, [2, 6, 14, 30, 62, 122, 182, 242]);
}

#[test]
fn an_answer_is_given_up_at_its_deadline_and_not_before() {
    let (mut table, id) = begun(10 * MINUTE);
    let mut now_ms = 0;
    for _ in 0..100 {
        now_ms = table.next_due_ms().unwrap();
        table.next_to_ask(now_ms).unwrap();
        if let Some(given_up) = table.found(id, Finding::Nothing, now_ms) {
            assert_eq!((given_up, now_ms), (GivenUp::Deadline, 10 * MINUTE));
            return;
        }
    }
    panic!("never given up: {now_ms}");
}

#[test]
fn a_provider_is_believed_when_it_says_three_times_that_there_is_no_such_answer() {
    let (mut table, id) = begun(i64::MAX);
    let mut found = |finding| {
        let now_ms = table.next_due_ms().unwrap();
        table.next_to_ask(now_ms).unwrap();
        table.found(id, finding, now_ms)
    };
    use Finding::{Nothing, Running, Unknown};
    let findings = [Unknown, Unknown, Nothing, Unknown, Running, Unknown, Unknown];
    assert!(findings.into_iter().all(|finding| found(finding).is_none()));
    assert_eq!(found(Unknown), Some(GivenUp::Lost));
}

#[test]
fn whoever_sees_the_end_first_takes_it_and_nobody_else_does() {
    let (mut table, id) = begun(i64::MAX);
    let backend = Arc::clone(table.entries[&id].entry.backend());
    let asked = table.next_to_ask(2_000).unwrap();
    assert_eq!(table.find(&backend, &"resp_1".into()), Some(Arc::clone(&asked)));
    assert_eq!(table.find(&backend, &"resp_2".into()), None);
    assert_eq!(table.take(id), Some(Arc::clone(&asked)));
    assert_eq!(table.take(id), None);
    assert_eq!(table.found(id, Finding::Running, 2_000), None);
    assert_eq!((table.len(), table.next_due_ms(), table.find(&backend, &"resp_1".into())), (0, None, None));
    table.put_back(asked, 3_000);
    assert_eq!((table.len(), table.next_due_ms()), (1, Some(13_000)));
}

#[test]
fn what_is_still_streamed_is_neither_asked_for_nor_found() {
    let mut table = Table::new(100);
    let held = entry("checkout", "resp_1", i64::MAX);
    table.hold(Arc::clone(&held));
    assert_eq!((table.next_due_ms(), table.find(held.backend(), &"resp_1".into())), (None, None));
    table.begin(Arc::clone(&held), 5_000);
    assert_eq!((table.len(), table.next_due_ms()), (1, Some(7_000)));
    assert!(table.find(held.backend(), &"resp_1".into()).is_some());
}

#[test]
fn no_subscription_takes_all_the_room() {
    let mut table = Table::new(8);
    for number in 0..2 {
        assert!(table.has_room("checkout"));
        table.begin(entry("checkout", &format!("resp_{number}"), i64::MAX), 0);
    }
    assert!(!table.has_room("checkout") && table.has_room("search"));
    for number in 2..8 {
        table.begin(entry(&format!("s{number}"), &format!("resp_{number}"), i64::MAX), 0);
    }
    assert!(!table.has_room("search"));
    let first = table.next_to_ask(2_000).unwrap().id();
    table.take(first);
    assert!(table.has_room("search"));
}

proptest! {
    /// Whatever happens in whatever order, the books of the table agree with each other.
    #[test]
    fn the_table_keeps_its_own_books(steps in proptest::collection::vec((0_u8..6, 0_usize..5, 0_i64..90_000), 1..80)) {
        let mut table = Table::new(16);
        let entries: Vec<_> = (0..5).map(|n| entry("checkout", &format!("resp_{n}"), 300_000)).collect();
        let mut now_ms = 0;
        for (step, which, wait_ms) in steps {
            let entry = &entries[which];
            now_ms += wait_ms;
            match step {
                0 => table.begin(Arc::clone(entry), now_ms),
                1 => table.hold(Arc::clone(entry)),
                2 => table.put_back(Arc::clone(entry), now_ms),
                3 => { table.take(entry.id()); }
                4 => { table.next_to_ask(now_ms); }
                _ => { table.found(entry.id(), Finding::Unknown, now_ms); }
            }
            let waiting = table.entries.values().filter(|slot| matches!(slot.state, State::Waiting { .. })).count();
            prop_assert_eq!(table.due.len(), waiting);
            prop_assert_eq!(table.ids.len(), table.entries.len());
            prop_assert_eq!(table.per_subscription.values().sum::<usize>(), table.entries.len());
        }
    }
}
