//! What outlives the process.

use tollgate_ledger::{FsyncPolicy, LedgerOptions, OnFull};

use super::testing::event;
use super::*;

const RULES: PendingRules = PendingRules { max: 100, deadline: Duration::from_secs(3_600) };

fn ledger(dir: &std::path::Path) -> Ledger {
    let options = LedgerOptions {
        dir: dir.join("spool"),
        gateway_id: "gw-1".into(),
        fsync: FsyncPolicy::None,
        max_bytes: 1 << 20,
        on_full: OnFull::Reject,
        segment_bytes: 64 << 10,
    };
    Ledger::open(options).unwrap().0
}

#[test]
fn the_next_process_asks_for_what_this_one_has_left_and_not_for_what_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Pending::open(dir.path().join("pending"), RULES).unwrap();
    let (running, streamed, over) = (event("a"), event("b"), event("c"));
    let before = open();
    before.begin(&running, &"resp_1".into());
    before.hold(&streamed, &"resp_2".into());
    before.begin(&over, &"resp_3".into());
    let taken = before.take(over.event_id).unwrap();
    assert_eq!(taken.deadline_ms, over.event_time_ms + 3_600_000);
    before.ended(over.event_id);
    drop(before);

    let after = open();
    assert_eq!(after.count(), 3, "its row may not be on the disk yet");
    after.take(over.event_id).unwrap();
    after.ended(over.event_id);
    after.sync(&ledger(dir.path())).unwrap();
    drop(after);

    let last = open();
    assert_eq!(last.count(), 2);
    assert_eq!(last.find("openai", "resp_1").unwrap().event, running);
    assert_eq!(last.find("openai", "resp_2").unwrap().event, streamed, "its stream is gone: it is asked for");
}

#[test]
fn the_bound_of_what_may_begin_is_the_subscriptions_share() {
    let dir = tempfile::tempdir().unwrap();
    let pending = Pending::open(dir.path().to_owned(), PendingRules { max: 4, ..RULES }).unwrap();
    assert_eq!(pending.refuses("a"), None);
    pending.begin(&event("a"), &"resp_1".into());
    assert_eq!((pending.refuses("a"), pending.refuses("b")), (Some(NoRoom::Full), None));
}
