//! Peak-sensitive moving average of latency in one atomic word.
//!
//! A sample above the average replaces it at once, one below pulls it down with a time constant of ten
//! seconds: a backend that becomes slow is noticed with the first slow answer, one that recovers is
//! trusted again gradually.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Time constant of the decay, ms.
const TAU_MS: f32 = 10_000.0;

/// Upper half: clock ms of the last sample (wraps after 49 days); lower half: µs. 0 is "no sample yet".
#[derive(Debug, Default)]
pub(super) struct PeakEwma(AtomicU64);

impl PeakEwma {
    /// Adds a sample.
    pub(super) fn record(&self, now_ms: u64, sample: Duration) {
        let sample_us = u32::try_from(sample.as_micros()).unwrap_or(u32::MAX).max(1);
        let stamp = now_ms as u32;
        let next = |word: u64| {
            let average_us = blend(word, stamp, sample_us);
            Some(u64::from(stamp) << 32 | u64::from(average_us))
        };
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// The average, µs, as if only zeros had come since the last sample: a deployment that was slow and gets no
    /// requests any more deserves another try some time later. 0 before the first sample.
    pub(super) fn faded_us(&self, now_ms: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        u64::from(fade(word as u32, (now_ms as u32).wrapping_sub((word >> 32) as u32)))
    }

    /// The average; `None` before the first sample.
    pub(super) fn get(&self) -> Option<Duration> {
        let average_us = self.0.load(Ordering::Relaxed) & u64::from(u32::MAX);
        (average_us > 0).then(|| Duration::from_micros(average_us))
    }
}

fn blend(word: u64, stamp: u32, sample_us: u32) -> u32 {
    let average_us = word as u32;
    if sample_us >= average_us {
        return sample_us;
    }
    let elapsed_ms = stamp.wrapping_sub((word >> 32) as u32);
    sample_us + fade(average_us - sample_us, elapsed_ms)
}

/// The value after it has decayed for that time.
fn fade(value: u32, elapsed_ms: u32) -> u32 {
    // Single precision: this is asked for every request, and a millionth more or less means nothing.
    let left = (elapsed_ms as f32 * (-std::f32::consts::LOG2_E / TAU_MS)).exp2();
    (f64::from(value) * f64::from(left)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_peak_counts_at_once_and_fades_with_time() {
        let ewma = PeakEwma::default();
        assert_eq!(ewma.get(), None);
        ewma.record(0, ms(20));
        ewma.record(10, ms(500));
        assert_eq!(ewma.get(), Some(ms(500)));
        ewma.record(10, ms(20));
        assert_eq!(ewma.get(), Some(ms(500)), "no time has passed");
        ewma.record(10_010, ms(20));
        let faded = ewma.get().unwrap();
        assert!(faded > ms(190) && faded < ms(200), "a time constant later: {faded:?}");
        ewma.record(200_000, ms(20));
        assert!(ewma.get().unwrap() < ms(21));
    }

    #[test]
    fn a_score_fades_when_nobody_asks_and_the_average_stays() {
        let ewma = PeakEwma::default();
        assert_eq!(ewma.faded_us(50), 0);
        ewma.record(1_000, ms(500));
        assert_eq!(ewma.faded_us(1_000), 500_000);
        assert!((180_000..190_000).contains(&ewma.faded_us(11_000)));
        assert_eq!(ewma.get(), Some(ms(500)));
    }
}
