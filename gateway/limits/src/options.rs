//! How limiters treat their counters.

use std::time::Duration;

use tollgate_base::clock::Clock;

#[derive(Debug, Clone)]
pub(super) struct LimiterOptions {
    /// After this a reservation that nobody settled comes back (up to a fifteenth later).
    pub(super) reservation_expiry: Duration,
    /// A full and unused counter leaves after this.
    pub(super) idle_after: Duration,
    /// Counter keys at the same time.
    pub(super) max_keys: usize,
    /// Time for refill and expiry.
    pub(super) clock: Clock,
}

impl Default for LimiterOptions {
    fn default() -> Self {
        Self {
            reservation_expiry: Duration::from_secs(15 * 60),
            idle_after: Duration::from_secs(5 * 60),
            max_keys: 1_000_000,
            clock: Clock::system(),
        }
    }
}
