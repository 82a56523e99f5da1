//! The bucket alone, then under load that exceeds it.

use std::collections::BinaryHeap;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

const MINUTE_MS: u64 = 60_000;

fn capacity(tokens_per_minute: u64) -> Capacity {
    let second = Duration::from_secs(1);
    Capacity::new(CapacityRules { tokens_per_minute, burst: Duration::from_secs(60), max_busy: second })
}

#[test]
fn a_minutes_tokens_fit_at_once_and_leak_at_the_committed_rate() {
    let capacity = capacity(600);
    assert!(capacity.take(0, 400) && capacity.take(0, 200));
    assert!(!capacity.fits(0, 1));
    assert_eq!(capacity.fits_in(0, 10), Some(Duration::from_secs(1)));
    assert!(!capacity.take(999, 10) && capacity.take(1_000, 10));
    assert!(capacity.fits(10 * MINUTE_MS, 600), "an empty bucket holds no more than its depth");
    assert!(!capacity.fits(10 * MINUTE_MS, 601));
    assert_eq!(capacity.fits_in(10 * MINUTE_MS, 601), None);
}

#[test]
fn an_estimate_is_corrected_either_way() {
    let capacity = capacity(600);
    assert!(capacity.take(0, 500));
    capacity.settle(0, 500, 100);
    assert_eq!(capacity.snapshot(0).free_tokens, 500);
    capacity.settle(0, 100, 700);
    assert!(!capacity.fits(9_000, 1), "more was used than fits");
    assert!(capacity.fits(10_100, 1));
}

#[test]
fn no_report_keeps_requests_away_for_longer_than_some_minutes() {
    for claimed in [10_000_000, u64::MAX / 2, u64::MAX] {
        let capacity = capacity(600);
        assert!(capacity.take(0, 500));
        capacity.settle(0, 500, claimed);
        capacity.charge(0, u64::MAX);
        assert_eq!(capacity.fits_in(0, 600), Some(Duration::from_secs(660)), "{claimed}");
        assert!(capacity.take(11 * MINUTE_MS, 600), "{claimed}");
    }
}

#[test]
fn a_refusal_keeps_requests_away_for_the_shortest_wait_and_never_long() {
    let capacity = capacity(600);
    capacity.refused(0, Some(Duration::from_secs(86_400)));
    assert!(!capacity.fits(999, 1) && capacity.fits(1_000, 1));
    capacity.refused(2_000, None);
    capacity.refused(2_100, Some(Duration::from_millis(200)));
    capacity.refused(2_100, Some(Duration::from_millis(700)));
    assert_eq!(capacity.snapshot(2_100).busy_for_ms, Some(200));
    assert_eq!(capacity.fits_in(2_100, 1), Some(Duration::from_millis(200)));
    assert!(!capacity.take(2_299, 1) && capacity.take(2_300, 1));
    assert_eq!(capacity.snapshot(2_300).refusals, 4);
}

#[test]
fn of_many_threads_together_none_takes_more_than_fits() {
    let capacity = capacity(1_000);
    let taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..1_000).filter(|_| capacity.take(0, 1)).count())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 1_000);
}

/// Ten minutes of requests that want about twice what is committed, from estimates that are off by up to the
/// given factor; the share of the commitment that was used after the first minute.
fn used_under_load(tokens_per_minute: u64, off_by: u64, refuses: bool) -> f64 {
    let capacity = capacity(tokens_per_minute);
    let mut random = StdRng::seed_from_u64(off_by);
    // When it ends, estimate, actual use; earliest first.
    let mut running = BinaryHeap::<std::cmp::Reverse<(u64, u64, u64)>>::new();
    let (mut now_ms, mut used) = (0, 0);
    let mean = 1_000;
    let gap_ms = MINUTE_MS * mean / tokens_per_minute;
    while now_ms < 11 * MINUTE_MS {
        now_ms += random.random_range(0..=gap_ms);
        while running.peek().is_some_and(|next| next.0.0 <= now_ms) {
            let Some(std::cmp::Reverse((at, estimated, actual))) = running.pop() else { break };
            capacity.settle(at, estimated, actual);
            used += if at > MINUTE_MS { actual } else { 0 };
        }
        let actual = random.random_range(1..2 * mean);
        let estimated = actual * random.random_range(1..=off_by);
        if capacity.take(now_ms, estimated) {
            if refuses && random.random_range(0..50) == 0 {
                capacity.settle(now_ms, estimated, 0);
                capacity.refused(now_ms, Some(Duration::from_secs(60)));
                continue;
            }
            running.push(std::cmp::Reverse((now_ms + random.random_range(100..20_000), estimated, actual)));
        }
    }
    used as f64 / (10 * tokens_per_minute) as f64
}

#[test]
fn more_than_95_percent_is_used_while_load_exceeds_it() {
    for tokens_per_minute in [100_000, 1_000_000] {
        for (off_by, refuses) in [(1, false), (4, false), (1, true)] {
            let used = used_under_load(tokens_per_minute, off_by, refuses);
            assert!((0.95..1.2).contains(&used), "{used} of {tokens_per_minute}, off by {off_by}");
        }
    }
}
