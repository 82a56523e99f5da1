//! How long answers took lately, as a histogram without a lock.
//!
//! Two halves of half a minute take turns: samples go into the current one, the older one is emptied when
//! its turn comes again. So a percentile covers between half a minute and a minute. A sample that meets the
//! turn may be lost; a percentile does not notice.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tollgate_base::clock::millis;

/// Length of one half, ms.
const HALF_MS: u64 = 30_000;
/// Samples below which a percentile says nothing.
const MIN_SAMPLES: u64 = 20;
/// Steps per doubling: a step is at most a quarter wider than the one before it.
const STEPS: u64 = 4;
/// Steps from 4 ms (below it each millisecond is one) to a little over two hours.
const BUCKETS: usize = 88;

type Half = [AtomicU32; BUCKETS];

#[derive(Debug)]
pub(super) struct Latencies {
    /// Number of the current half.
    turn: AtomicU64,
    halves: [Half; 2],
}

impl Default for Latencies {
    fn default() -> Self {
        let half = || std::array::from_fn(|_| AtomicU32::new(0));
        Self { turn: AtomicU64::new(0), halves: [half(), half()] }
    }
}

impl Latencies {
    pub(super) fn record(&self, now_ms: u64, sample: Duration) {
        let turn = now_ms / HALF_MS;
        let held = self.turn.load(Ordering::Relaxed);
        if turn > held && self.turn.compare_exchange(held, turn, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.empty(turn);
            if turn > held + 1 {
                self.empty(turn + 1);
            }
        }
        self.halves[(turn % 2) as usize][bucket(millis(sample))].fetch_add(1, Ordering::Relaxed);
    }

    /// The percentile of the samples, rounded up to its step; `None` if there were too few lately.
    pub(super) fn percentile(&self, now_ms: u64, percent: u64) -> Option<Duration> {
        let turn = now_ms / HALF_MS;
        let held = self.turn.load(Ordering::Relaxed);
        let current = |half: u64| half <= held && held < half + 2;
        let halves = [turn, turn.wrapping_sub(1)]
            .into_iter()
            .filter(|half| current(*half))
            .map(|half| &self.halves[(half % 2) as usize]);
        let mut counts = [0_u64; BUCKETS];
        for half in halves {
            for (sum, count) in counts.iter_mut().zip(half) {
                *sum += u64::from(count.load(Ordering::Relaxed));
            }
        }
        let samples: u64 = counts.iter().sum();
        if samples < MIN_SAMPLES {
            return None;
        }
        let rank = (samples * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        reached.map(|bucket| Duration::from_millis(upper_ms(bucket)))
    }

    fn empty(&self, turn: u64) {
        for count in &self.halves[(turn % 2) as usize] {
            count.store(0, Ordering::Relaxed);
        }
    }
}

/// The step that a time falls into.
fn bucket(ms: u64) -> usize {
    if ms < STEPS {
        return ms as usize;
    }
    let octave = u64::from(ms.ilog2()) - 2;
    let within = (ms >> octave) - STEPS;
    ((STEPS + octave * STEPS + within) as usize).min(BUCKETS - 1)
}

/// The longest time of a step, ms.
fn upper_ms(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let (octave, within) = ((bucket - STEPS) / STEPS, (bucket - STEPS) % STEPS);
    ((STEPS + within + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn every_time_falls_into_the_step_whose_bounds_hold_it() {
        for time in (0..10_000).chain([65_535, 1_000_000, 7_000_000]) {
            let step = bucket(time);
            assert!(time <= upper_ms(step), "{time}");
            assert!(step == 0 || time > upper_ms(step - 1), "{time}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_percentile_is_at_most_a_quarter_too_long() {
        let latencies = Latencies::default();
        for time in 1..=100 {
            latencies.record(0, ms(time * 10));
        }
        let p95 = latencies.percentile(0, 95).unwrap();
        assert!(p95 >= ms(950) && p95 <= ms(1_188), "{p95:?}");
    }

    #[test]
    fn few_samples_say_nothing() {
        let latencies = Latencies::default();
        for _ in 1..MIN_SAMPLES {
            latencies.record(0, ms(5));
        }
        assert_eq!(latencies.percentile(0, 95), None);
        latencies.record(0, ms(5));
        assert_eq!(latencies.percentile(0, 95), Some(ms(5)));
    }

    #[test]
    fn old_samples_are_forgotten_with_and_without_new_ones() {
        let latencies = Latencies::default();
        let fill = |at: u64, time: u64| (0..MIN_SAMPLES).for_each(|_| latencies.record(at, ms(time)));
        fill(10_000, 3);
        assert_eq!(latencies.percentile(HALF_MS + 1, 95), Some(ms(3)), "the last half still counts");
        assert_eq!(latencies.percentile(3 * HALF_MS, 95), None);
        fill(2 * HALF_MS, 1);
        assert_eq!(latencies.percentile(2 * HALF_MS, 100), Some(ms(1)));
        fill(9 * HALF_MS, 2);
        assert_eq!(latencies.percentile(9 * HALF_MS, 100), Some(ms(2)), "nothing of the gap is left");
    }
}
