//! Times of many exchanges.

use std::time::Duration;

/// Times in µs, to be asked for percentiles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    sorted_us: Vec<u32>,
}

impl Times {
    /// From times in any order.
    #[must_use]
    pub fn new(mut times_us: Vec<u32>) -> Self {
        times_us.sort_unstable();
        Self { sorted_us: times_us }
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted_us.len()
    }

    /// The time that `percent` of all are at or below, µs; 0 when there is none.
    #[must_use]
    pub fn percentile_us(&self, percent: f64) -> u32 {
        let rank = (percent / 100.0 * self.sorted_us.len() as f64).ceil() as usize;
        self.sorted_us.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }
}

/// Whole µs of a duration.
#[must_use]
pub fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times = Times::new((1..=100).rev().collect());
        assert_eq!(times.percentile_us(50.0), 50);
        assert_eq!(times.percentile_us(99.0), 99);
        assert_eq!(times.percentile_us(100.0), 100);
        assert_eq!(Times::default().percentile_us(50.0), 0);
    }
}
